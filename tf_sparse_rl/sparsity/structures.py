"""Structures of masks: unstructured, blocks, units, N:M sparsity.

Kernels are `[..., inputs, units]`, see `axes.Axes`. Mask updates and random
masks keep the structure; unstructured ones are those of `mask_ops`.
"""

import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl.sparsity import blocks, distributions, mask_ops
from tf_sparse_rl.sparsity.blocks import Blocks


class NOfM:
  """N:M sparsity: N of M consecutive inputs of each unit are active.

  The weakest connections are dropped anywhere and grown where some were
  dropped, so that every group keeps N connections.
  """

  def __init__(self, n, m):
    """Initializes the structure.

    Args:
      n: number of active entries of a group.
      m: number of entries of a group.
    """
    self._n, self._m = n, m

  has_pattern = True

  def check(self, name, shape):
    """Checks that a kernel divides into groups; see `Blocks.check`."""
    if shape[-2] % self._m:
      raise blocks.does_not_divide(name, shape, f'groups of {self._m} inputs')

  def num_zeros(self, shape, layer_sparsity):
    """Returns the number of zeros of the pattern."""
    del layer_sparsity
    return math.prod(shape) // self._m * (self._m - self._n)

  def random_mask(self, shape, layer_sparsity, seed):
    """Draws a mask of the pattern; see `mask_ops.random_mask`."""
    del layer_sparsity
    pattern = np.arange(self._m) < self._n
    groups = np.tile(pattern, (math.prod(shape) // self._m, 1))
    mask = np.random.default_rng(seed).permuted(groups, axis=1)
    *lead, inputs, units = shape
    mask = mask.reshape([*lead, units, inputs]).swapaxes(-2, -1)
    return mask.astype(np.float32)

  def drop_and_grow(self, mask, drop_scores, grow_scores, drop_fraction):
    """Drops connections, then grows in each group to N again."""
    kept = mask_ops.kept(mask, drop_scores, drop_fraction)
    groups = self._groups(tf.cast(kept, tf.int32))
    room = self._n - tf.reduce_sum(groups, -1, keepdims=True)
    grown = mask_ops.top_of_group(
      self._groups(grow_scores), room, eligible=groups == 0
    )
    return tf.cast(kept | self._ungroup(grown, mask.shape), tf.float32)

  def prune(self, mask, scores, num_zeros):
    """Keeps the best N of each group, then the best of all others."""
    active = mask > 0
    best = mask_ops.top_of_group(
      self._groups(scores), self._n, eligible=self._groups(active)
    )
    best = self._ungroup(best, mask.shape)
    size = mask.shape.num_elements()
    others = mask_ops.top_k_mask(
      scores, size // self._m * (self._m - self._n) - num_zeros, active & ~best
    )
    return tf.cast(best | others, tf.float32)

  def _groups(self, values):
    """`[groups, m]`."""
    return tf.reshape(tf.linalg.matrix_transpose(values), [-1, self._m])

  def _ungroup(self, groups, shape):
    *lead, inputs, units = shape
    return tf.linalg.matrix_transpose(
      tf.reshape(groups, [*lead, units, inputs])
    )


class Units:
  """All connections of a unit or channel are active or inactive together.

  The score of a unit is the sum of the scores of its connections.
  """

  has_pattern = True

  def check(self, name, shape):
    """Accepts every kernel; see `Blocks.check`."""

  def num_zeros(self, shape, layer_sparsity):
    """Returns the number of zeros of a layer, rounded down to whole units."""
    size = math.prod(shape) // shape[-1]
    return distributions.num_zeros(shape, layer_sparsity) // size * size

  def random_mask(self, shape, layer_sparsity, seed):
    """Draws a mask with `num_zeros` zeros; see `mask_ops.random_mask`."""
    size = math.prod(shape) // shape[-1]
    zeros = self.num_zeros(shape, layer_sparsity) // size
    units = mask_ops.random_mask(shape[-1:], zeros, seed)
    return np.broadcast_to(units, shape).copy()

  def drop_and_grow(
    self, mask, drop_scores, grow_scores, drop_fraction, num_more=0
  ):
    """Drops and grows whole units by the sums of their scores."""
    units = mask_ops.drop_and_grow(
      self._first(mask),
      self._sum(drop_scores),
      self._sum(grow_scores),
      drop_fraction,
      num_more // (mask.shape.num_elements() // mask.shape[-1]),
    )
    return tf.broadcast_to(units, mask.shape)

  def prune(self, mask, scores, num_zeros):
    """Prunes whole units by the sums of their scores."""
    size = mask.shape.num_elements() // mask.shape[-1]
    kept = mask_ops.top_k_mask(
      self._sum(scores),
      mask.shape[-1] - num_zeros // size,
      eligible=self._first(mask) > 0,
    )
    return tf.broadcast_to(tf.cast(kept, tf.float32), mask.shape)

  def _first(self, mask):
    return tf.reshape(mask, [-1, mask.shape[-1]])[0]

  def _sum(self, scores):
    return tf.reduce_sum(tf.reshape(scores, [-1, scores.shape[-1]]), 0)


ANY = Blocks()


def make(block_shape=None, n_of_m=None):
  """Creates a structure.

  Args:
    block_shape: (inputs, units) of a block, 'unit' for whole units or channels,
      or None.
    n_of_m: (n, m) or None.

  Returns:
    Blocks, Units or NOfM.

  Raises:
    ValueError: for both, or numbers out of range.
  """
  if block_shape and n_of_m:
    raise ValueError(
      'Expected block_shape or n_of_m, not both. Received: '
      f'block_shape={block_shape}, n_of_m={n_of_m}.'
    )
  if n_of_m:
    if not (_are_two_counts(n_of_m) and n_of_m[0] < n_of_m[1]):
      raise ValueError(
        'Expected n_of_m as in (2, 4), two of four inputs active. Received: '
        f'n_of_m={n_of_m}.'
      )
    return NOfM(*n_of_m)
  if block_shape == 'unit':
    return Units()
  if block_shape and not _are_two_counts(block_shape):
    raise ValueError(
      "Expected block_shape as in (4, 1), four inputs of one unit, or 'unit'. "
      f'Received: block_shape={block_shape}.'
    )
  return Blocks(*(block_shape or (1, 1)))


def _are_two_counts(values):
  return (
    isinstance(values, tuple)
    and len(values) == 2
    and all(isinstance(value, int) and value >= 1 for value in values)
  )
