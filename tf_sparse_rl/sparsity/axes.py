"""Which axes of a weight run over inputs, units and positions."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Weight(NamedTuple):
  """A weight of a layer kind.

  The other axes run over positions, as those of a convolution's window do.
  """

  name: str  # attribute of the layer, or 'attribute/attribute'
  inputs: tuple[int, ...] = (-2,)  # axes that run over inputs, from the end
  units: tuple[int, ...] = (-1,)  # axes that run over units, from the end


class Axes(NamedTuple):
  """A weight as `[..., inputs, units]` and back; NumPy arrays and tensors."""

  inputs: tuple[int, ...] = (-2,)
  units: tuple[int, ...] = (-1,)

  def matrix_shape(self, shape):
    """Shape of the weight as `to_matrix` returns it.

    Args:
      shape: of the weight.

    Returns:
      Tuple of ints, positions first, then inputs and units.
    """
    axes = self._order(len(shape))
    sizes = [int(shape[axis]) for axis in axes]
    positions = len(shape) - len(self.inputs) - len(self.units)
    inputs = math.prod(sizes[positions : positions + len(self.inputs)])
    units = math.prod(sizes[positions + len(self.inputs) :])
    return (*sizes[:positions], inputs, units)

  def to_matrix(self, values):
    """Moves the axes of inputs and units to the end, and joins them."""
    if self == _LAST_TWO:
      return values
    order = self._order(len(values.shape))
    xp = np if isinstance(values, np.ndarray) else tf
    return xp.reshape(
      xp.transpose(values, order), self.matrix_shape(values.shape)
    )

  def from_matrix(self, values, shape):
    """Undoes `to_matrix` for a weight of a shape."""
    if self == _LAST_TWO:
      return values
    order = self._order(len(shape))
    xp = np if isinstance(values, np.ndarray) else tf
    apart = xp.reshape(values, [int(shape[axis]) for axis in order])
    return xp.transpose(apart, np.argsort(order))

  def _order(self, rank):
    ends = [axis % rank for axis in (*self.inputs, *self.units)]
    return [axis for axis in range(rank) if axis not in ends] + ends


_LAST_TWO = Axes()
