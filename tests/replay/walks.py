"""Env steps of made-up environments in turn, and what is to be drawn of them.

Here every transition is kept whole, in a plain list.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from tf_sparse_rl import envs
from tf_sparse_rl.envs import gymnasium_env

GAMMA = 0.9
ENDS = {
  'goes on': (False, False),
  'terminated': (True, False),
  'truncated': (False, True),
  'both': (True, True),
}


class Added(NamedTuple):
  """The arguments of `add`."""

  observation: np.ndarray
  action: np.ndarray
  step: gymnasium_env.Step


def spec(observation_size=2, action_size=1):
  """An EnvSpec of flat observations."""
  low, high = (-1.0,) * action_size, (1.0,) * action_size
  return envs.EnvSpec('Made-v0', observation_size, None, None, low, high)


class Walk:
  """Adds env steps to buffers, and lists them.

  Observations are all different, so an episode that ends is seen.
  """

  def __init__(self, ends, num_envs=1, action_size=1):
    """Plans the walk.

    Args:
      ends: list of names in ENDS, of each env step.
      num_envs: environments in turn.
      action_size: entries of an action.
    """
    self.added = []
    self._ends, self._num_envs, self._action_size = ends, num_envs, action_size
    self._now = [self._observation(-1 - i) for i in range(num_envs)]

  def _observation(self, number):
    return np.float32([number, number / 3])

  def add(self, num_added, *buffers):
    """Goes on until so many env steps are added in all."""
    for number in range(len(self.added), num_added):
      i = number % self._num_envs
      terminated, truncated = ENDS[self._ends[number]]
      after = self._observation(number)
      step = gymnasium_env.Step(
        after, (number % 7 - 3) / 2.2, terminated, truncated
      )
      action = np.float32([number, *[0.1] * 9])[: self._action_size]
      self.added.append(Added(self._now[i], action, step))
      for buffer in buffers:
        buffer.add(*self.added[-1])
      begins = terminated or truncated
      self._now[i] = self._observation(number + 0.5) if begins else after

  def row(self, number):
    """The transition over one env step, as a list of float32."""
    observation, action, step = self.added[number]
    discount = 0.0 if step.terminated else 1.0
    row = *observation, *action, step.reward, discount, *step.observation
    return np.float32(row)

  def over(self, number):
    """Whether an env step ended its episode."""
    step = self.added[number].step
    return step.terminated or step.truncated

  def n_step_row(self, number, n_step, clip_rewards):
    """The transition over n env steps, by following its environment."""
    observation, action, _ = self.added[number]
    total = 0.0
    for k in range(n_step):
      step = self.added[number + k * self._num_envs].step
      reward = step.reward
      if clip_rewards:
        reward = min(1.0, max(-1.0, reward))
      total += GAMMA**k * reward
      if step.terminated or step.truncated:
        break
    discount = 0.0 if step.terminated else GAMMA**k
    row = *observation, *action, total, discount, *step.observation
    return np.float32(row)


@st.composite
def plans(draw, max_size=60):
  """Lists of names in ENDS: episodes that are mostly long, or mostly short."""
  ends = draw(st.sampled_from([[*ENDS], ['goes on'] * 9 + [*ENDS]]))
  size = draw(st.integers(0, max_size), 'size')
  return draw(st.lists(st.sampled_from(ends), min_size=size, max_size=size))


class WholeRows:
  """Whole transitions in an array: the plainest replay over one env step."""

  def __init__(self, capacity, row_size, clip_rewards, reward):
    """Allocates the array; `reward` is the place of that entry."""
    self._rows = np.zeros((capacity, row_size), np.float32)
    self._added, self._clip_rewards, self._reward = 0, clip_rewards, reward

  def add_rows(self, rows):
    """Adds transitions in their order."""
    for row in rows:
      self._rows[self._added % len(self._rows)] = row
      self._added += 1

  def sample(self, batch_size, rng):
    """Draws transitions uniformly, with replacement."""
    held = min(self._added, len(self._rows))
    rows = self._rows[rng.integers(held, size=batch_size)]
    if self._clip_rewards:
      rows[:, self._reward] = np.clip(rows[:, self._reward], -1, 1)
    return rows
