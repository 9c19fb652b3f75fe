"""The ring against a plain list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_sparse_rl.envs import gymnasium_env
from tf_sparse_rl.training import replay


def _step(observation, reward=0.0, terminated=False, truncated=False):
  return gymnasium_env.Step(
    np.asarray(observation, np.float32), reward, terminated, truncated
  )


def test_a_row_by_hand():
  buffer = replay.Replay(capacity=5, observation_size=2, action_size=1)
  buffer.add(np.array([1.0, 2.0]), 3, _step([4.0, 5.0], reward=6.0))
  assert buffer.row_size == 7
  [row] = buffer.sample(1, np.random.default_rng(0))
  assert row.dtype == np.float32
  # Observation, action, reward, discount, next observation.
  assert row.tolist() == [1, 2, 3, 6, 1, 4, 5]


@pytest.mark.parametrize(
  'terminated, truncated, discount',
  [(False, False, 1), (False, True, 1), (True, False, 0), (True, True, 0)],
)
def test_only_a_terminated_step_has_no_future(terminated, truncated, discount):
  buffer = replay.Replay(capacity=1, observation_size=1, action_size=1)
  buffer.add([0.0], 0, _step([0.0], 1.0, terminated, truncated))
  assert buffer.sample(1, np.random.default_rng(0))[0, 3] == discount


def test_actions_of_several_entries():
  buffer = replay.Replay(capacity=2, observation_size=1, action_size=3)
  buffer.add([7.0], np.array([1.0, 2.0, 3.0]), _step([8.0], 9.0))
  row = buffer.sample(1, np.random.default_rng(0))[0]
  assert row.tolist() == [7, 1, 2, 3, 9, 1, 8]
  # 4 bytes x 2 transitions x 7 entries.
  assert (buffer.row_size, buffer.num_bytes) == (7, 56)


def test_a_row_is_a_copy_of_the_action():
  buffer = replay.Replay(capacity=1, observation_size=1, action_size=2)
  action = np.array([1.0, 2.0], np.float32)
  buffer.add([0.0], action, _step([0.0]))
  action[:] = 99
  row = buffer.sample(1, np.random.default_rng(0))[0]
  assert row[1:3].tolist() == [1, 2]


_floats = st.floats(-1e6, 1e6, width=32)


@st.composite
def _transitions(draw):
  """(entries of an action, transitions): whole numbers if 1, else floats."""
  action_size = draw(st.integers(1, 5))
  action = st.integers(0, 5)
  if action_size > 1:
    entries = st.lists(_floats, min_size=action_size, max_size=action_size)
    action = entries.map(np.float32)
  transition = st.tuples(_floats, action, _floats, st.booleans(), st.booleans())
  return action_size, draw(st.lists(transition, min_size=1, max_size=40))


@given(capacity=st.integers(1, 12), drawn=_transitions())
def test_it_holds_the_last_transitions_and_no_others(capacity, drawn):
  action_size, transitions = drawn
  buffer = replay.Replay(capacity, observation_size=2, action_size=action_size)
  naive = []
  for index, (x, action, reward, terminated, truncated) in enumerate(
    transitions
  ):
    step = _step([x, -x], reward, terminated, truncated)
    buffer.add([x, index], action, step)
    discount = 0 if terminated else 1
    entries = np.atleast_1d(action)
    naive.append((x, index, *entries, reward, discount, x, -x))
    assert len(buffer) == min(index + 1, capacity)
  held = {tuple(map(float, np.float32(row))) for row in naive[-capacity:]}
  # 30 draws a row leave out a given one with probability 1e-13.
  sample = buffer.sample(30 * capacity + 1, np.random.default_rng(0))
  assert {tuple(map(float, row)) for row in sample} == held


def test_rewards_are_clipped_when_they_are_drawn():
  buffer = replay.Replay(3, 2, 1, clip_rewards=True)
  for reward in (-7.0, 0.5, 3.0):
    buffer.add([9.0, -9.0], 5, _step([8.0, -8.0], reward, False, False))
  rows = buffer.sample(50, np.random.default_rng(0))
  expected = [[9, -9, 5, reward, 1, 8, -8] for reward in (-1, 0.5, 1)]
  np.testing.assert_array_equal(np.unique(rows, axis=0), expected)
  np.testing.assert_array_equal(buffer.rows(0, 3)[:, 3], [-7, 0.5, 3])


def test_samples_are_uniform_copies_from_the_generator():
  buffer = replay.Replay(capacity=4, observation_size=1, action_size=1)
  for i in range(6):
    buffer.add([i], 0, _step([i]))
  sample = buffer.sample(8000, np.random.default_rng(1))
  counts = np.bincount(sample[:, 0].astype(int), minlength=6)
  assert counts[:2].tolist() == [0, 0]
  # Five standard deviations of 8000 draws at 1/4.
  assert np.all(np.abs(counts[2:] - 2000) < 5 * np.sqrt(8000 * 3 / 16))
  again = buffer.sample(8000, np.random.default_rng(1))
  np.testing.assert_array_equal(sample, again)
  sample[:] = 99
  assert buffer.sample(100, np.random.default_rng(1)).max() < 99


@given(data=st.data(), capacity=st.integers(1, 12))
def test_rows_are_those_of_a_plain_list(data, capacity):
  num_added = data.draw(st.integers(0, 40), 'num_added')
  buffer = _filled(capacity, num_added)
  oldest = max(0, num_added - capacity)
  begin = data.draw(st.integers(oldest, num_added), 'begin')
  end = data.draw(st.integers(begin, num_added), 'end')
  rows = buffer.rows(begin, end)
  assert rows.dtype == np.float32
  naive = [_row(i) for i in range(num_added)]
  assert [tuple(row) for row in rows.tolist()] == naive[begin:end]
  rows[:] = 99  # A copy.
  assert [tuple(r) for r in buffer.rows(begin, end).tolist()] == (
    naive[begin:end]
  )


@given(data=st.data(), capacity=st.integers(1, 12))
def test_a_restored_replay_is_the_same_from_then_on(data, capacity):
  # Segments of a run's checkpoints: end at any place, some begin before what
  # is still there.
  ends = data.draw(st.lists(st.integers(0, 40), max_size=5), 'ends')
  ends = sorted({0, *ends})
  buffer = _filled(capacity, 0)
  segments = []
  for begin, end in zip(ends, ends[1:]):
    _fill(buffer, end)
    begin = max(begin, end - capacity)
    segments.append((begin, buffer.rows(begin, end)))
  # What was in it before does not count.
  restored = _filled(capacity, data.draw(st.integers(0, 30), 'before'), 100)
  restored.restore(iter(segments), ends[-1])
  for num_added in (ends[-1], ends[-1] + 1, ends[-1] + 30):
    _fill(buffer, num_added)
    _fill(restored, num_added)
    assert (len(restored), restored.num_added) == (len(buffer), num_added)
    begin = num_added - len(buffer)
    np.testing.assert_array_equal(
      restored.rows(begin, num_added), buffer.rows(begin, num_added)
    )
    if num_added:
      rng, same = (
        np.random.default_rng(num_added),
        np.random.default_rng(num_added),
      )
      np.testing.assert_array_equal(
        restored.sample(20, rng), buffer.sample(20, same)
      )


@pytest.mark.parametrize(
  'segments, num_added, expected',
  [
    ([(0, (3, 4))], 3, 'rows of 5 entries. Received: (3, 4)'),
    ([(0, (15,))], 3, 'rows of 5 entries. Received: (15,)'),
    ([(0, (2, 5))], 3, 'Expected 3 transitions. Received: 2'),
    ([(0, (3, 5))], 2, 'Expected 2 transitions. Received: 3'),
    ([(0, (4, 5)), (5, (3, 5))], 8, 'Expected 6 transitions. Received: 5'),
    ([], 1, 'Expected 1 transitions. Received: 0'),
  ],
)
def test_rows_that_do_not_fit_are_refused(segments, num_added, expected):
  buffer = _filled(6, 0)
  arrays = [(begin, np.zeros(shape, np.float32)) for begin, shape in segments]
  with pytest.raises(ValueError) as error:
    buffer.restore(arrays, num_added)
  assert expected in str(error.value)


def test_rows_of_another_type_are_refused():
  with pytest.raises(ValueError, match='Expected float32. Received: float64'):
    _filled(6, 0).restore([(0, np.zeros((3, 5)))], 3)


def _row(i):
  return (float(i), float(i % 4), float(-i), 1.0, float(i + 1))


def _filled(capacity, num_added, offset=0):
  buffer = replay.Replay(capacity, observation_size=1, action_size=1)
  _fill(buffer, num_added, offset)
  return buffer


def _fill(buffer, num_added, offset=0):
  for i in range(buffer.num_added + offset, num_added + offset):
    buffer.add([i], i % 4, _step([i + 1], -i))
