"""Sparsity-aware initialisation."""

import numpy as np


def rescale_for_fan_in(kernel, mask):
  """Scales a dense initialisation up to the fan-in that is left.

  The incoming weights of a unit are multiplied by
  `sqrt(dense fan-in / active fan-in)`: the variance of its pre-activation is
  then what the layer's own initialiser meant it to be, whatever that is. The
  paper's code draws a Glorot-uniform kernel anew instead, also where the
  layer asks for something else (a small last layer, an orthogonal one).

  Args:
    kernel: array `[..., inputs, units]`.
    mask: array of 0 and 1 of the same shape.

  Returns:
    The kernel times the mask, rescaled; a unit without inputs is all zero.

  Reference: Evci et al. 2022, "Gradient Flow in Sparse Neural Networks".
  """
  active = mask.sum(axis=tuple(range(kernel.ndim - 1)))
  dense = kernel.size / kernel.shape[-1]
  return kernel * mask * np.sqrt(dense / np.maximum(active, 1))
