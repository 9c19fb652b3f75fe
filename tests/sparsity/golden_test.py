"""Masks of eight entries by hand, for every method that chooses them.

Then invariants over many shapes.
"""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import mask_ops, schedules, structures, updaters

_HALF = schedules.ConstantDropFraction(0.5)
_WEIGHT = [4, -1, 3, -2, 0.5, -6, 7, -5]
_GRADIENT = [0, 8, -1, 1, 2, 0.5, 0, -1]
_ONES = [1] * 8
_FRONT = [1, 1, 1, 1, 0, 0, 0, 0]
_ACTIVE = [4, -1, 3, -2, 0, 0, 0, 0]
_OUTSIDE = [0, 0, 0, 0, 1, -4, 3, 2]

# name: (updater, weight, mask, gradient, new mask), at half sparsity; kernels
# with a structure, or units of their own, are `[inputs, units]`.
_BY_HAND = {
  # 3 and 4 stay, gradients 4 and 3 come.
  'rigl': (
    sparsity.RigL(_HALF, 1),
    *(_ACTIVE, _FRONT, _OUTSIDE),
    [1, 0, 1, 0, 0, 1, 1, 0],
  ),
  # Magnitudes 7, 6, 5, 4.
  'prune': (
    sparsity.MagnitudePruning(0, 10),
    *(_WEIGHT, _ONES, _GRADIENT),
    [1, 0, 0, 0, 0, 1, 1, 1],
  ),
  # What is pruned stays away, large as it may be ...
  'prune_again': (
    sparsity.MagnitudePruning(0, 10),
    *(_WEIGHT, _FRONT, _GRADIENT),
    _FRONT,
  ),
  # ... but comes back here.
  'straight_through': (
    sparsity.StraightThrough(0, 10),
    *(_WEIGHT, _FRONT, _GRADIENT),
    [1, 0, 0, 0, 0, 1, 1, 1],
  ),
  # |w g| = 0, 8, 3, 2, 1, 3, 0, 5.
  'saliency': (
    sparsity.SaliencyPruning(0, 10),
    *(_WEIGHT, _ONES, _GRADIENT),
    [0, 1, 1, 0, 0, 1, 0, 1],
  ),
  # One of two goes; it comes back no more than 4, 3 and 2, of which there is
  # room for all: a layer of four has grown.
  'neuroplastic': (
    sparsity.NeuroplasticExpansion(_HALF, 1, 10),
    *([4, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], _OUTSIDE),
    [1, 0, 0, 0, 0, 1, 1, 1],
  ),
  # Two units of two inputs. Kept are 9 and 8; each unit grows one by gradient.
  'srigl': (
    sparsity.SRigL(_HALF, 1, salient_fraction=0.0),
    [[9, 0], [1, 8], [0, 0], [0, 2]],
    [[1, 0], [1, 1], [0, 0], [0, 1]],
    [[0, 0], [0, 0], [5, 1], [6, 3]],
    [[1, 0], [0, 1], [0, 0], [1, 1]],
  ),
  # Kept are 9 and 8, and the largest gradients are of the same unit: the other
  # has nothing salient and goes; all four connections are of the first.
  'srigl_removes_a_unit': (
    sparsity.SRigL(_HALF, 1, salient_fraction=1.0),
    [[9, 0], [8, 0], [0, 1], [0, 2]],
    [[1, 0], [1, 0], [0, 1], [0, 1]],
    [[0, 3], [0, 0], [5, 0], [6, 0]],
    [[1, 0], [1, 0], [1, 0], [1, 0]],
  ),
}


def _new_mask(updater, weight, mask, gradient, structure=structures.ANY):
  state = updaters.KernelState(
    *(tf.constant(x, tf.float32) for x in (weight, mask, gradient)), structure
  )
  return updater.new_mask(state, 0.5, tf.constant(10, tf.int64), 0)


@pytest.mark.parametrize('name', _BY_HAND)
def test_by_hand(name):
  *arguments, expected = _BY_HAND[name]
  np.testing.assert_array_equal(_new_mask(*arguments), expected)


# Inputs x units = 2 x 4, or 4 x 2; scores of a block or a unit are summed.
_PAIRS = [[1, 4, 2, 3], [5, 3, 2, 0]]  # Of units: 6, 7, 4, 3.
_QUADS = [[1, 9], [1, 1], [6, 2], [3, 0]]  # 2 x 2: 12, 11. 2 x 1: 2, 10, 9, 2.


@pytest.mark.parametrize(
  ('structure', 'weight', 'expected'),
  [
    (structures.Units(), _PAIRS, [[1, 1, 0, 0]] * 2),
    (structures.Blocks(2, 1), _QUADS, [[0, 1], [0, 1], [1, 0], [1, 0]]),
    (structures.Blocks(2, 2), _QUADS, [[1, 1], [1, 1], [0, 0], [0, 0]]),
    (structures.Blocks(1, 2), _QUADS, [[1, 1], [0, 0], [1, 1], [0, 0]]),
    (structures.NOfM(2, 4), _QUADS, [[0, 1], [0, 0], [1, 1], [1, 0]]),
    (structures.ANY, _QUADS, [[0, 1], [0, 0], [1, 1], [1, 0]]),
  ],
  ids=['channels', '2x1', '2x2', '1x2', '2of4', 'any'],
)
@pytest.mark.parametrize('updater', ['prune', 'straight_through'])
def test_structures_by_hand(updater, structure, weight, expected):
  """The same for a convolution of one position: a unit is a channel."""
  updater = _BY_HAND[updater][0]
  for lead in ([], [1, 1]):
    kernel = np.reshape(weight, [*lead, *np.shape(weight)])
    mask = _new_mask(updater, kernel, np.ones_like(kernel), kernel, structure)
    np.testing.assert_array_equal(np.squeeze(mask), expected)


def test_channels_by_hand_when_they_move():
  """The first two of 6, 7, 4, 3 stay; the smaller goes for the last."""
  mask = [[1, 1, 0, 0]] * 2
  gradient = [[0, 0, 1, 0], [2, 0, 1, 3]]
  new = _new_mask(
    sparsity.RigL(_HALF, 1), _PAIRS, mask, gradient, structures.Units()
  )
  np.testing.assert_array_equal(new, [[0, 1, 0, 1]] * 2)


# Over their norms, 13 and 1: 3/13, 4/13, 0, 12/13 and 0.2, 0.4, 0.4, 0.8.
_TWO_LAYERS = [[3, 4, 0, 12]], [[0.2, 0.4, 0.4, 0.8]]


@pytest.mark.parametrize(
  ('targets', 'expected'),
  [
    ((0.25, 0.25), [[1, 1, 0, 1], [0, 1, 1, 1]]),
    ((0.5, 0.5), [[0, 0, 0, 1], [0, 1, 1, 1]]),
    # Of equal scores the lowest index stays.
    ((0.75, 0.5), [[0, 0, 0, 1], [0, 1, 0, 1]]),
  ],
)
def test_global_pruning_by_hand(targets, expected):
  updater = sparsity.GlobalMagnitudePruning(0, 10)
  states = [
    updaters.KernelState(
      *(tf.constant(x, tf.float32) for x in (weight, [[1] * 4], weight))
    )
    for weight in _TWO_LAYERS
  ]
  step = tf.constant(10, tf.int64)
  shares = updater.shares(states, targets, step)
  for state, share, target, mask in zip(states, shares, targets, expected):
    state = state._replace(share=share)
    new = updater.new_mask(state, target, step, 0)
    np.testing.assert_array_equal(new[0], mask)


def test_random_masks_are_those_of_their_seeds():
  """Files of before hold seeds, not masks that are yet to be drawn."""
  for seed, expected in {
    0: [0, 1, 0, 1, 1, 0, 0, 1],
    1: [1, 0, 0, 1, 0, 1, 0, 1],
  }.items():
    np.testing.assert_array_equal(mask_ops.random_mask((8,), 4, seed), expected)


# Every updater that chooses masks, at the train step at which its targets are
# met, and whether masks start as ones.
_ALL = {
  name: _BY_HAND[name][0]
  for name in ('rigl', 'prune', 'saliency', 'straight_through', 'neuroplastic')
} | {'set': sparsity.SET(_HALF, 1), 'srigl': sparsity.SRigL(_HALF, 1)}
_STRUCTURES = {
  'any': structures.ANY,
  'channels': structures.Units(),
  '4x1': structures.Blocks(4, 1),
  '2of4': structures.NOfM(2, 4),
}


def _is_possible(name, structure):
  if name == 'srigl':
    return structure == 'any'
  return name != 'neuroplastic' or structure != '2of4'


def _assert_has(structure, mask):
  """A mask `[..., inputs, units]` has its structure."""
  if structure == 'channels':
    units = mask.reshape(-1, mask.shape[-1])
    assert (units == units[0]).all()
  elif structure in ('4x1', '2of4'):
    groups = mask.swapaxes(-1, -2).reshape(-1, 4).sum(axis=1)
    assert set(groups) <= ({0, 4} if structure == '4x1' else {2})


@hypothesis.settings(max_examples=60)
@hypothesis.given(
  st.sampled_from(
    [(n, s) for n in _ALL for s in _STRUCTURES if _is_possible(n, s)]
  ),
  st.lists(st.integers(1, 3), max_size=2),
  st.integers(1, 5),
  st.integers(1, 9),
  st.floats(0.05, 0.95),
  st.integers(0, 99),
)
def test_invariants(kind, window, inputs, units, target, seed):
  """The budget, the structure, nothing but 0 and 1, and who may come back."""
  name, structure = kind
  updater, rule = _ALL[name], _STRUCTURES[structure]
  if structure == '2of4':
    target = 0.5
  shape, rng = (*window, 4 * inputs, units), np.random.default_rng(seed)
  mask = np.ones(shape, np.float32)
  if not updater.starts_dense:
    mask = rule.random_mask(shape, target, seed)
  weight = np.round(rng.normal(size=shape), 1) * mask  # Some are equal.
  gradient = np.round(rng.normal(size=shape), 1)
  state = updaters.KernelState(
    *(tf.constant(x, tf.float32) for x in (weight, mask, gradient)), rule
  )
  step = tf.constant(10, tf.int64)
  new = updater.new_mask(state, target, step, seed).numpy()
  assert set(np.unique(new)) <= {0, 1}
  zeros, budget = np.sum(new == 0), rule.num_zeros(shape, target)
  assert zeros == budget or (name == 'srigl' and zeros > budget)
  _assert_has(structure, new)
  if name == 'srigl':
    fan_in = new.reshape(-1, units).sum(axis=0)
    assert len(set(fan_in) - {0}) == 1
    assert max(fan_in) == min(
      (new.size - budget) // np.count_nonzero(fan_in), new.size // units
    )


@hypothesis.settings(max_examples=20)
@hypothesis.given(
  st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4
  ),
  st.floats(0.05, 0.95),
  st.integers(0, 99),
)
def test_one_threshold_for_all_layers(shapes, target, seed):
  """The zeros of all together; what stays scores as high as what goes."""
  rng = np.random.default_rng(seed)
  updater = sparsity.GlobalMagnitudePruning(0, 10)
  states = [
    updaters.KernelState(*[tf.constant(x, tf.float32)] * 3)
    for x in (rng.normal(size=shape) for shape in shapes)
  ]
  states = [s._replace(mask=tf.ones_like(s.weight)) for s in states]
  step = tf.constant(10, tf.int64)
  shares = updater.shares(states, [target] * len(shapes), step)
  stays, gone = [], []
  for state, share in zip(states, shares):
    state = state._replace(share=share)
    new = updater.new_mask(state, target, step, 0).numpy()
    scores = updater.scores(state).numpy()
    stays.extend(scores[new == 1])
    gone.extend(scores[new == 0])
  assert len(gone) == sum(int(target * np.prod(s)) for s in shapes)
  assert not gone or max(gone) <= min(stays)
