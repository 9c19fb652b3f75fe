"""A replay of pictures: every frame once, stacked when it is drawn."""

from typing import NamedTuple

import numpy as np

# Rows that are copied at once.
_BLOCK = 1024


class Transitions(NamedTuple):
  """A batch of transitions over n env steps, fewer where an episode is over.

  With m env steps taken, the target of a value is
  `reward + gamma * discount * value(next_observation)`.
  """

  observation: np.ndarray  # uint8 [batch, *frame_shape, num_frames]
  action: np.ndarray  # int32 [batch]
  reward: np.ndarray  # float32 [batch], sum of gamma^k reward_k, k < m
  discount: np.ndarray  # float32 [batch], gamma^(m - 1), 0 if terminated
  next_observation: np.ndarray  # as observation, m env steps later


class FrameReplay:
  """Transitions between stacks of frames, the newest frame last.

  A transition keeps the newest frame that its action was taken on. The frame
  that an episode ended with is kept beside. Frames from before the episode are
  0. Memory: 12 bytes and a frame a transition, taken as it fills; a frame more
  an episode.

  Several environments add in turn: transition i is of environment
  i % num_envs.
  """

  def __init__(
    self,
    capacity,
    frame_shape=(84, 84),
    num_frames=4,
    n_step=1,
    gamma=0.99,
    num_envs=1,
    clip_rewards=False,
  ):
    """Allocates the ring.

    Args:
      capacity: transitions; the oldest is overwritten.
      frame_shape: (height, width).
      num_frames: frames of an observation.
      n_step: env steps from observation to next_observation.
      gamma: discount of an env step.
      num_envs: environments that add in turn.
      clip_rewards: whether the reward of an env step is drawn as one in
        [-1, 1]; it is kept as it is.

    Raises:
      ValueError: if no transition would ever be whole.
    """
    smallest = (num_frames - 1 + n_step) * num_envs + 1
    if capacity < smallest:
      raise ValueError(
        f'Expected a capacity of at least {smallest} transitions for '
        f'num_frames={num_frames}, n_step={n_step}, num_envs={num_envs}. '
        f'Received: {capacity}.'
      )
    step = [
      ('action', np.int32),
      ('reward', np.float32),
      ('terminated', bool),
      ('truncated', bool),
    ]
    self._row = np.dtype([('frame', np.uint8, frame_shape), *step])
    # Zeros are not touched until written, so memory comes as needed. The last
    # frame stays 0: it is what was before an episode.
    self._frames = np.zeros((capacity + 1, *frame_shape), np.uint8)
    self._steps = np.zeros(capacity, np.dtype(step, align=True))
    self._last_frames = {}  # {number of an episode's last transition: frame}
    self._added = 0
    self._num_frames = num_frames
    self._n_step = n_step
    self._num_envs = num_envs
    self._powers = (gamma ** np.arange(n_step)).astype(np.float32)
    self._clip_rewards = clip_rewards

  def __len__(self):
    return min(self._added, self.capacity)

  @property
  def capacity(self):
    """Transitions that it holds at most."""
    return len(self._steps)

  @property
  def num_added(self):
    """Transitions ever added."""
    return self._added

  @property
  def num_bytes(self):
    """Memory of the ring once it is full."""
    return self._frames.nbytes + self._steps.nbytes

  @property
  def drawable(self):
    """Range of the numbers of the transitions that are whole.

    Not those whose older frames may be overwritten, nor the newest `n_step` of
    an environment, which lead on to what is not here yet.
    """
    begin = self._added - len(self)
    if begin:
      begin += (self._num_frames - 1) * self._num_envs
    return range(begin, max(begin, self._added - self._n_step * self._num_envs))

  def add(self, observation, action, step):
    """Adds one transition.

    Args:
      observation: what the action was taken on, uint8
        `[*frame_shape, num_frames]`.
      action: int.
      step: the Step it led to.
    """
    place = self._added % self.capacity
    self._last_frames.pop(self._added - self.capacity, None)
    self._frames[place] = observation[..., -1]
    self._steps[place] = action, step.reward, step.terminated, step.truncated
    if step.terminated or step.truncated:
      self._last_frames[self._added] = step.observation[..., -1].copy()
    self._added += 1

  def sample(self, batch_size, rng):
    """Draws transitions uniformly, with replacement.

    Args:
      batch_size: number of transitions.
      rng: NumPy generator.

    Returns:
      Transitions, copies.
    """
    numbers = self.drawable
    return self.transitions(
      rng.integers(numbers.start, numbers.stop, size=batch_size)
    )

  def transitions(self, numbers):
    """Transitions by number, counted from the first that was ever added.

    Args:
      numbers: int64 `[batch]`, all of them `drawable`.

    Returns:
      Transitions, copies.
    """
    # One row a transition: the steps before it, its own n, and the one after.
    now = self._num_frames - 1
    offsets = np.arange(-now, self._n_step + 1) * self._num_envs
    window = numbers[:, np.newaxis] + offsets
    steps = self._steps[window % self.capacity]
    over = steps['terminated'] | steps['truncated'] | (window < 0)

    reward, num_taken = self._returns(
      steps['reward'][:, now:-1], over[:, now:-2]
    )
    batch, last = np.arange(len(numbers)), now + num_taken - 1
    terminated, ended = steps['terminated'][batch, last], over[batch, last]
    # What the last step led to is of the same episode.
    over[batch, last] = False
    oldest = np.stack([np.zeros_like(num_taken), num_taken])
    columns = oldest[..., np.newaxis] + np.arange(self._num_frames)
    rows = batch[:, np.newaxis]
    observation, next_observation = self._stacks(
      window[rows, columns], over[rows, columns]
    )
    for i in np.flatnonzero(ended):
      next_observation[i, ..., -1] = self._last_frames[window[i, last[i]]]
    return Transitions(
      observation,
      steps['action'][:, now],
      reward,
      self._powers[num_taken - 1] * ~terminated,
      next_observation,
    )

  def _returns(self, rewards, over):
    """Discounted sums of rewards `[batch, n]` up to an end; steps in them."""
    taken = np.ones(rewards.shape, bool)
    np.logical_and.accumulate(~over, axis=1, out=taken[:, 1:])
    if self._clip_rewards:
      rewards = np.clip(rewards, -1, 1)
    return np.sum(rewards * taken * self._powers, axis=1), taken.sum(axis=1)

  def _stacks(self, numbers, over):
    """Stacks of the frames `[..., num_frames]`, 0 where of other episodes."""
    places = numbers % self.capacity
    before = np.logical_or.accumulate(over[..., -2::-1], axis=-1)[..., ::-1]
    places[..., :-1][before] = self.capacity
    shape = (*places.shape[:-1], *self._frames.shape[1:], self._num_frames)
    stacks = np.empty(shape, np.uint8)
    # One by one is faster than all of them and a transposition.
    for i in range(self._num_frames):
      stacks[..., i] = self._frames[places[..., i]]
    return stacks

  def rows(self, begin, end):
    """Rows by number: transitions, then the frames that episodes ended with.

    Args:
      begin: number of the first; it must still be there.
      end: number after the last.

    Returns:
      Array of rows with `frame`, `action`, `reward`, `terminated` and
      `truncated`, a copy. After those of the transitions comes one for each
      among them that ended an episode, in their order: its frame, action -1.
    """
    numbers = np.arange(begin, end)
    places = numbers % self.capacity
    steps = self._steps[places]
    ended = numbers[steps['terminated'] | steps['truncated']]
    rows = np.zeros(len(numbers) + len(ended), self._row)
    rows['action'] = -1
    transitions, last = np.split(rows, [len(numbers)])
    for name in steps.dtype.names:
      transitions[name] = steps[name]
    for i in range(0, len(numbers), _BLOCK):
      block = slice(i, i + _BLOCK)
      transitions['frame'][block] = self._frames[places[block]]
    for row, number in zip(last, ended):
      row['frame'] = self._last_frames[number]
    return rows

  def restore(self, segments, num_added):
    """Takes over the content of another replay.

    Args:
      segments: iterable of (begin, rows), as `rows` returned them.
      num_added: transitions ever added to that one.

    Raises:
      ValueError: if the rows are of another kind, or some are missing.
    """
    oldest = max(0, num_added - self.capacity)
    held = np.zeros(self.capacity, bool)
    self._last_frames = {}
    for begin, rows in segments:
      if rows.dtype != self._row or rows.ndim != 1:
        raise ValueError(
          f'Expected rows of {self._row}. Received: {rows.dtype}, {rows.shape}.'
        )
      size = np.count_nonzero(rows['action'] >= 0)
      transitions, last = np.split(rows, [size])
      numbers = np.arange(begin, begin + size)
      places = numbers % self.capacity
      self._frames[places] = transitions['frame']
      for name in self._steps.dtype.names:
        self._steps[name][places] = transitions[name]
      held[places] = True
      ended = numbers[transitions['terminated'] | transitions['truncated']]
      if len(ended) != len(last):
        raise ValueError(
          f'Expected {len(ended)} last frames. Received: {len(last)}.'
        )
      for number, row in zip(ended, last):
        if number >= oldest:
          self._last_frames[number] = row['frame'].copy()
    self._added = num_added
    if held.sum() != len(self):
      raise ValueError(
        f'Expected {len(self)} transitions. Received: {held.sum()}.'
      )
