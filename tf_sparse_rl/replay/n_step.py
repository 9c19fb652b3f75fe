"""n-step returns, for all replay buffers."""

import numpy as np


class Returns:
  """n-step returns, over fewer env steps at the end of an episode.

  With m steps taken, the target of a value is
  `reward + gamma * discount * value(next_observation)`:

    reward = sum of gamma^k reward_k for k < m
    discount = gamma^(m - 1), 0 if the last step was terminated

  and next_observation follows the last step. A truncated episode ends the sum
  and is bootstrapped.

  Reference: Sutton and Barto, Reinforcement Learning (2018), equation 7.1.
  """

  def __init__(
    self, n_step=1, gamma=0.99, clip_rewards=False, begin_env_step=0
  ):
    """Sums up to `n_step` rewards, optionally clipped to [-1, 1].

    Before `begin_env_step` it uses 1-step returns.
    """
    self.n_step = n_step
    self.clip_rewards = clip_rewards
    self._begin_env_step = begin_env_step
    self._powers = (gamma ** np.arange(n_step)).astype(np.float32)

  def num_steps(self, env_step):
    """Maximum number of rewards in a return after some env steps."""
    return self.n_step if env_step > self._begin_env_step else 1

  def of(self, ring, numbers):
    """Computes the returns from steps on.

    Args:
      ring: a Ring that holds `num_steps` steps of an environment from each of
        them.
      numbers: int64 `[batch]`.

    Returns:
      (reward, discount, last): float32 `[batch]`, float32 `[batch]`, and the
      number of the last step that was taken, int64 `[batch]`.
    """
    num_steps = self.num_steps(ring.num_added)
    offsets = np.arange(num_steps) * ring.num_envs
    window = numbers[:, np.newaxis] + offsets
    rewards = ring.column('reward', window)
    if self.clip_rewards:
      np.clip(rewards, -1, 1, out=rewards)
    taken = np.ones(window.shape, bool)
    goes_on = ring.column('end', window[:, :-1]) == 0
    np.logical_and.accumulate(goes_on, axis=1, out=taken[:, 1:])
    num_taken = taken.sum(axis=1)
    last = numbers + (num_taken - 1) * ring.num_envs
    discount = self._powers[num_taken - 1] * ring.column('discount', last)
    powers = self._powers[:num_steps]
    return np.sum(rewards * taken * powers, axis=1), discount, last

  def between(self, ring, numbers, last):
    """The env steps between the first and what the last led to.

    Args:
      ring: see `of`.
      numbers: see `of`.
      last: as `of` returned it.

    Returns:
      (numbers, weights) of the n - 1 steps after each first, both `[batch, n -
      1]`: gamma^k, or 0 of steps that were not taken, whose number is that of
      the first.
    """
    offsets = np.arange(1, self.n_step) * ring.num_envs
    window = numbers[:, np.newaxis] + offsets
    taken = window <= last[:, np.newaxis]
    window = np.where(taken, window, numbers[:, np.newaxis])
    return window, taken * self._powers[1:]


ONE_STEP = Returns()
