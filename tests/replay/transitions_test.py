"""The ring of flat observations against plain lists of whole transitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replay import walks
from tf_sparse_rl import replay
from tf_sparse_rl.envs import gymnasium_env


def _step(observation, reward=0.0, terminated=False, truncated=False):
  return gymnasium_env.Step(
    np.asarray(observation, np.float32), reward, terminated, truncated
  )


def _replay(capacity, observation_size=1, action_size=1, num_envs=1, **returns):
  spec = walks.spec(observation_size, action_size)
  return replay.Replay(capacity, spec, num_envs, replay.Returns(**returns))


def test_a_row_by_hand():
  buffer = _replay(capacity=5, observation_size=2)
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
  buffer = _replay(capacity=1)
  buffer.add([0.0], 0, _step([0.0], 1.0, terminated, truncated))
  assert buffer.sample(1, np.random.default_rng(0))[0, 3] == discount


def test_actions_of_several_entries():
  buffer = _replay(capacity=2, action_size=3)
  buffer.add([7.0], np.array([1.0, 2.0, 3.0]), _step([8.0], 9.0))
  row = buffer.sample(1, np.random.default_rng(0))[0]
  assert row.tolist() == [7, 1, 2, 3, 9, 1, 8]
  assert buffer.row_size == 7


def test_what_is_added_is_copied():
  buffer = _replay(capacity=1, action_size=2)
  observation, action, after = np.float32([[0, 0], [1, 2], [3, 0]])
  step = gymnasium_env.Step(after[:1], 0.0, False, False)
  buffer.add(observation[:1], action, step)
  observation[:] = action[:] = after[:] = 99
  row = buffer.sample(1, np.random.default_rng(0))[0]
  assert row.tolist() == [0, 1, 2, 0, 1, 3]


def test_memory_is_an_observation_an_action_and_12_bytes():
  # HalfCheetah: 99 MiB; twice the observation would be 160.
  buffer = _replay(1_000_000, observation_size=17, action_size=6)
  assert buffer.num_bytes == 1_000_000 * 4 * (17 + 6 + 3)


@st.composite
def _settings(draw):
  return {
    'capacity': draw(st.integers(1, 14), 'capacity'),
    'num_envs': draw(st.integers(1, 4), 'num_envs'),
    'clip_rewards': draw(st.booleans(), 'clip_rewards'),
  }


def _same_draws(buffer, other, size=50):
  rng, same = np.random.default_rng(size), np.random.default_rng(size)
  ours, theirs = buffer.sample(size, rng), other.sample(size, same)
  assert ours.dtype == theirs.dtype
  assert ours.tobytes() == theirs.tobytes()
  # It took as many random numbers.
  assert rng.integers(1000) == same.integers(1000)


@given(
  settings=_settings(), action_size=st.integers(1, 3), ends=walks.plans(60)
)
def test_batches_are_bit_for_bit_those_of_whole_rows(
  settings, action_size, ends
):
  buffer = _replay(observation_size=2, action_size=action_size, **settings)
  whole = walks.WholeRows(
    settings['capacity'],
    buffer.row_size,
    settings['clip_rewards'],
    reward=2 + action_size,
  )
  walk = walks.Walk(ends, settings['num_envs'], action_size)
  for number in range(len(ends)):
    walk.add(number + 1, buffer)
    whole.add_rows([walk.row(number)])
    assert len(buffer) == min(number + 1, settings['capacity'])
    _same_draws(buffer, whole)


@given(data=st.data(), settings=_settings(), ends=walks.plans(60))
def test_several_steps_are_followed_one_by_one(data, settings, ends):
  n_step = data.draw(st.integers(1, 5), 'n_step')
  settings['capacity'] += (n_step - 1) * settings['num_envs']
  buffer = _replay(
    observation_size=2, n_step=n_step, gamma=walks.GAMMA, **settings
  )
  walk = walks.Walk(ends, settings['num_envs'])
  for num_added in (len(ends) // 3, 2 * len(ends) // 3, len(ends)):
    walk.add(num_added, buffer)
    held = range(max(0, num_added - settings['capacity']), num_added)
    # All that are held and have n env steps, or would have.
    numbers = held[: max(0, len(held) - (n_step - 1) * settings['num_envs'])]
    assert [*buffer.drawable] == [*numbers]
    rows = buffer.transitions(np.array(numbers, np.int64))
    assert rows.shape == (len(numbers), buffer.row_size)
    for row, number in zip(rows, numbers):
      expected = walk.n_step_row(number, n_step, settings['clip_rewards'])
      np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)
      # What is copied is exact.
      assert row[:3].tolist() == expected[:3].tolist()
      assert row[-2:].tolist() == expected[-2:].tolist()


def _by_hand(n_step, **settings):
  """Observations 0, 1, 2 | 10, 11, 12 | 20, ...; the first is truncated."""
  buffer = _replay(20, n_step=n_step, gamma=0.5, **settings)
  buffer.add([0], 4, _step([1], 1.0))
  buffer.add([1], 5, _step([2], 6.0, truncated=True))
  buffer.add([10], 6, _step([11], 8.0))
  buffer.add([11], 7, _step([12], -4.0, terminated=True))
  buffer.add([20], 8, _step([21], 2.0))
  buffer.add([21], 9, _step([22], 4.0))
  buffer.add([22], 9, _step([23], 8.0))
  return buffer


def test_three_steps_by_hand():
  buffer = _by_hand(n_step=3)
  assert buffer.drawable == range(5)
  assert buffer.transitions(np.arange(5)).tolist() == [
    # Two steps up to the truncation: gamma once here and once in a learner.
    [0, 4, 1 + 6 / 2, 0.5, 2],
    [1, 5, 6, 1, 2],
    [10, 6, 8 - 4 / 2, 0, 12],
    [11, 7, -4, 0, 12],
    # The last of them led to what no action was taken on yet.
    [20, 8, 2 + 4 / 2 + 8 / 4, 0.25, 23],
  ]
  drawn = buffer.sample(200, np.random.default_rng(0))
  assert sorted({*drawn[:, 0].tolist()}) == [0, 1, 10, 11, 20]


def test_rewards_are_clipped_before_they_are_summed():
  rows = _by_hand(n_step=3, clip_rewards=True).transitions(np.arange(5))
  assert rows[:, 2].tolist() == [1.5, 1, 0.5, -1, 1.75]


def test_rewards_are_kept_as_they_are():
  buffer = _by_hand(n_step=1, clip_rewards=True)
  drawn = buffer.sample(200, np.random.default_rng(0))
  assert {*drawn[:, 2].tolist()} == {1, -1}
  assert buffer.rows(0, 7)[:, 2].tolist() == [1, 6, 8, -4, 2, 4, 8]


def test_the_smallest_capacity():
  settings = {'n_step': 3, 'num_envs': 2}
  with pytest.raises(ValueError, match='at least 5 trans.*num_envs=2.*: 4'):
    _replay(4, **settings)
  buffer = _replay(5, **settings)
  for i in range(12):
    buffer.add([i], 0, _step([i + 2]))
  assert buffer.drawable == range(7, 8)


def test_samples_are_uniform_copies_from_the_generator():
  buffer = _filled(4, 6)
  sample = buffer.sample(8000, np.random.default_rng(1))
  counts = np.bincount(sample[:, 0].astype(int), minlength=6)
  assert counts[:2].tolist() == [0, 0]
  # Five standard deviations of 8000 draws at 1/4.
  assert np.all(np.abs(counts[2:] - 2000) < 5 * np.sqrt(8000 * 3 / 16))
  again = buffer.sample(8000, np.random.default_rng(1))
  np.testing.assert_array_equal(sample, again)
  sample[:] = 99
  assert buffer.sample(100, np.random.default_rng(1)).max() < 99


@given(data=st.data(), settings=_settings(), ends=walks.plans(40))
def test_rows_are_those_of_a_plain_list(data, settings, ends):
  buffer = _replay(observation_size=2, **settings)
  walk = walks.Walk(ends, settings['num_envs'])
  walk.add(len(ends), buffer)
  oldest = len(ends) - len(buffer)
  begin = data.draw(st.integers(oldest, len(ends)), 'begin')
  end = data.draw(st.integers(begin, len(ends)), 'end')
  rows = buffer.rows(begin, end)
  assert (rows.dtype, rows.shape) == (np.float32, (end - begin, 8))
  for row, number in zip(rows, range(begin, end)):
    assert row.tolist() == [*walk.row(number), walk.over(number)]
  rows[:] = 99  # A copy.
  assert not (buffer.rows(begin, end) == 99).any()


def test_rows_of_several_blocks():
  num_added = 3 * 16384 + 5
  rows = _filled(num_added, num_added + 7).rows(7, num_added + 7)
  expected = [_row(i) for i in range(7, num_added + 7)]
  np.testing.assert_array_equal(rows, np.float32(expected))


@pytest.mark.parametrize('with_over', [True, False])
@given(data=st.data(), settings=_settings(), ends=walks.plans(60))
def test_a_restored_replay_is_the_same_from_then_on(
  with_over, data, settings, ends
):
  n_step = data.draw(st.integers(1, 3), 'n_step') if with_over else 1
  settings['capacity'] += (n_step - 1) * settings['num_envs']
  settings |= {'observation_size': 2, 'n_step': n_step}
  buffer, walk = _replay(**settings), walks.Walk(ends, settings['num_envs'])
  # Segments of a run's checkpoints: end at any place, some begin before what
  # is still there.
  saved = data.draw(st.integers(0, len(ends)), 'saved')
  places = data.draw(st.lists(st.integers(0, saved), max_size=4), 'places')
  segments, begin = [], 0
  for end in sorted({*places, saved}):
    walk.add(end, buffer)
    begin = max(begin, end - buffer.capacity)
    rows = buffer.rows(begin, end)
    # Versions up to 0.1 wrote the same without the last column.
    segments.append((begin, rows if with_over else rows[:, :-1].copy()))
    begin = end
  restored = _replay(**settings)
  # What was in it before does not count.
  before = data.draw(st.integers(0, 30), 'before')
  walks.Walk(['truncated'] * before).add(before, restored)
  restored.restore(iter(segments), saved)
  for num_added in range(saved, len(ends) + 1):
    walk.add(num_added, buffer, restored)
    assert (len(restored), restored.num_added) == (len(buffer), num_added)
    if len(buffer.drawable):
      _same_draws(restored, buffer)
    rows = restored.rows(num_added - len(buffer), num_added)
    expected = buffer.rows(num_added - len(buffer), num_added)
    if with_over:
      np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(rows[:, :-1], expected[:, :-1])


def test_ends_are_found_in_rows_without_them():
  rows = _by_hand(n_step=1).rows(0, 7)[:, :-1]
  buffer = _replay(20)
  buffer.restore([(0, rows[:4].copy()), (4, rows[4:].copy())], 7)
  # Truncated, terminated, and the last: there it cannot be known.
  assert buffer.rows(0, 7)[:, -1].tolist() == [0, 1, 0, 1, 0, 0, 1]
  np.testing.assert_array_equal(buffer.rows(0, 7)[:, :-1], rows)


@pytest.mark.parametrize(
  'segments, num_added, expected',
  [
    ([(0, (3, 4))], 3, 'rows of 6 entries. Received: (3, 4)'),
    ([(0, (18,))], 3, 'rows of 6 entries. Received: (18,)'),
    ([(0, (2, 6))], 3, 'Expected 3 transitions. Received: 2'),
    ([(0, (2, 5))], 3, 'Expected 3 transitions. Received: 2'),
    ([(0, (3, 6))], 2, 'Expected 2 transitions. Received: 3'),
    ([(0, (4, 6)), (5, (3, 6))], 8, 'Expected 6 transitions. Received: 5'),
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
    _filled(6, 0).restore([(0, np.zeros((3, 6)))], 3)


def _row(i):
  return (float(i), float(i % 4), float(-i), 1.0, float(i + 1), 0.0)


def _filled(capacity, num_added):
  buffer = _replay(capacity)
  for i in range(num_added):
    buffer.add([i], i % 4, _step([i + 1], -i))
  return buffer
