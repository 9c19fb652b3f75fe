"""Mean, standard deviation and confidence interval of a sample."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

_LEVEL = 0.95


class Sample(NamedTuple):
  """Statistics of independent, identically distributed numbers."""

  mean: float
  std: float | None  # with n - 1; None for a single number
  interval: (
    tuple[float, float] | None
  )  # of the mean, 95 %; None for a single number
  low: float
  high: float


def describe(values):
  """Computes a Sample, with Student's confidence interval.

  Args:
    values: sequence of numbers, at least one.
  """
  values = np.asarray(values, np.float64)
  mean, std, interval = float(values.mean()), None, None
  if len(values) > 1:
    std = float(values.std(ddof=1))
    quantile = float(special.stdtrit(len(values) - 1, (1 + _LEVEL) / 2))
    half = quantile * std / math.sqrt(len(values))
    interval = (mean - half, mean + half)
  return Sample(mean, std, interval, float(values.min()), float(values.max()))
