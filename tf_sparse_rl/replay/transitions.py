"""Flat transitions, drawn from a ring of env steps."""

import numpy as np

from tf_sparse_rl.replay import n_step, ring
from tf_sparse_rl.replay import rows as rows_lib

# Rows that are copied at once.
_BLOCK = 16384


class Replay(ring.Ring):
  """Transitions as float32 rows, see `rows.transition`.

  A batch is one array, which reaches TensorFlow as one tensor. Memory: 4 bytes
  x (observation_size + action_size + 3) a transition; an observation more an
  episode.
  """

  def __init__(
    self,
    capacity,
    env_spec,
    num_envs=1,
    returns=n_step.ONE_STEP,
  ):
    """Allocates the ring.

    Args:
      capacity: transitions; the oldest is overwritten.
      env_spec: an EnvSpec with flat observations.
      num_envs: environments that add in turn.
      returns: how rewards are drawn; they are kept as they are.

    Raises:
      ValueError: if no transition would ever be whole.
    """
    smallest = (returns.n_step - 1) * num_envs + 1
    if capacity < smallest:
      raise ValueError(
        f'Expected a capacity of at least {smallest} transitions for '
        f'n_step={returns.n_step}, num_envs={num_envs}. Received: {capacity}.'
      )
    sizes = env_spec.observation_size, env_spec.action_size
    super().__init__(capacity, num_envs, rows_lib.step(*sizes))
    self._transition = rows_lib.transition(env_spec)
    self._rollout = rows_lib.rollout(env_spec)
    self._returns = returns

  @property
  def row_size(self):
    """Entries of a row that is drawn."""
    return self._transition.size

  @property
  def drawable(self):
    """Range of the numbers of the transitions that are whole.

    All that it holds but the newest `n_step - 1` of an environment: what they
    lead to is not here yet.
    """
    newest = (self._returns.n_step - 1) * self._num_envs
    return range(self._oldest, max(self._oldest, self._added - newest))

  def sample(self, batch_size, rng):
    """Draws transitions uniformly, with replacement.

    Args:
      batch_size: number of rows.
      rng: NumPy generator.

    Returns:
      float32 `[batch_size, row_size]`, a copy.
    """
    if self._returns.n_step > 1:
      numbers = self.drawable
      return self.transitions(
        rng.integers(numbers.start, numbers.stop, size=batch_size)
      )
    rows = self._one_step(rng.integers(len(self), size=batch_size))
    if self._returns.clip_rewards:
      reward = rows[:, self._transition['reward']]
      np.clip(reward, -1, 1, out=reward)
    return rows

  def transitions(self, numbers):
    """Transitions by number, counted from the first that was ever added.

    Args:
      numbers: int64 `[batch]`, all of them `drawable`.

    Returns:
      float32 `[batch, row_size]`, a copy.
    """
    steps = self._steps.take(numbers % self.capacity, axis=0)
    reward, discount, last = self._returns.of(self, numbers)
    next_observation = self._led_to(
      last % self.capacity, self.column('end', last)
    )
    return self._transition.join(
      **{
        **self._layout.split(steps),
        'reward': reward[:, np.newaxis],
        'discount': discount[:, np.newaxis],
        'next_observation': next_observation,
      }
    )

  def rows(self, begin, end):
    """Env steps by number, counted from the first that was ever added.

    Args:
      begin: number of the first; it must still be there.
      end: number after the last.

    Returns:
      float32 `[end - begin, entries]`, a copy, see `rows.rollout`; rewards as
      they came.
    """
    rows = np.empty((end - begin, self._rollout.size), np.float32)
    for i in range(0, len(rows), _BLOCK):
      block = rows[i : i + _BLOCK]
      numbers = np.arange(begin + i, begin + i + len(block))
      block[:, :-1] = self._one_step(numbers % self.capacity)
      block[:, -1] = self.column('end', numbers) > 0
    return rows

  def _one_step(self, places):
    """Transitions over one env step, by place; rewards as they came."""
    steps = self._steps.take(places, axis=0)
    next_observation = self._led_to(places, steps[:, -1])
    return np.concatenate([steps[:, :-1], next_observation], axis=1)

  def _take(self, places):
    """Takes whole rows first, which is faster than entries of them."""
    steps = self._steps.take(places, axis=0, mode='wrap')
    return steps[:, self._layout['observation']]

  def _load(self, begin, rows):
    """Takes over a segment of `rows`, with or without `over`; see Ring."""
    rows = self._with_over(rows)
    numbers = np.arange(begin, begin + len(rows))
    columns = self._rollout.split(rows)
    is_newest = numbers >= self._added - self._num_envs
    ends = columns['over'][:, 0]
    ends = np.where(is_newest & (ends == 0), ring.NEWEST, ends)
    places = numbers % self.capacity
    self._steps[places] = self._layout.join(**columns, end=ends[:, np.newaxis])
    for i in np.flatnonzero(ends):
      self._beside[int(places[i])] = columns['next_observation'][i].copy()
    return numbers

  def _with_over(self, rows):
    """Rows of a segment with `over`, which versions up to 0.1 left out."""
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
    now, later = slice(-self._num_envs), slice(self._num_envs, None)
    moved = columns['next_observation'][now] != columns['observation'][later]
    terminated = columns['discount'][now] == 0
    over[now] = terminated | moved.any(axis=1, keepdims=True)
    return np.concatenate([rows, over], axis=1)
