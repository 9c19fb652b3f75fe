"""Masks made of whole blocks; with blocks of one entry, unstructured masks."""

import functools
import operator

import tensorflow as tf

from tf_sparse_rl.sparsity import distributions, mask_ops


class Blocks:
  """The entries of a block are active or inactive together.

  The score of a block is the sum of the scores of its entries.
  """

  def __init__(self, inputs=1, units=1):
    """Initializes the structure.

    Args:
      inputs: consecutive inputs of a block.
      units: consecutive units of a block.
    """
    self._rows, self._columns = inputs, units
    self._size = inputs * units

  @property
  def has_pattern(self):
    """Whether masks are restricted, that is, blocks have several entries."""
    return self._size > 1

  def check(self, name, shape):
    """Checks that a kernel divides into blocks.

    Args:
      name: name of the layer.
      shape: shape of its kernel.

    Raises:
      ValueError: if it does not.
    """
    if shape[-2] % self._rows or shape[-1] % self._columns:
      raise does_not_divide(name, shape, f'{self._rows} x {self._columns}')

  def num_zeros(self, shape, layer_sparsity):
    """Returns the number of zeros of a layer, rounded down to whole blocks."""
    budget = distributions.num_zeros(shape, layer_sparsity)
    return budget // self._size * self._size

  def random_mask(self, shape, layer_sparsity, seed):
    """Draws a mask with `num_zeros` zeros; see `mask_ops.random_mask`."""
    *lead, rows, columns = shape
    blocks = mask_ops.random_mask(
      (*lead, rows // self._rows, columns // self._columns),
      self.num_zeros(shape, layer_sparsity) // self._size,
      seed,
    )
    if self._size == 1:
      return blocks
    return blocks.repeat(self._rows, -2).repeat(self._columns, -1)

  def drop_and_grow(
    self, mask, drop_scores, grow_scores, drop_fraction, num_more=0
  ):
    """Drops and grows blocks by the sums of their scores."""
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
    """Deactivates the blocks of the lowest scores.

    Args:
      mask: float32 tensor of 0 and 1.
      scores: float32 tensor of the same shape.
      num_zeros: int scalar, number of zeros of the new mask.

    Returns:
      The new mask, float32; its ones are a subset of those of `mask`.
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
    """Returns the first entry of each block of a mask."""
    return mask if self._size == 1 else self._tiles(mask)[..., 0, :, 0]

  def _sums(self, scores):
    """Returns the score of each block."""
    if self._size == 1:
      return scores
    tiles = self._tiles(scores)
    # Summed one by one: reduce_sum rounds differently when compiled by XLA.
    return functools.reduce(
      operator.add,
      (
        tiles[..., i, :, j]
        for i in range(self._rows)
        for j in range(self._columns)
      ),
    )

  def _spread(self, blocks):
    """Repeats the value of each block for its entries."""
    if self._size == 1:
      return blocks
    return tf.repeat(tf.repeat(blocks, self._rows, -2), self._columns, -1)


def does_not_divide(name, shape, into):
  """Returns the error for a kernel that does not divide into blocks."""
  return ValueError(
    f'Expected a kernel that divides into {into}. Received: {name!r} of shape '
    f'{tuple(shape)}. Leave it dense, with sparsity 0 in `custom` or '
    '--custom_sparsity.'
  )
