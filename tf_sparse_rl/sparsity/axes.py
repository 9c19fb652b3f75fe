"""Axes of a weight: inputs, units and positions."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Weight(NamedTuple):
  """A weight of a layer class and the meaning of its axes.

  The remaining axes are positions, such as those of a convolution's window.
  """

  name: str  # attribute of the layer; 'cell/kernel' for one of `cell`
  inputs: tuple[int, ...] = (-2,)  # axes of the inputs, counted from the end
  units: tuple[int, ...] = (-1,)  # axes of the units, counted from the end


class Axes(NamedTuple):
  """Converts a weight to `[..., inputs, units]` and back."""

  inputs: tuple[int, ...] = (-2,)
  units: tuple[int, ...] = (-1,)

  def matrix_shape(self, shape):
    """Returns the shape of what `to_matrix` returns.

    Args:
      shape: shape of the weight.

    Returns:
      Tuple of ints: positions, inputs, units.
    """
    axes = self._order(len(shape))
    sizes = [int(shape[axis]) for axis in axes]
    positions = len(shape) - len(self.inputs) - len(self.units)
    inputs = math.prod(sizes[positions : positions + len(self.inputs)])
    units = math.prod(sizes[positions + len(self.inputs) :])
    return (*sizes[:positions], inputs, units)

  def to_matrix(self, values):
    """Moves the axes of inputs and units to the end and merges each group.

    Args:
      values: NumPy array or tensor of the shape of the weight.
    """
    if self == _LAST_TWO:
      return values
    order = self._order(len(values.shape))
    xp = np if isinstance(values, np.ndarray) else tf
    return xp.reshape(
      xp.transpose(values, order), self.matrix_shape(values.shape)
    )

  def from_matrix(self, values, shape):
    """Inverts `to_matrix` for a weight of the given shape."""
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
