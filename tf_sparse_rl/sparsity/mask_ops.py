"""Pure functions of masks and scores; a mask is float32 of 0 and 1.

All give the same result eagerly, in `tf.function` and compiled by XLA. Scores
are not sorted: the k highest are found by bisection on the bits of the score,
which takes 32 passes over the tensor for any k.
"""

import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl.native import backend
from tf_sparse_rl.native import updates as native_updates

_INT32_MIN = np.int32(np.iinfo(np.int32).min)
# Largest group whose entries are ranked by comparing all pairs.
_MOST_COMPARED = 32
_INFINITY_BITS = np.int32(0x7F800000)


def random_mask(shape, num_zeros, seed):
  """Draws a mask with an exact number of zeros in random places.

  Args:
    shape: shape of the mask.
    num_zeros: number of zeros.
    seed: int or `numpy.random.SeedSequence`; the same seed gives the same
      mask in every process.

  Returns:
    NumPy array, float32 of 0 and 1.
  """
  mask = np.ones(math.prod(shape), np.float32)
  mask[:num_zeros] = 0
  np.random.default_rng(seed).shuffle(mask)
  return mask.reshape(shape)


def top_k_mask(scores, k, eligible=None):
  """Marks the k highest scores; the lower index wins a tie.

  Args:
    scores: float32 tensor of any shape; NaN is the lowest score.
    k: int scalar, at most the number of eligible entries.
    eligible: bool tensor, entries that may be marked; all if None.

  Returns:
    bool tensor of the shape of `scores`.
  """
  if eligible is not None and backend.is_native_eagerly():
    return native_updates.top_k_mask(scores, k, eligible)
  keys = _ordered_int32(scores)
  if eligible is not None:
    # No float maps to the lowest int32, so these rank below every score.
    keys = tf.where(eligible, keys, _INT32_MIN)
  marked = _marked(tf.reshape(keys, [-1]), tf.cast(k, tf.int32))
  marked = tf.reshape(marked, tf.shape(keys))
  return marked if eligible is None else marked & eligible


def drop_and_grow(mask, drop_scores, grow_scores, drop_fraction, num_more=0):
  """Replaces a fraction of the active connections.

  Drops the `trunc(drop_fraction * active)` active connections with the lowest
  `drop_scores` and activates as many with the highest `grow_scores` among all
  that are not kept, including those just dropped. An inactive connection is
  never kept, whatever its score.

  Args:
    mask: float32 tensor of 0 and 1.
    drop_scores: float32 tensor of the same shape.
    grow_scores: float32 tensor of the same shape.
    drop_fraction: float scalar in [0, 1].
    num_more: int scalar, number of additional connections to activate.

  Returns:
    The new mask, float32, with `num_more` more ones than `mask`.

  Reference: Evci et al. 2020, algorithm 1.
  """
  stays = kept(mask, drop_scores, drop_fraction)
  num_dropped = _count(tf.convert_to_tensor(mask) > 0) - _count(stays)
  grown = top_k_mask(grow_scores, num_dropped + num_more, eligible=~stays)
  return tf.cast(stays | grown, tf.float32)


def kept(mask, drop_scores, drop_fraction):
  """Returns the active connections that `drop_and_grow` does not drop.

  Args:
    mask: float32 tensor of 0 and 1.
    drop_scores: float32 tensor of the same shape.
    drop_fraction: float scalar in [0, 1].

  Returns:
    bool tensor of the same shape.
  """
  active = tf.convert_to_tensor(mask, tf.float32) > 0
  num_active = _count(active)
  num_dropped = tf.cast(
    tf.cast(num_active, tf.float32) * tf.cast(drop_fraction, tf.float32),
    tf.int32,
  )
  return top_k_mask(drop_scores, num_active - num_dropped, eligible=active)


def zeros_of_each(masks, scores, num_zeros):
  """Distributes zeros among several masks by one threshold on scores.

  Args:
    masks: list of float32 tensors of 0 and 1.
    scores: list of float32 tensors of the same shapes; the lowest are pruned.
    num_zeros: int scalar, total number of zeros of the masks.

  Returns:
    List of int32 scalars, the number of zeros of each mask.
  """
  flat = tf.concat([tf.reshape(score, [-1]) for score in scores], 0)
  active = tf.concat([tf.reshape(mask, [-1]) for mask in masks], 0) > 0
  kept = top_k_mask(flat, flat.shape[0] - num_zeros, eligible=active)
  sizes = [score.shape.num_elements() for score in scores]
  parts = tf.split(tf.cast(kept, tf.int32), sizes)
  return [size - tf.reduce_sum(part) for size, part in zip(sizes, parts)]


def top_of_group(scores, k, eligible):
  """Marks the k highest scores of each group; the lower index wins a tie.

  Args:
    scores: float32 tensor `[groups, size]`; NaN is the lowest score.
    k: int32 scalar, or tensor `[groups, 1]`.
    eligible: bool tensor `[groups, size]`, entries that may be marked.

  Returns:
    bool tensor `[groups, size]`.
  """
  keys = tf.where(eligible, _ordered_int32(scores), _INT32_MIN)
  is_small = keys.shape[-1] <= _MOST_COMPARED
  rank = _rank_by_comparison(keys) if is_small else _rank_by_sorting(keys)
  return eligible & (rank < k)


def _rank_by_comparison(keys):
  """Ranks the entries of each group by comparing all pairs."""
  index = np.arange(keys.shape[-1])
  one, other = keys[:, :, tf.newaxis], keys[:, tf.newaxis, :]
  is_before = (other > one) | ((other == one) & (index < index[:, np.newaxis]))
  return tf.reduce_sum(tf.cast(is_before, tf.int32), -1)


def _rank_by_sorting(keys):
  """Ranks the entries of each group by sorting, for large groups."""
  # The lowest int32, the key of entries that are not eligible, has no negative.
  order = tf.argsort(-tf.maximum(keys, _INT32_MIN + 1), axis=-1, stable=True)
  return tf.argsort(order, axis=-1, stable=True)


def _count(condition):
  return tf.reduce_sum(tf.cast(condition, tf.int32))


def _ordered_int32(scores):
  """Maps floats to int32 in the same order; NaN to -infinity."""
  # Only on the bits: float arithmetic may flush denormal numbers to 0.
  bits = tf.bitcast(tf.convert_to_tensor(scores, tf.float32), tf.int32)
  magnitude = tf.bitwise.bitwise_and(bits, 0x7FFFFFFF)
  keys = tf.where(bits < 0, -magnitude, magnitude)
  return tf.where(magnitude > _INFINITY_BITS, -_INFINITY_BITS, keys)


# Traced once for all layers: tracing it in each would take half of the time of
# tracing a mask update.
@tf.function(
  input_signature=[
    tf.TensorSpec([None], tf.int32),
    tf.TensorSpec([], tf.int32),
  ],
  autograph=False,
)
def _marked(keys, k):
  """Marks the k highest keys `[entries]`; the first win a tie."""
  threshold = _kth_highest(keys, k)
  above = keys > threshold
  tied = keys == threshold
  rank = tf.cumsum(tf.cast(tied, tf.int32))
  return above | (tied & (rank <= k - _count(above)))


def _kth_highest(keys, k):
  """Returns the largest t with at least k keys >= t, found bit by bit."""
  threshold = tf.where(_count(keys >= 0) >= k, np.int32(0), _INT32_MIN)

  def next_bit(bit, threshold):
    candidate = threshold | tf.bitwise.left_shift(np.int32(1), bit)
    enough = _count(keys >= candidate) >= k
    return bit - 1, tf.where(enough, candidate, threshold)

  _, threshold = tf.while_loop(
    lambda bit, _: bit >= 0, next_bit, (tf.constant(30), threshold)
  )
  return threshold
