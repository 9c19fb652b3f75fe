"""Dormant units of a network."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl.diagnostics import base, trace

# Of the scores of Sokar et al. 2023, who use 0.025 and, for ReDo, 0.1.
THRESHOLDS = (0.0, 0.025, 0.1)


class Diagnosis(base.Diagnosis):
  """Fraction of dormant units, at several thresholds."""

  def of_network(self, view):
    activations = [
      of.outputs
      for layer, of in zip(view.layers[:-1], view.trace.layers)
      # Not before a sum, whose units have their activation after it.
      if trace.plain(layer).activation is not tf.keras.activations.linear
    ]
    return {
      f'Dormant/{view.name}/{threshold:g}': fraction(activations, threshold)
      for threshold in THRESHOLDS
      if activations  # In a custom network activations may be further layers.
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
  dormant = []
  for layer in activations:
    sizes = np.abs(layer).mean(axis=tuple(range(layer.ndim - 1)))
    dormant.append(sizes <= threshold * sizes.mean())
  return float(np.concatenate(dormant).mean())
