"""Dormant units and the rank of features."""

import numpy as np


def dormant_fraction(activations, threshold):
  """Share of hidden units that say next to nothing.

  A unit is dormant if its mean |activation| over the batch is at most
  `threshold` times the mean of that over the units of its layer. In a layer
  that is 0 throughout, all are. A channel of a convolution is one unit.

  Args:
    activations: list of float arrays `[batch, ..., units]`, one a hidden layer.
    threshold: of the score, at least 0.

  Returns:
    float in [0, 1], over the units of all layers.

  Reference: Sokar et al. 2023, definitions 3.1 and 3.2.
  """
  dormant = []
  for layer in activations:
    sizes = np.abs(layer).mean(axis=tuple(range(layer.ndim - 1)))
    dormant.append(sizes <= threshold * sizes.mean())
  return float(np.concatenate(dormant).mean())


def srank(singular_values, delta=0.01):
  """The least number of singular values that make up `1 - delta` of them all.

  Args:
    singular_values: of the features, from the largest on.
    delta: share that may be left.

  Returns:
    int; 0 for features that are 0 throughout.

  Reference: Kumar et al. 2021, equation 2.
  """
  total = singular_values.sum()
  if total == 0:
    return 0
  shares = np.cumsum(singular_values) / total
  # The last is 1 but for rounding.
  return int(np.argmax(shares >= min(1 - delta, shares[-1]))) + 1


def effective_rank(singular_values):
  """Exponential of the entropy of the normalised singular values.

  Args:
    singular_values: of the features, none negative.

  Returns:
    float from 1 to their number; 0 for features that are 0 throughout.

  Reference: Roy & Vetterli 2007, definition 1.
  """
  total = singular_values.sum()
  if total == 0:
    return 0.0
  shares = singular_values[singular_values > 0] / total
  return float(np.exp(-(shares * np.log(shares)).sum()))
