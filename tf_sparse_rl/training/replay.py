"""What was collected: a replay, or a rollout, in one NumPy array."""

import numpy as np

from tf_sparse_rl.training import frame_replay


def make(config, env_spec):
  """The buffer that a run collects into.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    A Rollout for PPO, a FrameReplay of images, else a Replay.
  """
  shape = env_spec.observation_shape
  if shape:
    return frame_replay.FrameReplay(
      config.replay_capacity,
      shape[:2],
      shape[2],
      config.n_step,
      config.gamma,
      config.num_envs,
      config.clip_rewards,
    )
  sizes = env_spec.observation_size, env_spec.action_size
  if config.agent == 'ppo':
    return Rollout(config.rollout_env_steps, *sizes)
  return Replay(config.replay_capacity, *sizes, bool(config.clip_rewards))


class Replay:
  """Transitions as float32 rows: observation, action, reward, discount, next.

  One array, so that a batch is one indexed copy and reaches TensorFlow as one
  tensor. Memory: 4 bytes x (2 observation_size + action_size + 2) a
  transition, taken as it fills.
  """

  _NUM_MORE = 0  # Entries of a row after those of the transition.

  def __init__(
    self, capacity, observation_size, action_size, clip_rewards=False
  ):
    """Allocates the ring.

    Args:
      capacity: transitions; the oldest is overwritten.
      observation_size: entries of an observation.
      action_size: entries of an action; 1 for a discrete one.
      clip_rewards: whether rewards are drawn as ones in [-1, 1]; they are kept
        as they are.
    """
    sizes = (observation_size, action_size, 1, 1, observation_size)
    self._ends = np.cumsum(sizes).tolist()
    row_size = self._ends[-1] + self._NUM_MORE
    # Zeros are not touched until written, so memory comes as needed.
    self._rows = np.zeros((capacity, row_size), np.float32)
    self._added = 0
    self._clip_rewards = clip_rewards

  def __len__(self):
    return min(self._added, len(self._rows))

  @property
  def capacity(self):
    """Transitions that it holds at most."""
    return len(self._rows)

  @property
  def num_added(self):
    """Transitions ever added."""
    return self._added

  @property
  def num_bytes(self):
    """Memory of the ring once it is full."""
    return self._rows.nbytes

  @property
  def row_size(self):
    """Entries of a row."""
    return self._rows.shape[1]

  def add(self, observation, action, step):
    """Adds one transition.

    Args:
      observation: what the action was taken on.
      action: int or float array.
      step: the Step it led to; the discount is 0 if it is terminated, and 1
        if it is merely truncated.

    Returns:
      The row.
    """
    row = self._rows[self._added % len(self._rows)]
    a, b, c, d, e = self._ends
    row[:a] = observation
    row[a:b] = action
    row[b] = step.reward
    row[c] = 0.0 if step.terminated else 1.0
    row[d:e] = step.observation
    self._added += 1
    return row

  def sample(self, batch_size, rng):
    """Draws transitions uniformly, with replacement.

    Args:
      batch_size: number of rows.
      rng: NumPy generator.

    Returns:
      float32 `[batch_size, row_size]`, a copy.
    """
    rows = self._rows.take(rng.integers(len(self), size=batch_size), axis=0)
    if self._clip_rewards:
      reward = rows[:, self._ends[1]]
      np.clip(reward, -1, 1, out=reward)
    return rows

  def rows(self, begin, end):
    """Rows by number, counted from the first that was ever added.

    Args:
      begin: number of the first; it must still be there.
      end: number after the last.

    Returns:
      float32 `[end - begin, row_size]`, a copy.
    """
    return self._rows.take(np.arange(begin, end) % len(self._rows), axis=0)

  def restore(self, segments, num_added):
    """Takes over the content of another replay.

    Args:
      segments: iterable of (begin, rows), as `rows` returned them.
      num_added: transitions ever added to that one.

    Raises:
      ValueError: if the rows have another size, or some are missing.
    """
    held = np.zeros(len(self._rows), bool)
    for begin, rows in segments:
      if rows.dtype != self._rows.dtype:
        raise ValueError(f'Expected float32. Received: {rows.dtype}.')
      if rows.ndim != 2 or rows.shape[1] != self.row_size:
        raise ValueError(
          f'Expected rows of {self.row_size} entries. Received: {rows.shape}.'
        )
      places = np.arange(begin, begin + len(rows)) % len(self._rows)
      self._rows[places] = rows
      held[places] = True
    self._added = num_added
    if held.sum() != len(self):
      raise ValueError(
        f'Expected {len(self)} transitions. Received: {held.sum()}.'
      )


class Rollout(Replay):
  """The latest env steps in order; rows also say where an episode is over.

  The last entry of a row is 1 if no env step of the same episode follows.
  """

  _NUM_MORE = 1

  def add(self, observation, action, step):
    """See Replay."""
    row = super().add(observation, action, step)
    row[-1] = step.terminated or step.truncated
    return row

  def latest(self):
    """All of its rows, the oldest first; it must be full."""
    return self.rows(self.num_added - self.capacity, self.num_added)
