"""Masks of whole blocks; of a block of one entry, any mask."""

import functools
import operator

import tensorflow as tf

from tf_sparse_rl.sparsity import distributions, mask_ops


class Blocks:
  """Entries of a block are active together; a block of one is an entry.

  A block's score is the sum of its entries' scores.
  """

  def __init__(self, inputs=1, units=1):
    """Keeps the size of a block.

    Args:
      inputs: consecutive inputs of a block.
      units: consecutive units of a block.
    """
    self._rows, self._columns = inputs, units
    self._size = inputs * units

  @property
  def has_pattern(self):
    """Whether not any mask will do."""
    return self._size > 1

  def check(self, name, shape):
    """Refuses a kernel that does not divide into blocks.

    Args:
      name: of the layer.
      shape: of its kernel.

    Raises:
      ValueError: if so.
    """
    if shape[-2] % self._rows or shape[-1] % self._columns:
      raise does_not_divide(name, shape, f'{self._rows} x {self._columns}')

  def num_zeros(self, shape, layer_sparsity):
    """Zeros of a layer: its budget, rounded down to whole blocks."""
    budget = distributions.num_zeros(shape, layer_sparsity)
    return budget // self._size * self._size

  def random_mask(self, shape, layer_sparsity, seed):
    """A mask with `num_zeros` zeros; see `mask_ops.random_mask`."""
    *lead, rows, columns = shape
    blocks = mask_ops.random_mask(
      (*lead, rows // self._rows, columns // self._columns),
      self.num_zeros(shape, layer_sparsity) // self._size,
      seed,
    )
    return blocks.repeat(self._rows, -2).repeat(self._columns, -1)

  def drop_and_grow(
    self, mask, drop_scores, grow_scores, drop_fraction, num_more=0
  ):
    """Drops and grows blocks, by the sums of their scores."""
    return self._spread(
      mask_ops.drop_and_grow(
        self._firsts(mask),
        self._sums(drop_scores),
        self._sums(grow_scores),
        drop_fraction,
        num_more // self._size,
      )
    )

  def prune(self, mask, scores, num_zeros):
    """Deactivates what has the lowest scores.

    Args:
      mask: float32 tensor of 0 and 1.
      scores: float32 tensor of the same shape.
      num_zeros: int scalar, zeros that the new mask is to have.

    Returns:
      The new mask, float32; nothing in it that `mask` has not.
    """
    blocks = self._firsts(mask)
    kept = mask_ops.top_k_mask(
      self._sums(scores),
      blocks.shape.num_elements() - num_zeros // self._size,
      eligible=blocks > 0,
    )
    return self._spread(tf.cast(kept, tf.float32))

  def _tiles(self, values):
    *lead, rows, columns = values.shape
    a, b = self._rows, self._columns
    return tf.reshape(values, [*lead, rows // a, a, columns // b, b])

  def _firsts(self, mask):
    """One entry of each block of a mask."""
    return mask if self._size == 1 else self._tiles(mask)[..., 0, :, 0]

  def _sums(self, scores):
    """Score of each block."""
    if self._size == 1:
      return scores
    tiles = self._tiles(scores)
    # One after the other: reduce_sum rounds differently when compiled.
    return functools.reduce(
      operator.add,
      (
        tiles[..., i, :, j]
        for i in range(self._rows)
        for j in range(self._columns)
      ),
    )

  def _spread(self, blocks):
    """The entries of each block."""
    if self._size == 1:
      return blocks
    return tf.repeat(tf.repeat(blocks, self._rows, -2), self._columns, -1)


def does_not_divide(name, shape, into):
  """The error of a kernel that does not divide into blocks or groups."""
  return ValueError(
    f'Expected a kernel that divides into {into}. Received: {name!r} of shape '
    f'{tuple(shape)}. Leave it dense, with sparsity 0 in `custom` or '
    '--custom_sparsity.'
  )
