"""Replay buffer of images: frames are stored once, stacked in sampling."""

import math
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import aligned
from tf_sparse_rl.replay import n_step, ring
from tf_sparse_rl.replay import rows as rows_lib

# Rows copied at once.
_BLOCK = 1024


class Transitions(NamedTuple):
  """A batch of transitions over n env steps, see `n_step.Returns`."""

  # uint8 [batch, height, width, channels]; grey frames lie [batch, channels,
  # height, width] in memory.
  observation: np.ndarray
  action: np.ndarray  # int32 [batch], or float32 [batch, action_size]
  reward: np.ndarray  # float32 [batch]
  discount: np.ndarray  # float32 [batch]
  next_observation: np.ndarray  # as observation, up to n env steps later


class FrameReplay(ring.Ring):
  """Transitions between stacks of frames, the newest frame last.

  Only the newest frame of an observation is stored. Frames from before the
  episode are 0. Memory per transition: a frame, 12 bytes, and 4 for each entry
  of an action; a further frame per episode. It is allocated as it fills.
  """

  def __init__(
    self,
    capacity,
    frame_shape=(84, 84),
    num_frames=4,
    num_envs=1,
    returns=n_step.ONE_STEP,
    action_size=0,
  ):
    """Allocates the ring.

    Args:
      capacity: transitions; the oldest is overwritten.
      frame_shape: (height, width), or with channels of its own.
      num_frames: frames of an observation.
      num_envs: number of environments, which add in turn.
      returns: see `ring.Ring`.
      action_size: entries of a continuous action; 0 for discrete ones.

    Raises:
      ValueError: if the capacity is too small for a transition.
    """
    smallest = (num_frames - 1 + returns.n_step) * num_envs + 1
    if capacity < smallest:
      raise ValueError(
        f'Expected a capacity of at least {smallest} transitions for '
        f'num_frames={num_frames}, n_step={returns.n_step}, '
        f'num_envs={num_envs}. Received: {capacity}.'
      )
    frames = np.zeros((capacity, *frame_shape), np.uint8)
    layout = rows_lib.step(0, action_size or 1)
    super().__init__(capacity, num_envs, layout, returns, frames)
    self._num_frames, self._action_size = num_frames, action_size
    self._row = np.dtype(
      [
        ('frame', np.uint8, frame_shape),
        ('action', np.float32, (action_size,))
        if action_size
        else ('action', np.int32),
        ('reward', np.float32),
        ('terminated', bool),
        ('truncated', bool),
      ]
    )

  @property
  def num_bytes(self):
    return super().num_bytes + self._observations.nbytes

  @property
  def drawable(self):
    begin, newest = self._oldest, self._num_steps * self.num_envs
    if begin:  # Older frames may be overwritten.
      begin += (self._num_frames - 1) * self.num_envs
    return range(begin, max(begin, self.num_added - newest))

  def transitions(self, numbers):
    """Copies `Transitions` by number."""
    reward, discount, last = self._returns.of(self, numbers)
    shape = len(numbers), self._num_frames, *self._observations.shape[1:]
    observation = aligned.empty(shape, np.uint8)
    self._stack(observation, numbers)
    next_observation = aligned.empty(shape, np.uint8)
    self._stack(next_observation[:, :-1], last)
    next_observation[:, -1] = self._led_to(
      last % self.capacity, self.column('end', last)
    )
    return Transitions(
      _images(observation),
      self._actions(numbers),
      reward,
      discount,
      _images(next_observation),
    )

  def _actions(self, numbers):
    """Actions by number; see Transitions."""
    if not self._action_size:
      return self.column('action', numbers).astype(np.int32)
    steps = self._steps.take(numbers % self.capacity, axis=0)
    return steps[:, self._layout['action']]

  def _kept(self, observation):
    frame_shape = self._observations.shape[1:]
    return observation.reshape(*frame_shape, self._num_frames)[..., -1]

  def _stack(self, stacks, numbers):
    """Fills `[batch, frames, *frame_shape]` with the frames up to steps."""
    num_frames = stacks.shape[1]
    offsets = np.arange(1 - num_frames, 1) * self.num_envs
    window = numbers[:, np.newaxis] + offsets
    # A frame is of another episode if one ended from there on.
    over = (self.column('end', window) > 0) | (window < 0)
    over[:, -1:] = False
    over = np.logical_or.accumulate(over[:, ::-1], axis=1)[:, ::-1]
    stacks[:] = self._observations[window % self.capacity]
    stacks[over] = 0

  def rows(self, begin, end):
    """Rows of transitions, followed by the last frames of episodes.

    Returns:
      Array of rows with `frame`, `action`, `reward`, `terminated` and
      `truncated`, a copy. After those of the transitions comes one for each
      among them that ended an episode, in their order: its frame, action -1, or
      NaN for continuous actions.
    """
    numbers = np.arange(begin, end)
    places = numbers % self.capacity
    over = self.column('end', numbers) > 0
    terminated = self.column('discount', numbers) == 0
    rows = np.zeros(len(numbers) + np.count_nonzero(over), self._row)
    rows['action'] = np.nan if self._action_size else -1
    transitions, last = np.split(rows, [len(numbers)])
    transitions['action'] = self._actions(numbers)
    transitions['reward'] = self.column('reward', numbers)
    transitions['terminated'] = terminated
    transitions['truncated'] = over & ~terminated
    for i in range(0, len(numbers), _BLOCK):
      block = slice(i, i + _BLOCK)
      transitions['frame'][block] = self._observations[places[block]]
    for row, place in zip(last, places[over].tolist()):
      row['frame'] = self._beside[place]
    return rows

  def _load(self, begin, rows):
    if rows.dtype != self._row or rows.ndim != 1:
      raise ValueError(
        f'Expected rows of {self._row}. Received: {rows.dtype}, {rows.shape}.'
      )
    actions = rows['action'].reshape(len(rows), self._action_size or 1)
    has_action = actions == actions if self._action_size else actions >= 0
    size = np.count_nonzero(has_action.all(axis=1))
    transitions, last = np.split(rows, [size])
    over = transitions['terminated'] | transitions['truncated']
    if np.count_nonzero(over) != len(last):
      raise ValueError(
        f'Expected {np.count_nonzero(over)} last frames. Received: {len(last)}.'
      )
    numbers = np.arange(begin, begin + size)
    places = numbers % self.capacity
    self._observations[places] = transitions['frame']
    # The newest transitions are sampled only once the next step is there.
    outcome = transitions['reward'], ~transitions['terminated'], over
    self._steps[places] = np.column_stack([actions[:size], *outcome])
    for place, row in zip(places[over].tolist(), last):
      self._beside[place] = row['frame'].copy()
    return numbers


def _images(stacks):
  """`[batch, height, width, channels]` of stacks; grey ones are not copied."""
  stacks = np.moveaxis(stacks, 1, -1)
  return stacks.reshape(*stacks.shape[:3], math.prod(stacks.shape[3:]))
