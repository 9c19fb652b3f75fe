"""The ring of frames against a list of whole stacks."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tf_sparse_rl import replay
from tf_sparse_rl.envs import atari, gymnasium_env
from tf_sparse_rl.training import checkpoints, train_step

_ENDS = {
  'goes on': (False, False),
  'terminated': (True, False),
  'truncated': (False, True),
  'both': (True, True),
}
_GAMMA = 0.9
_OF_RETURNS = ('n_step', 'clip_rewards')


class _Game:
  """Episodes of frames that are all different, stacked on zeros."""

  def __init__(self, num_frames, first_frame):
    self._next, self._num_frames = first_frame, num_frames
    self._reset()

  def _reset(self):
    stack = np.zeros((1, 2, self._num_frames), np.uint8)
    self.observation = self._pushed(stack)

  def _pushed(self, stack):
    self._next += 1
    frame = np.array([[divmod(self._next, 256)]], np.uint8)
    return np.concatenate([stack[..., 1:], frame.reshape(1, 2, 1)], axis=-1)

  def step(self, end, reward):
    """(observation, Step); a new episode if the step was the last."""
    before, after = self.observation, self._pushed(self.observation)
    step = gymnasium_env.Step(after, reward, *_ENDS[end])
    self.observation = after
    if end != 'goes on':
      self._reset()
    return before, step


class _Naive:
  """All transitions ever, whole; environments in turn."""

  def __init__(self, num_envs, n_step, clip_rewards):
    self.added = []
    self._settings = num_envs, n_step, clip_rewards

  def transition(self, number):
    num_envs, n_step, clip_rewards = self._settings
    observation, action, _ = self.added[number]
    total = 0.0
    for k in range(n_step):
      step = self.added[number + k * num_envs][2]
      reward = step.reward
      if clip_rewards:
        reward = min(1.0, max(-1.0, reward))
      total += _GAMMA**k * reward
      if step.terminated or step.truncated:
        break
    discount = 0.0 if step.terminated else _GAMMA**k
    return observation, action, total, discount, step.observation


@st.composite
def _played(draw):
  """(settings of a FrameReplay, how each env step ends)."""
  settings = {
    'num_frames': draw(st.integers(1, 4), 'num_frames'),
    'n_step': draw(st.integers(1, 5), 'n_step'),
    'num_envs': draw(st.integers(1, 3), 'num_envs'),
    'clip_rewards': draw(st.booleans(), 'clip_rewards'),
  }
  held_back = settings['num_frames'] - 1 + settings['n_step']
  smallest = held_back * settings['num_envs'] + 1
  settings['capacity'] = smallest + draw(st.integers(0, 30), 'more')
  # Mostly going on, or mostly not.
  ends = draw(st.sampled_from([[*_ENDS], ['goes on'] * 9 + [*_ENDS]]))
  size = draw(st.integers(0, 90), 'size')
  ends = draw(st.lists(st.sampled_from(ends), min_size=size, max_size=size))
  return settings, ends


def _buffer(settings, frame_shape=(1, 2), gamma=_GAMMA):
  others = {'gamma': gamma}
  others |= {k: v for k, v in settings.items() if k in _OF_RETURNS}
  settings = {k: v for k, v in settings.items() if k not in _OF_RETURNS}
  returns = replay.Returns(**others)
  return replay.FrameReplay(
    frame_shape=frame_shape, returns=returns, **settings
  )


class _Player:
  """Plays games in turn, in a step with those that it fills."""

  def __init__(self, settings, ends):
    self._games = [
      _Game(settings['num_frames'], 10_000 * i)
      for i in range(settings['num_envs'])
    ]
    self._ends, self._count = ends, 0

  def play(self, num_added, *buffers):
    for number in range(self._count, num_added):
      game = self._games[number % len(self._games)]
      reward, action = (number % 7 - 3) / 2, number % 18
      observation, step = game.step(self._ends[number], reward)
      for buffer in buffers:
        if isinstance(buffer, list):
          buffer.append((observation, action, step))
        else:
          buffer.add(observation, action, step)
    self._count = num_added


@given(played=_played())
def test_transitions_are_those_of_whole_stacks(played):
  settings, ends = played
  buffer, player = _buffer(settings), _Player(settings, ends)
  naive = _Naive(
    settings['num_envs'], settings['n_step'], settings['clip_rewards']
  )
  # Asked on the way, before and after the ring is full, and at the end.
  for num_added in (len(ends) // 3, 2 * len(ends) // 3, len(ends)):
    player.play(num_added, buffer, naive.added)
    assert buffer.num_added == num_added
    assert len(buffer) == min(num_added, settings['capacity'])
    _check(buffer, naive, buffer.drawable)


def _check(buffer, naive, numbers):
  found = buffer.transitions(np.array(numbers, np.int64))
  assert [x.dtype for x in found] == [
    np.uint8,
    np.int32,
    np.float32,
    np.float32,
    np.uint8,
  ]
  assert {len(x) for x in found} == {len(numbers)}
  for i, number in enumerate(numbers):
    observation, action, reward, discount, after = naive.transition(number)
    np.testing.assert_array_equal(found.observation[i], observation)
    assert found.action[i] == action
    np.testing.assert_allclose(found.reward[i], reward, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.discount[i], discount, rtol=1e-6)
    np.testing.assert_array_equal(found.next_observation[i], after)


@pytest.mark.parametrize(
  'num_envs, n_step, num_added, drawable',
  [
    (1, 1, 0, range(0, 0)),
    (1, 1, 1, range(0, 0)),
    (1, 1, 2, range(0, 1)),
    (1, 3, 20, range(0, 17)),
    # 2 are overwritten, the 3 frames before number 5 are there.
    (1, 1, 22, range(5, 21)),
    (1, 3, 22, range(5, 19)),
    (2, 1, 3, range(0, 1)),
    (2, 3, 22, range(8, 16)),
  ],
)
def test_what_is_drawn_by_hand(num_envs, n_step, num_added, drawable):
  settings = {'capacity': 20, 'n_step': n_step, 'num_envs': num_envs}
  buffer = _buffer(settings)
  player = _Player({**settings, 'num_frames': 4}, ['goes on'] * num_added)
  player.play(num_added, buffer)
  assert buffer.drawable == drawable
  assert len(buffer) == min(num_added, 20)


def _stack(*frames):
  return np.array(frames, np.uint8).reshape(1, 1, -1)


def _by_hand(n_step, clip_rewards=False):
  """Frames 1, 2, 3 | 7, 8, 9, ...; the first episode is truncated at 3."""
  returns = replay.Returns(n_step, 0.5, clip_rewards)
  buffer = replay.FrameReplay(20, (1, 1), 2, returns=returns)
  for before, action, reward, after, ends in (
    ((0, 1), 4, 1.0, (1, 2), (False, False)),
    ((1, 2), 5, 6.0, (2, 3), (False, True)),
    ((0, 7), 6, 8.0, (7, 8), (False, False)),
    ((7, 8), 7, -4.0, (8, 9), (True, False)),
    ((0, 10), 8, 0.0, (10, 11), (False, False)),
    ((10, 11), 8, 0.0, (11, 12), (False, False)),
    ((11, 12), 8, 0.0, (12, 13), (False, False)),
  ):
    step = gymnasium_env.Step(_stack(*after), reward, *ends)
    buffer.add(_stack(*before), action, step)
  return buffer


def _values(buffer, number):
  found = buffer.transitions(np.array([number]))
  return [np.ravel(x).tolist() for x in found]


def test_one_step_by_hand():
  buffer = _by_hand(n_step=1)
  assert _values(buffer, 0) == [[0, 1], [4], [1], [1], [1, 2]]
  # Truncated: the future goes on from frame 3, which no action was taken on.
  assert _values(buffer, 1) == [[1, 2], [5], [6], [1], [2, 3]]
  # The next episode sees nothing of it.
  assert _values(buffer, 2) == [[0, 7], [6], [8], [1], [7, 8]]
  assert _values(buffer, 3) == [[7, 8], [7], [-4], [0], [8, 9]]


def test_three_steps_by_hand():
  buffer = _by_hand(n_step=3)
  # Two steps up to the truncation, so gamma once here and once in a learner.
  assert _values(buffer, 0) == [[0, 1], [4], [1 + 6 / 2], [0.5], [2, 3]]
  assert _values(buffer, 1) == [[1, 2], [5], [6], [1], [2, 3]]
  assert _values(buffer, 2) == [[0, 7], [6], [8 - 4 / 2], [0], [8, 9]]
  buffer.add(_stack(12, 13), 8, gymnasium_env.Step(_stack(13, 14), 0.0, 0, 0))
  assert _values(buffer, 4) == [[0, 10], [8], [0], [0.25], [12, 13]]


def test_each_reward_is_clipped_before_they_are_summed():
  buffer = _by_hand(n_step=3, clip_rewards=True)
  assert _values(buffer, 0)[2] == [1 + 1 / 2]
  assert _values(buffer, 2)[2] == [1 - 1 / 2]
  # Kept as they were.
  assert buffer.rows(0, 4)['reward'][:4].tolist() == [1, 6, 8, -4]


def test_samples_are_uniform_copies_from_the_generator():
  settings = {'capacity': 8, 'num_frames': 2, 'num_envs': 1}
  buffer = _buffer(settings)
  _Player(settings, ['goes on'] * 11).play(11, buffer)
  sample = buffer.sample(8000, np.random.default_rng(1))
  numbers, counts = np.unique(sample.action, return_counts=True)
  # 3 to 10 are held; the frame before 3 is not, nor is that after 10.
  assert numbers.tolist() == [4, 5, 6, 7, 8, 9]
  # Five standard deviations of 8000 draws at 1/6.
  assert np.all(np.abs(counts - 8000 / 6) < 5 * np.sqrt(8000 * 5 / 36))
  again = buffer.sample(8000, np.random.default_rng(1))
  for one, other in zip(sample, again):
    np.testing.assert_array_equal(one, other)
    one[:] = 77
  for one, other in zip(buffer.sample(8000, np.random.default_rng(1)), again):
    np.testing.assert_array_equal(one, other)


def test_arrays_may_be_used_again_by_the_caller():
  buffer = replay.FrameReplay(9, (1, 1), 2)
  before, after = _stack(0, 1), _stack(1, 2)
  buffer.add(before, 0, gymnasium_env.Step(after, 0.0, False, True))
  before[:] = after[:] = 77
  buffer.add(_stack(0, 5), 0, gymnasium_env.Step(_stack(5, 6), 0.0, 0, 0))
  assert _values(buffer, 0) == [[0, 1], [0], [0], [1], [1, 2]]


def test_memory_is_a_frame_and_16_bytes_a_transition():
  buffer = replay.FrameReplay(capacity=1000)
  assert buffer.num_bytes == 1000 * (84 * 84 + 16)
  assert buffer.capacity == 1000


def test_frames_of_ends_go_with_their_transitions():
  settings = {'capacity': 10, 'num_frames': 2, 'num_envs': 1}
  buffer = _buffer(settings)
  _Player(settings, ['terminated'] * 95).play(95, buffer)
  assert sorted(buffer._beside) == list(range(10))


@pytest.mark.parametrize(
  'settings, smallest',
  [({}, 5), ({'n_step': 3}, 7), ({'n_step': 3, 'num_envs': 2}, 13)],
)
def test_the_smallest_capacity(settings, smallest):
  with pytest.raises(ValueError, match=f'at least {smallest} trans.*num_envs'):
    _buffer({**settings, 'capacity': smallest - 1})
  buffer = _buffer({**settings, 'capacity': smallest}, (1, 1))
  step = gymnasium_env.Step(_stack(0, 0, 0, 0), 0.0, False, False)
  for _ in range(3 * smallest):
    buffer.add(_stack(0, 0, 0, 0), 0, step)
  assert len(buffer.drawable) == 1


@given(data=st.data(), played=_played())
def test_a_restored_replay_is_the_same_from_then_on(data, played):
  settings, ends = played
  buffer, player = _buffer(settings), _Player(settings, ends)
  saved = data.draw(st.integers(0, len(ends)), 'saved')
  places = data.draw(st.lists(st.integers(0, saved), max_size=4), 'places')
  segments, begin = [], 0
  for end in sorted({*places, saved}):
    player.play(end, buffer)
    begin = max(begin, end - buffer.capacity)
    segments.append((begin, buffer.rows(begin, end)))
    begin = end
  restored = _buffer(settings)
  # What was in it before does not count.
  before = data.draw(st.integers(0, 30), 'before')
  _Player(settings, ['terminated'] * before).play(before, restored)
  restored.restore(iter(segments), saved)
  for num_added in (saved, len(ends)):
    player.play(num_added, buffer, restored)
    assert (len(restored), restored.num_added) == (len(buffer), num_added)
    assert restored.drawable == buffer.drawable
    numbers = np.array(buffer.drawable, np.int64)
    for one, other in zip(
      restored.transitions(numbers), buffer.transitions(numbers)
    ):
      np.testing.assert_array_equal(one, other)


def test_rows_by_hand():
  rows = _by_hand(n_step=1).rows(1, 4)
  assert rows['frame'].ravel().tolist() == [2, 7, 8, 3, 9]
  assert rows['action'].tolist() == [5, 6, 7, -1, -1]
  assert rows['reward'].tolist() == [6, 8, -4, 0, 0]
  assert rows['terminated'].tolist() == [False, False, True, False, False]
  assert rows['truncated'].tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
  'change, num_added, expected',
  [
    (lambda rows: rows['frame'], 7, 'Expected rows of .* Received: uint8'),
    (lambda rows: rows.reshape(-1, 1), 7, r'Received: .*\(9, 1\)'),
    (lambda rows: rows[:-1], 7, 'Expected 2 last frames. Received: 1'),
    (lambda rows: rows, 8, 'Expected 8 transitions. Received: 7'),
    (lambda rows: rows, 6, 'Expected 6 transitions. Received: 7'),
  ],
)
def test_rows_that_do_not_fit_are_refused(change, num_added, expected):
  rows = change(_by_hand(n_step=1).rows(0, 7))
  buffer = replay.FrameReplay(20, (1, 1), 2)
  with pytest.raises(ValueError, match=expected):
    buffer.restore([(0, rows)], num_added)


def test_frames_of_another_shape_are_refused():
  rows = _by_hand(n_step=1).rows(0, 7)
  with pytest.raises(ValueError, match='Expected rows of .*84'):
    replay.FrameReplay(20).restore([(0, rows)], 7)


def test_a_checkpoint_holds_it(tmp_path):
  settings = {'capacity': 12, 'num_frames': 3, 'num_envs': 2, 'n_step': 2}
  ends = ['goes on', 'goes on', 'truncated', 'goes on', 'terminated'] * 9
  buffer, player = _buffer(settings), _Player(settings, ends)
  agent = tf.Module()
  agent.weights = tf.Variable([1.0])
  keeper = checkpoints.Checkpoints(tmp_path, {'agent': agent}, buffer)
  for env_step in (4, 10, 26, 40):
    player.play(env_step, buffer)
    keeper.save(env_step, {'env_step': env_step})
  restored = _buffer(settings)
  keeper = checkpoints.Checkpoints(tmp_path, {'agent': agent}, restored)
  assert keeper.restore() == {'env_step': 40}
  player.play(45, buffer, restored)
  rng, same = np.random.default_rng(0), np.random.default_rng(0)
  for one, other in zip(buffer.sample(50, rng), restored.sample(50, same)):
    np.testing.assert_array_equal(one, other)


def test_it_gives_back_what_atari_showed(monkeypatch):
  monkeypatch.setattr(atari, 'MAX_EPISODE_STEPS', 7)
  games = [atari.AtariEnvironment('Pong') for _ in range(2)]
  buffer = replay.FrameReplay(capacity=30, num_envs=2)
  naive = _Naive(num_envs=2, n_step=1, clip_rewards=False)
  rng = np.random.default_rng(0)
  observations = [game.reset(seed=i) for i, game in enumerate(games)]
  for number in range(50):
    i = number % 2
    action = games[i].random_action(rng)
    step = games[i].step(action)
    buffer.add(observations[i], action, step)
    naive.added.append((observations[i], action, step))
    observations[i] = step.observation
    if step.truncated:
      observations[i] = games[i].reset(seed=number)
  assert sum(step.truncated for *_, step in naive.added[-30:]) >= 4
  # The first 20 are overwritten; three frames of each game come before.
  assert buffer.drawable == range(26, 48)
  _check(buffer, naive, buffer.drawable)


def test_images_lie_in_memory_channel_by_channel():
  # So fused train steps read them.
  settings = {'capacity': 50, 'num_frames': 3, 'num_envs': 1}
  buffer = _buffer(settings)
  _Player(settings, ['goes on'] * 20).play(20, buffer)
  found = buffer.transitions(np.array([3, 7]))
  for images in (found.observation, found.next_observation):
    assert np.moveaxis(images, -1, 1).flags.c_contiguous
    [tensor] = train_step._tensors((images,))  # As TensorFlow gets them.
    np.testing.assert_array_equal(tensor, images)
