r"""A wrapper that appends noise features to observations.

    --env_wrappers=tf_sparse_rl.envs.noise_features:NoiseFeatures \
    --env_wrapper_kwargs='{"NoiseFeatures": {"share": 0.9}}'
"""

import math

import gymnasium as gym
import numpy as np

from tf_sparse_rl import seeds


class NoiseFeatures(gym.ObservationWrapper):
  """Appends features drawn from N(0, std) to a flat observation.

  They are drawn at every env step, from the environment's seed. The authors'
  code draws them in every forward pass, so that a transition in the replay
  buffer gets new noise each time; here it keeps its noise.

  Reference: Grooten et al. 2023 (arXiv 2302.06548), section 3.
  """

  def __init__(self, env, share=0.9, std=1.0):
    """Wraps an environment.

    Args:
      env: a Gymnasium environment with a flat Box observation.
      share: fraction of noise features among all features, in [0, 1).
      std: standard deviation of the noise.

    Raises:
      ValueError: for other observations or shares.
    """
    super().__init__(env)
    space = env.observation_space
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
      raise ValueError(
        f'Expected a flat Box observation for NoiseFeatures. Received: {space}.'
      )
    if not 0 <= share < 1 or not 0 <= std < math.inf:
      raise ValueError(
        'Expected a share of noise features in [0, 1) and a finite std of at '
        f'least 0. Received: share={share}, std={std}.'
      )
    self._count = _num_features(space.shape[0], share) - space.shape[0]
    self._std = std
    ends = np.full(self._count, np.inf)
    self.observation_space = gym.spaces.Box(
      np.concatenate([space.low, -ends]).astype(space.dtype),
      np.concatenate([space.high, ends]).astype(space.dtype),
      dtype=space.dtype,
    )

  def reset(self, *, seed=None, options=None):
    """Resets; the seed also seeds the noise."""
    if seed is not None:
      self._rng = seeds.generator(seed, seeds.Stream.NOISE_FEATURES)
    return super().reset(seed=seed, options=options)

  def observation(self, observation):
    """Appends the noise."""
    noise = self._std * self._rng.standard_normal(self._count)
    return np.concatenate([observation, noise]).astype(
      self.observation_space.dtype
    )


def _num_features(num_real, share):
  """Total number of features, as in the authors' code: 17 at 0.9 make 171."""
  return math.ceil(num_real / (1 - share))
