"""Replay buffer of flat transitions."""

import numpy as np

from tf_sparse_rl.replay import n_step, ring
from tf_sparse_rl.replay import rows as rows_lib

# Rows copied at once.
_BLOCK = 16384


class Replay(ring.Ring):
  """Transitions as float32 rows, see `rows.transition`.

  A batch is one array and one tensor. Memory per transition: 4 bytes x
  (observation_size + action_size + 3); a further observation per episode.
  """

  def __init__(
    self,
    capacity,
    env_spec,
    num_envs=1,
    returns=n_step.ONE_STEP,
    with_between=False,
  ):
    """Allocates the ring.

    Args:
      capacity: transitions; the oldest is overwritten.
      env_spec: an EnvSpec with flat observations.
      num_envs: number of environments, which add in turn.
      returns: see `ring.Ring`.
      with_between: whether rows are those of `rows.soft_transition`.

    Raises:
      ValueError: if the capacity is too small for a transition.
    """
    smallest = (returns.n_step - 1) * num_envs + 1
    if capacity < smallest:
      raise ValueError(
        f'Expected a capacity of at least {smallest} transitions for '
        f'n_step={returns.n_step}, num_envs={num_envs}. Received: {capacity}.'
      )
    layout = rows_lib.step(env_spec.observation_size, env_spec.action_size)
    super().__init__(capacity, num_envs, layout, returns)
    self._transition = self._drawn = rows_lib.transition(env_spec)
    if with_between:
      between = returns.n_step - 1
      self._drawn = rows_lib.soft_transition(env_spec, between)
    self._rollout = rows_lib.rollout(env_spec)

  @property
  def row_size(self):
    """Number of entries of a sampled row."""
    return self._drawn.size

  @property
  def drawable(self):
    newest = (self._num_steps - 1) * self.num_envs
    return range(self._oldest, max(self._oldest, self.num_added - newest))

  def sample(self, batch_size, rng):
    """Samples rows uniformly with replacement: float32 `[batch, row_size]`."""
    is_plain = self._drawn is self._transition and self._num_steps == 1
    if not is_plain or self.num_forgotten:
      return super().sample(batch_size, rng)
    rows = self._one_step(rng.integers(len(self), size=batch_size))
    if self._returns.clip_rewards:
      reward = rows[:, self._transition['reward']]
      np.clip(reward, -1, 1, out=reward)
    return rows

  def transitions(self, numbers):
    """Copies transitions by number, float32 `[batch, row_size]`."""
    steps = self._steps.take(numbers % self.capacity, axis=0)
    columns = self._layout.split(steps)
    reward, discount, last = self._returns.of(self, numbers)
    columns['reward'] = reward[:, np.newaxis]
    columns['discount'] = discount[:, np.newaxis]
    columns['next_observation'] = self._led_to(
      last % self.capacity, self.column('end', last)
    )
    if self._drawn is not self._transition:
      between, columns['weight'] = self._returns.between(self, numbers, last)
      observations = self._take(between.ravel() % self.capacity)
      columns['between'] = observations.reshape(len(numbers), -1)
    return self._drawn.join(**columns)

  def rows(self, begin, end):
    """Rows of `rows.rollout` by number, with unchanged rewards."""
    rows = np.empty((end - begin, self._rollout.size), np.float32)
    for i in range(0, len(rows), _BLOCK):
      block = rows[i : i + _BLOCK]
      numbers = np.arange(begin + i, begin + i + len(block))
      block[:, :-1] = self._one_step(numbers % self.capacity)
      block[:, -1] = self.column('end', numbers) > 0
    return rows

  def _one_step(self, places):
    """1-step transitions by index, with unchanged rewards."""
    steps = self._steps.take(places, axis=0)
    next_observation = self._led_to(places, steps[:, -1])
    return np.concatenate([steps[:, :-1], next_observation], axis=1)

  def _take(self, places):
    # Whole rows first, which is faster than entries of them.
    steps = self._steps.take(places, axis=0, mode='wrap')
    return steps[:, self._layout['observation']]

  def _load(self, begin, rows):
    rows = self._with_over(rows)
    numbers = np.arange(begin, begin + len(rows))
    columns = self._rollout.split(rows)
    is_newest = numbers >= self.num_added - self.num_envs
    ends = columns['over'][:, 0]
    ends = np.where(is_newest & (ends == 0), ring.NEWEST, ends)
    places = numbers % self.capacity
    self._steps[places] = self._layout.join(**columns, end=ends[:, np.newaxis])
    for i in np.flatnonzero(ends):
      self._beside[int(places[i])] = columns['next_observation'][i].copy()
    return numbers

  def _with_over(self, rows):
    """Adds `over` to the rows of a segment of versions up to 0.1."""
    if rows.dtype != np.float32:
      raise ValueError(f'Expected float32. Received: {rows.dtype}.')
    sizes = self._rollout.size, self._transition.size
    if rows.ndim != 2 or rows.shape[1] not in sizes:
      raise ValueError(
        f'Expected rows of {sizes[0]} entries. Received: {rows.shape}.'
      )
    if rows.shape[1] == sizes[0]:
      return rows
    columns = self._transition.split(rows)
    # At the end of a segment it is not known, and 1 is never wrong: then the
    # next observation is kept.
    over = np.ones((len(rows), 1), np.float32)
    now, later = slice(-self.num_envs), slice(self.num_envs, None)
    moved = columns['next_observation'][now] != columns['observation'][later]
    terminated = columns['discount'][now] == 0
    over[now] = terminated | moved.any(axis=1, keepdims=True)
    return np.concatenate([rows, over], axis=1)


class Rollout(Replay):
  """The latest env steps in order, for on-policy agents.

  Rows are those of `rows.rollout`, of environments in turn.
  """

  @property
  def row_size(self):
    return self._rollout.size

  def _kept(self, observation):
    return observation.reshape(-1)  # Images too: as float32, 4 bytes an entry.

  def latest(self):
    """All rows of a full rollout, the oldest first."""
    return self.rows(self.num_added - self.capacity, self.num_added)
