"""Masks by hand, then against a stable argsort of NumPy."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_sparse_rl.sparsity import mask_ops

_INF = float('inf')
_NAN = float('nan')


def _top_k(scores, k, eligible=None):
  if eligible is not None:
    eligible = tf.constant(np.array(eligible, bool))
  found = mask_ops.top_k_mask(tf.constant(scores, tf.float32), k, eligible)
  return found.numpy().astype(int).tolist()


@pytest.mark.parametrize(
  ('scores', 'k', 'expected'),
  [
    ([3, 1, 4, 1, 5, 9, 2, 6], 3, [0, 0, 0, 0, 1, 1, 0, 1]),
    ([3, 1, 4, 1, 5, 9, 2, 6], 0, [0, 0, 0, 0, 0, 0, 0, 0]),
    ([3, 1, 4, 1, 5, 9, 2, 6], 8, [1, 1, 1, 1, 1, 1, 1, 1]),
    # Ties go to the lowest index.
    ([7, 7, 7, 7, 7, 7, 7, 7], 3, [1, 1, 1, 0, 0, 0, 0, 0]),
    ([0, 2, 1, 2, 1, 2, 1, 0], 4, [0, 1, 1, 1, 0, 1, 0, 0]),
    # Negative scores are ordered too, and -0.0 equals 0.0.
    ([-3, -1, -4, -1, -5, -9, -2, -6], 3, [0, 1, 0, 1, 0, 0, 1, 0]),
    ([-0.0, 0.0, -0.0, 0.0, -1, -1, -1, -1], 3, [1, 1, 1, 0, 0, 0, 0, 0]),
    ([0.0, -0.0, 1, -0.0, 0.0, -1, -1, -1], 3, [1, 1, 1, 0, 0, 0, 0, 0]),
    # Infinities have their places, NaN counts as the lowest.
    ([_INF, -_INF, 0, _INF, -_INF, 1, 2, 3], 3, [1, 0, 0, 1, 0, 0, 0, 1]),
    ([_NAN, 1, _NAN, 2, 3, -1, -2, _NAN], 5, [0, 1, 0, 1, 1, 1, 1, 0]),
    ([_NAN, 1, -_NAN, 2, 3, -1, -2, _NAN], 6, [1, 1, 0, 1, 1, 1, 1, 0]),
  ],
)
def test_top_k_mask_by_hand(scores, k, expected):
  assert _top_k(scores, k) == expected


@pytest.mark.parametrize(
  ('k', 'expected'),
  [
    (0, [0, 0, 0, 0, 0, 0, 0, 0]),
    (2, [0, 0, 0, 0, 0, 1, 1, 0]),
    (4, [0, 1, 0, 1, 0, 1, 1, 0]),
    # More than there are: only what is eligible.
    (6, [0, 1, 0, 1, 0, 1, 1, 0]),
  ],
)
def test_top_k_mask_marks_eligible_entries_only(k, expected):
  scores = [9, -8, 9, -_INF, 9, 2, -1, 9]
  assert _top_k(scores, k, [0, 1, 0, 1, 0, 1, 1, 0]) == expected


def _drop_and_grow(mask, drop_scores, grow_scores, drop_fraction):
  arguments = [np.float32(a) for a in (mask, drop_scores, grow_scores)]
  new = mask_ops.drop_and_grow(*arguments, drop_fraction)
  assert new.dtype == tf.float32
  return new.numpy().astype(int).tolist()


_MASK = [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
  ('drop', 'grow', 'fraction', 'expected'),
  [
    # Two of four go, the two best of the rest come.
    ([4, 1, 3, 2, 0, 0, 0, 0], [0, 0, 0, 0, 1, 4, 3, 2], 0.5,
     [1, 0, 1, 0, 0, 1, 1, 0]),
    # trunc(0.49 * 4) = 1.
    ([4, 1, 3, 2, 0, 0, 0, 0], [0, 0, 0, 0, 1, 4, 3, 2], 0.49,
     [1, 0, 1, 1, 0, 1, 0, 0]),
    ([4, 1, 3, 2, 0, 0, 0, 0], [0, 0, 0, 0, 1, 4, 3, 2], 0.0, _MASK),
    # What is dropped may come back; what is kept cannot be grown again.
    ([4, 1, 3, 2, 0, 0, 0, 0], [9, 8, 9, 7, 1, 4, 3, 2], 0.5, _MASK),
    ([4, 1, 3, 2, 0, 0, 0, 0], [9, 3, 9, 0, 1, 4, 3, 2], 0.5,
     [1, 1, 1, 0, 0, 1, 0, 0]),
    # All are replaced.
    ([4, 1, 3, 2, 0, 0, 0, 0], [0, 0, 0, 0, 1, 4, 3, 2], 1.0,
     [0, 0, 0, 0, 1, 1, 1, 1]),
    # Ties go to the lowest index when kept and when grown.
    ([1, 1, 1, 1, 1, 1, 1, 1], [5, 5, 5, 5, 5, 5, 5, 5], 0.5, _MASK),
    ([0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2, 2, 2, 2], 0.5,
     [1, 1, 0, 0, 1, 1, 0, 0]),
    # An inactive entry is never kept: not on a tie, not on a higher score.
    ([0, 0, 0, 0, 0, 0, 0, 0], [-1, -2, -3, -4, -9, -9, -9, -9], 0.25, _MASK),
    ([-4, -1, -3, -2, 9, 9, 9, 9], [0, 0, 0, 0, 1, 4, 3, 2], 0.25,
     [0, 1, 1, 1, 0, 1, 0, 0]),
    # Growth scores below those of kept connections, all negative.
    ([4, 1, 3, 2, 0, 0, 0, 0], [-1, -9, -1, -9, -8, -7, -6, -5], 0.5,
     [1, 0, 1, 0, 0, 0, 1, 1]),
    # A weight that became NaN is dropped first; a NaN gradient grows last.
    ([4, 1, _NAN, 2, 0, 0, 0, 0], [0, 0, 0, 0, _NAN, 4, 3, 2], 0.25,
     [1, 1, 0, 1, 0, 1, 0, 0]),
  ],
)  # fmt: skip
def test_drop_and_grow_by_hand(drop, grow, fraction, expected):
  assert _drop_and_grow(_MASK, drop, grow, fraction) == expected


def test_inactive_entries_are_not_kept_when_all_scores_are_zero():
  """The active entries come last: ties would favour the inactive ones."""
  mask = [0, 0, 0, 0, 1, 1, 1, 1]
  grow = [0, 0, 0, 0, 1, 1, 1, 1]
  assert _drop_and_grow(mask, [0] * 8, grow, 0.5) == mask


def test_full_and_empty_masks_stay():
  scores = [1, 2, 3, 4, 5, 6, 7, 8]
  for mask in ([1] * 8, [0] * 8):
    assert _drop_and_grow(mask, scores, scores, 0.5) == mask


def _best(scores, k, eligible):
  """The k best by a stable sort; NaN like -infinity, ties to the front."""
  scores = np.where(np.isnan(scores), -np.inf, scores).ravel()
  order = np.argsort(-scores, kind='stable')
  order = order[eligible.ravel()[order]]
  marked = np.zeros(scores.size, bool)
  marked[order[:k]] = True
  return marked.reshape(eligible.shape)


def _scores(rng, shape, kind):
  """Scores of which some are equal, special or tiny, by kind."""
  scores = rng.normal(size=shape)
  if kind == 'ties':
    scores = np.round(scores)
  if kind == 'specials':
    values = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0]
    scores = rng.choice(values, size=shape)
  if kind == 'magnitudes':
    scores = np.exp(20 * scores)
  return scores.astype(np.float32)


_SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=4)
_KINDS = st.sampled_from(['normal', 'ties', 'specials', 'magnitudes'])


@hypothesis.given(_SHAPES, _KINDS, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_top_k_mask_agrees_with_a_stable_sort(shape, kind, fraction, seed):
  rng = np.random.default_rng(seed)
  scores = _scores(rng, shape, kind)
  eligible = rng.uniform(size=shape) < rng.uniform()
  k = round(fraction * eligible.sum())
  found = mask_ops.top_k_mask(scores, k, tf.constant(eligible)).numpy()
  np.testing.assert_array_equal(found, _best(scores, k, eligible))
  found = mask_ops.top_k_mask(scores, k).numpy()
  np.testing.assert_array_equal(found, _best(scores, k, np.ones(shape, bool)))


@hypothesis.given(_SHAPES, _KINDS, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_drop_and_grow_agrees_with_a_stable_sort(shape, kind, fraction, seed):
  rng = np.random.default_rng(seed)
  mask = (rng.uniform(size=shape) < rng.uniform()).astype(np.float32)
  drop, grow = _scores(rng, shape, kind), _scores(rng, shape, kind)
  dropped = int(np.float32(mask.sum()) * np.float32(fraction))
  kept = _best(drop, int(mask.sum()) - dropped, mask > 0)
  grown = _best(grow, dropped, ~kept)
  found = mask_ops.drop_and_grow(mask, drop, grow, fraction).numpy()
  np.testing.assert_array_equal(found, kept | grown)
  assert found.sum() == mask.sum()


@pytest.mark.parametrize('shape', [(8,), (3, 3, 4, 8), (70, 130)])
@pytest.mark.parametrize('kind', ['normal', 'specials'])
def test_same_result_eager_in_a_graph_and_compiled(shape, kind):
  rng = np.random.default_rng(0)
  mask = mask_ops.random_mask(shape, int(0.7 * np.prod(shape)), 0)
  arguments = [mask, _scores(rng, shape, kind), _scores(rng, shape, kind), 0.3]
  arguments = [tf.constant(a, tf.float32) for a in arguments]
  eager = mask_ops.drop_and_grow(*arguments)
  for compiled in (False, True):
    function = tf.function(mask_ops.drop_and_grow, jit_compile=compiled)
    np.testing.assert_array_equal(function(*arguments), eager)


@pytest.mark.parametrize('compiled', [None, False, True])
def test_scores_too_small_for_normal_floats_keep_their_order(compiled):
  """Processors that flush such numbers to 0 do not change the result."""
  bits = np.array([1, 3, 2, 0, 8, 5, 0x7FFFFF, 0x800000], np.int32)
  scores = tf.constant(bits.view(np.float32))
  function = mask_ops.top_k_mask
  if compiled is not None:
    function = tf.function(function, jit_compile=compiled)
  found = function(scores, tf.constant(4)).numpy().astype(int)
  assert found.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
  ('shape', 'num_zeros'), [((8,), 3), ((8,), 0), ((8,), 8), ((3, 3, 4, 8), 101)]
)
def test_random_mask_has_exact_counts(shape, num_zeros):
  mask = mask_ops.random_mask(shape, num_zeros, [0, 1])
  assert mask.shape == shape
  assert mask.dtype == np.float32
  assert np.sum(mask == 0) == num_zeros
  assert np.sum(mask == 1) == mask.size - num_zeros


def test_random_mask_depends_on_its_seed():
  def draw(seed):
    return mask_ops.random_mask((64,), 32, seed).tolist()

  assert draw([0, 1]) == draw([0, 1])
  assert draw([0, 1]) != draw([0, 2])
  assert draw([0, 1]) != draw([1, 1])


def test_random_mask_is_uniform():
  """Over many draws every entry is zero equally often, to 5 sigma."""
  total = sum(mask_ops.random_mask((16,), 4, s) for s in range(2000))
  assert np.all(np.abs(total / 2000 - 0.75) < 5 * np.sqrt(0.25 * 0.75 / 2000))
