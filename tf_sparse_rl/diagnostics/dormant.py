"""Dormant units of a network."""

import numpy as np

from tf_sparse_rl.diagnostics import base

# Of the scores of Sokar et al. 2023, who use 0.025 and, for ReDo, 0.1.
THRESHOLDS = (0.0, 0.025, 0.1)


class Diagnosis(base.Diagnosis):
  """Fraction of dormant units, at several thresholds."""

  def of_network(self, view):
    units = view.trace.units
    return {
      f'Dormant/{view.name}/{threshold:g}': fraction(units, threshold)
      for threshold in THRESHOLDS
      if units  # In a custom network they may be further layers.
    }


def fraction(activations, threshold):
  """Computes the fraction of dormant hidden units.

  A unit is dormant if its mean |activation| over the batch is at most
  `threshold` times the mean of that over the units of its layer. In a layer
  that is 0 throughout, all are. A channel of a convolution is one unit.

  Args:
    activations: list of float arrays `[batch, ..., units]`, one per hidden
      layer.
    threshold: of the score, at least 0.

  Returns:
    float in [0, 1], over the units of all layers.

  Reference: Sokar et al. 2023, definitions 3.1 and 3.2.
  """
  dormant = [are_dormant(layer, threshold) for layer in activations]
  return float(np.concatenate(dormant).mean())


def are_dormant(activations, threshold):
  """Mask of the dormant units of a layer, bool `[units]`; see `fraction`."""
  sizes = np.abs(activations).mean(axis=tuple(range(activations.ndim - 1)))
  return sizes <= threshold * sizes.mean()
