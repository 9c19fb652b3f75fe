"""Sparsity-aware initialisation."""

import numpy as np


def rescale_for_fan_in(kernel, mask, unit_axis=-1):
  """Scales a dense initialisation up to the fan-in that is left.

  The incoming weights of a unit are multiplied by
  `sqrt(dense fan-in / active fan-in)`: the variance of its pre-activation is
  then what the layer's own initialiser meant it to be, whatever that is. The
  paper's code draws a Glorot-uniform kernel anew instead, also where the
  layer asks for something else (a small last layer, an orthogonal one).

  Args:
    kernel: array `[..., inputs, units]`.
    mask: array of 0 and 1 of the same shape.
    unit_axis: axis of the output units.

  Returns:
    The kernel times the mask, rescaled; a unit without inputs is all zero.

  Reference: Evci et al. 2022, "Gradient Flow in Sparse Neural Networks".
  """
  axis = unit_axis % kernel.ndim
  others = tuple(i for i in range(kernel.ndim) if i != axis)
  active = mask.sum(axis=others, keepdims=True)
  dense = kernel.size / kernel.shape[axis]
  return kernel * mask * np.sqrt(dense / np.maximum(active, 1))
