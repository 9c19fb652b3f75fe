"""Observation noise, and the standard deviation of observations."""

import numpy as np

from tf_sparse_rl import seeds


class NoisyEnvironment:
  """An environment with Gaussian noise added to its observations.

  Each frame of a stack gets its noise once and keeps it: in grey levels,
  rounded and clipped to [0, 255], where the paper's code wraps around. Frames
  from before the episode stay 0.

  Reference: paper, figure 6.
  """

  def __init__(self, env, std):
    """Wraps an environment.

    Args:
      env: an Environment.
      std: standard deviation of the noise: in grey levels for images; for flat
        observations an array `[observation_size]` or a number.
    """
    self._env, self._std = env, std
    self._is_stack = env.spec.num_frames > 1

  def reset(self, seed):
    """Starts an episode; the seed also seeds the noise."""
    self._rng = seeds.generator(seed, seeds.Stream.OBSERVATION_NOISE)
    observation = self._env.reset(seed)
    if not self._is_stack:
      return self._with_noise(observation)
    self._seen = np.zeros_like(observation)
    return self._see(observation)

  def step(self, action):
    step = self._env.step(action)
    see = self._see if self._is_stack else self._with_noise
    return step._replace(observation=see(step.observation))

  def random_action(self, rng):
    return self._env.random_action(rng)

  def _see(self, stack):
    """Appends the newest frame, with noise, to the stack seen so far."""
    newest = self._with_noise(stack[..., -1:])
    self._seen = np.concatenate([self._seen[..., 1:], newest], axis=-1)
    return self._seen

  def _with_noise(self, values):
    noise = self._rng.standard_normal(values.shape)
    if values.dtype == np.uint8:
      noisy = np.rint(values + self._std * noise)
      return np.clip(noisy, 0, 255).astype(np.uint8)
    return (values + self._std * noise).astype(np.float32)


class WatchedEnvironment:
  """An environment that sums its observations and their squares."""

  def __init__(self, env):
    self._env = env
    self.count, self.sum, self.squares = 0, 0.0, 0.0

  def reset(self, seed):
    observation = self._env.reset(seed)
    self._add(observation)
    return observation

  def step(self, action):
    step = self._env.step(action)
    self._add(step.observation)
    return step

  def random_action(self, rng):
    return self._env.random_action(rng)

  def _add(self, observation):
    self.count += 1
    self.sum = self.sum + np.float64(observation)
    self.squares = self.squares + np.square(np.float64(observation))


def std_of_observations(watched):
  """Standard deviation of each entry of the observations."""
  count = sum(env.count for env in watched)
  mean = sum(env.sum for env in watched) / count
  square = sum(env.squares for env in watched) / count
  return np.sqrt(np.maximum(square - np.square(mean), 0))
