"""Rank of the features that a network computes."""

import numpy as np

from tf_sparse_rl.diagnostics import base


class Diagnosis(base.Diagnosis):
  """Two measures of the rank of the features of the last hidden layer."""

  def of_network(self, view):
    features = view.trace.layers[-1].inputs
    singular_values = np.linalg.svd(features, compute_uv=False)
    return {
      f'Rank/{view.name}/srank': float(srank(singular_values)),
      f'Rank/{view.name}/effective': effective_rank(singular_values),
    }


def srank(singular_values, delta=0.01):
  """Smallest number of singular values that sum to `1 - delta` of the total.

  Args:
    singular_values: of the features, in descending order.
    delta: fraction of the sum that may be missing.

  Returns:
    int; 0 if all features are 0.

  Reference: Kumar et al. 2021, equation 2.
  """
  total = singular_values.sum()
  if total == 0:
    return 0
  shares = np.cumsum(singular_values) / total
  # The last is 1 but for rounding.
  return int(np.argmax(shares >= min(1 - delta, shares[-1]))) + 1


def effective_rank(singular_values):
  """Exponential of the entropy of the normalized singular values.

  Args:
    singular_values: of the features, non-negative.

  Returns:
    float from 1 to their number; 0 if all features are 0.

  Reference: Roy & Vetterli 2007, definition 1.
  """
  total = singular_values.sum()
  if total == 0:
    return 0.0
  shares = singular_values[singular_values > 0] / total
  return float(np.exp(-(shares * np.log(shares)).sum()))
