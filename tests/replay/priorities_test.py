"""Prioritized replay: sums by brute force, chances, weights, bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_sparse_rl import envs, replay
from tf_sparse_rl.envs import gymnasium_env
from tf_sparse_rl.replay import priorities

_SPEC = envs.EnvSpec('CartPole-v1', 1, 2, 500)


@given(
  size=st.integers(1, 40),
  seed=st.integers(0, 100),
  zeros=st.floats(0, 0.9),
)
def test_the_tree_finds_what_a_cumulated_sum_finds(size, seed, zeros):
  rng = np.random.default_rng(seed)
  tree, values = priorities.SumTree(size), np.zeros(size)
  for _ in range(3):  # Whole numbers: their sums are exact.
    places = rng.integers(size, size=rng.integers(1, 2 * size + 1))
    given_values = rng.integers(1, 100, places.size) * (
      rng.random(places.size) >= zeros
    )
    tree[places] = given_values
    for place, value in zip(places, given_values):
      values[place] = value
  np.testing.assert_array_equal(tree[np.arange(size)], values)
  assert tree.total == values.sum()
  if values.any():
    sums = np.arange(values.sum())
    expected = np.searchsorted(np.cumsum(values), sums, side='right')
    np.testing.assert_array_equal(tree.find(sums), expected)


def test_the_tree_never_finds_a_0():
  rng = np.random.default_rng(0)
  tree = priorities.SumTree(1000)
  values = rng.random(1000) ** 8 * (rng.random(1000) < 0.1)
  tree[np.arange(1000)] = values
  below = np.nextafter(tree.total, 0)
  found = tree.find(np.linspace(0, below, 10_001))
  assert (values[found] > 0).all()


def _add(ring, count, ends=()):
  """Adds steps whose observation is their number."""
  for number in range(ring.num_added, ring.num_added + count):
    step = gymnasium_env.Step(
      np.float32([number + 1]), 1.0, number in ends, False
    )
    ring.add(np.float32([number]), 0, step)


def _ring(capacity=8, **returns):
  return replay.Replay(capacity, _SPEC, returns=replay.Returns(**returns))


def _numbers(ring, drawn):
  weighted, numbers = drawn
  np.testing.assert_array_equal(weighted.rows, ring.transitions(numbers))
  return numbers


def test_weights_by_hand():
  ring = _ring()
  _add(ring, 2)
  drawer = replay.Priorities(ring, 0.5, 0.5)
  drawer.draw(1, np.random.default_rng(0))
  drawer.update(np.array([0, 1]), np.float32([0.25, 0.0625]))
  # Priorities 0.5 and 0.25: the strata are of 3 times the same length.
  weighted, numbers = drawer.draw(3, np.random.default_rng(0))
  np.testing.assert_array_equal(numbers, [0, 0, 1])
  expected = [0.5**0.5, 0.5**0.5, 1]
  np.testing.assert_allclose(weighted.weights, expected, rtol=1e-6)
  assert weighted.weights.dtype == np.float32


@pytest.mark.parametrize('exponent', [0.3, 1.0])
def test_how_often_each_is_drawn(exponent):
  """Frequencies are within 5 standard deviations of p / sum p."""
  ring, rng = _ring(16), np.random.default_rng(1)
  _add(ring, 13)
  drawer = replay.Priorities(ring, exponent, 0.5)
  drawer.draw(1, rng)
  losses = np.arange(1, 14, dtype=np.float32) ** 2
  drawer.update(np.arange(13), losses)
  p = losses.astype(float) ** exponent
  p /= p.sum()
  draws = 4000
  counts = np.zeros(13)
  for _ in range(draws):
    np.add.at(counts, _numbers(ring, drawer.draw(4, rng)), 1)
  # Strata lower the variance below that of independent draws.
  deviations = np.sqrt(4 * draws * p * (1 - p))
  assert (np.abs(counts - 4 * draws * p) <= 5 * deviations).all()
  uniform = np.sqrt(4 * draws / 13)
  assert np.abs(counts - 4 * draws / 13).max() > 20 * uniform**0.5


def test_new_transitions_have_the_highest_priority_and_old_ones_none():
  ring = _ring(8)
  _add(ring, 6)
  drawer = replay.Priorities(ring, 1.0, 0.0)
  rng = np.random.default_rng(0)
  assert set(_numbers(ring, drawer.draw(600, rng))) == {*range(6)}
  drawer.update(np.arange(6), np.float32([5, 1, 1, 1, 1, 1]))
  _add(ring, 4)  # 0 and 1 are overwritten; 5 is the highest so far.
  numbers = _numbers(ring, drawer.draw(24_000, rng))
  counts = np.bincount(numbers, minlength=10)
  # In strata of 24 / 24000 each: rounding at both ends.
  expected = np.array([0, 0, 1, 1, 1, 1, 5, 5, 5, 5]) * 1000
  assert np.abs(counts - expected).max() <= 2


def test_no_transition_is_drawn_before_its_n_steps_are_there():
  ring = _ring(8, n_step=3, gamma=0.9, begin_env_step=5)
  drawer = replay.Priorities(ring, 1.0, 0.5)
  rng = np.random.default_rng(0)
  for _ in range(30):
    _add(ring, 1)
    if ring.drawable:
      numbers = _numbers(ring, drawer.draw(64, rng))
      assert set(numbers) == {*ring.drawable}
      drawer.update(numbers, np.ones(64, np.float32))


def _walked(seed):
  ring, rng = _ring(8), np.random.default_rng(seed)
  drawer = replay.Priorities(ring, 0.7, 0.5)
  for _ in range(20):
    _add(ring, 1)
    _, numbers = drawer.draw(4, rng)
    drawer.update(numbers, rng.random(4, np.float32))
  return ring, drawer


def test_bytes_hold_all_that_is_drawn_by():
  ring, drawer = _walked(0)
  other = replay.Priorities(ring, 0.7, 0.5)
  other.from_bytes(drawer.to_bytes())
  for _ in range(3):
    (a, numbers), (b, same) = (
      each.draw(32, np.random.default_rng(5)) for each in (drawer, other)
    )
    np.testing.assert_array_equal(numbers, same)
    np.testing.assert_array_equal(a.weights, b.weights)
    for each in (drawer, other):
      each.update(numbers, np.float32(numbers))
    _add(ring, 3)


@pytest.mark.parametrize(
  'damage',
  [
    lambda value: b'',
    lambda value: value[:-4],
    lambda value: value[:-4] + np.float32(-1).tobytes(),
    lambda value: value[:-4] + np.float32(np.nan).tobytes(),
    lambda value: value + 8 * np.float32(1).tobytes(),
    lambda value: np.array([8, 12, np.inf]).tobytes() + value[24:],
  ],
)
def test_other_bytes_are_refused(damage):
  _, drawer = _walked(0)
  value = drawer.to_bytes()
  with pytest.raises(ValueError, match='Expected the priorities of a replay'):
    drawer.from_bytes(damage(value))
  assert drawer.to_bytes() == value
