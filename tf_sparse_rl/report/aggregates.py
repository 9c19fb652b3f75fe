"""Aggregate scores with stratified bootstrap intervals, by rliable.

Scores are normalised, `[runs, tasks]`; runs are drawn within each task, in
`num_resamples` resamples.
"""

import math
from typing import NamedTuple

import numpy as np
from rliable import library, metrics

INTERVAL = 0.95
_SEED = 0
# One run has no spread.
_MIN_RUNS = 2


class Estimate(NamedTuple):
  """A value and its interval, whose bounds are NaN for a single run."""

  value: float
  low: float
  high: float


def iqm(scores):
  """Interquartile mean over the first two axes of `[runs, tasks, ...]`."""
  # 20 times as fast as rliable's metric and SciPy's trim_mean.
  flat = np.sort(scores.reshape(-1, *scores.shape[2:]), axis=0)
  cut = len(flat) // 4
  return flat[cut : len(flat) - cut].mean(axis=0)


AGGREGATES = {
  'iqm': iqm,
  'median': metrics.aggregate_median,
  'optimality_gap': metrics.aggregate_optimality_gap,
}


def mean(scores, num_resamples):
  """Estimate of the mean score of one task, given one score per run."""
  [estimate] = mean_curve(np.array(scores)[:, np.newaxis], num_resamples)
  return estimate


def mean_curve(returns, num_resamples):
  """Estimates of the mean over runs at each point, given `[runs, points]`."""
  array = np.asarray(returns, float)[:, np.newaxis]
  return _estimates(array, lambda x: x.mean(axis=(0, 1)), num_resamples)


def aggregate(scores, num_resamples):
  """Computes `{name in AGGREGATES: Estimate}` over runs and tasks."""

  def of(matrix):
    return np.array([function(matrix) for function in AGGREGATES.values()])

  estimates = _estimates(np.asarray(scores, float), of, num_resamples)
  return dict(zip(AGGREGATES, estimates))


def iqm_curve(scores, num_resamples):
  """Estimates of the IQM at each point, given `[runs, tasks, points]`."""
  return _estimates(np.asarray(scores, float), iqm, num_resamples)


def probability_of_improvement(scores_x, scores_y, num_resamples):
  """Probability that a run of x scores higher than one of y, task average.

  Args:
    scores_x: `[runs, tasks]`.
    scores_y: `[runs, tasks]`, of the same tasks.
    num_resamples: int.

  Returns:
    Estimate; ties count half.
  """
  pair = [np.asarray(scores_x, float), np.asarray(scores_y, float)]

  def of(x, y):
    # The same as rliable's metric, 100 times as fast.
    x, y = x[:, np.newaxis], y[np.newaxis]
    return np.array([np.mean((x > y) + 0.5 * (x == y))])

  [estimate] = _estimates(pair, of, num_resamples)
  return estimate


def iqm_ratio(scores_x, scores_y, num_resamples):
  """Estimate of IQM(x) / IQM(y) of two `[runs, tasks]` of the same tasks."""
  pair = [np.asarray(scores_x, float), np.asarray(scores_y, float)]
  [estimate] = _estimates(
    pair, lambda x, y: np.array([iqm(x) / iqm(y)]), num_resamples
  )
  return estimate


def chance_of_separation(scores_x, scores_y):
  """Probability that one of two equal methods wins every comparison of runs.

  Args:
    scores_x: `[runs, tasks]`.
    scores_y: `[runs, tasks]`, of the same tasks.

  Returns:
    float; the interval of such a pair has zero width.
  """
  orders = math.comb(len(scores_x) + len(scores_y), len(scores_x))
  return min(1.0, 2 / orders ** scores_x.shape[1])


def performance_profile(scores, thresholds, num_resamples):
  """Estimates of the fraction of runs and tasks above each threshold."""
  thresholds = np.asarray(thresholds, float)

  def of(matrix):
    return (matrix.reshape(-1, 1) > thresholds).mean(axis=0)

  return _estimates(np.asarray(scores, float), of, num_resamples)


def _estimates(scores, function, num_resamples):
  """Point estimates and intervals of `function`, deterministic."""
  parts = [scores] if isinstance(scores, np.ndarray) else scores
  if min(len(part) for part in parts) < _MIN_RUNS:
    return [Estimate(float(v), np.nan, np.nan) for v in function(*parts)]
  # rliable draws from NumPy's global generator, whatever it is given; its state
  # is restored for the caller.
  state = np.random.get_state()
  np.random.seed(_SEED)
  try:
    values, intervals = library.get_interval_estimates(
      {'x': scores},
      function,
      reps=num_resamples,
      confidence_interval_size=INTERVAL,
    )
  finally:
    np.random.set_state(state)
  return [
    Estimate(*map(float, row)) for row in zip(values['x'], *intervals['x'])
  ]
