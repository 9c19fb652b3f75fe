"""Sparsity-aware initialization."""

import numpy as np


def rescale_for_fan_in(kernel, mask):
  """Rescales a dense initialization for the fan-in of the mask.

  The incoming weights of a unit are multiplied by
  `sqrt(dense fan-in / active fan-in)`, so that the variance of its
  pre-activation is that of the layer's own initializer. The paper's code draws
  a Glorot-uniform kernel instead, whatever the initializer of the layer.

  Args:
    kernel: array `[..., inputs, units]`.
    mask: array of 0 and 1 of the same shape.

  Returns:
    The rescaled kernel times the mask; units without inputs are 0.

  Reference: Evci et al. 2022, "Gradient Flow in Sparse Neural Networks".
  """
  active = mask.sum(axis=tuple(range(kernel.ndim - 1)))
  dense = kernel.size / kernel.shape[-1]
  rescaled = kernel * mask
  factor = np.sqrt(dense / np.maximum(active, 1))
  return np.multiply(rescaled, factor, out=rescaled, casting='same_kind')
