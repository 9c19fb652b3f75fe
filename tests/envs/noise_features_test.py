"""Noise features: their number, places and seeds."""

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import config, envs, modules
from tf_sparse_rl.envs import noise_features

_NAME = 'tf_sparse_rl.envs.noise_features:NoiseFeatures'


class _Flat(gym.Env):
  """Observations of as many zeros as asked for."""

  action_space = gym.spaces.Discrete(2)

  def __init__(self, size):
    self.observation_space = gym.spaces.Box(-1, 1, [size], np.float32)

  def reset(self, *, seed=None, options=None):
    return np.zeros(self.observation_space.shape, np.float32), {}


# As many as the authors' code has, float error included.
@pytest.mark.parametrize(
  'size, share, expected',
  [(17, 0.9, 171), (17, 0.99, 1700), (4, 0.5, 8), (4, 0.0, 4)],
)
def test_the_number_of_features(size, share, expected):
  env = noise_features.NoiseFeatures(_Flat(size), share)
  assert env.observation_space.shape == (expected,)
  observation, _ = env.reset(seed=0)
  assert observation.dtype == np.float32
  assert env.observation_space.contains(observation)
  assert not observation[:size].any() and observation[size:].all()


def test_the_noise_is_standard_normal_and_drawn_anew():
  env = noise_features.NoiseFeatures(_Flat(100), 0.99, std=3.0)
  first, _ = env.reset(seed=1)
  again, _ = env.reset()
  assert np.std(first[100:]) == pytest.approx(3, abs=0.1)
  assert np.mean(first[100:]) == pytest.approx(0, abs=0.1)
  assert not np.any(first[100:] == again[100:])
  np.testing.assert_array_equal(env.reset(seed=1)[0], first)


@pytest.mark.parametrize('share', [-0.1, 1.0, float('nan')])
def test_a_share_that_is_none(share):
  with pytest.raises(ValueError, match=r'share of noise.* Received: share='):
    noise_features.NoiseFeatures(_Flat(3), share)


def test_images_are_refused():
  env = _Flat(3)
  env.observation_space = gym.spaces.Box(0, 255, [4, 4, 3], np.uint8)
  with pytest.raises(ValueError, match='flat Box'):
    noise_features.NoiseFeatures(env)


def _config(**fields):
  return config.make_config(
    {'env_name': 'CartPole-v1', 'env_wrappers': _NAME, **fields}
  )


def test_from_flags_and_back_to_a_position():
  made = _config(env_wrapper_kwargs='{"NoiseFeatures": {"share": 0.75}}')
  env = envs.make(made)
  assert env.spec.observation_size == 16
  env.reset(seed=3)
  steps = [env.step(i % 2).observation for i in range(5)]
  other = envs.make(made)
  np.testing.assert_array_equal(other.restore(env.position), steps[-1])


@pytest.mark.parametrize(
  'kwargs', ['{"NoiseFeature": {"share": 0.5}}', '{"NoiseFeatures": 0.5}']
)
def test_arguments_of_no_wrapper(kwargs):
  with pytest.raises(ValueError, match='env_wrapper_kwargs'):
    _config(env_wrapper_kwargs=kwargs)


def test_an_argument_that_the_wrapper_does_not_take():
  made = _config(env_wrapper_kwargs='{"NoiseFeatures": {"part": 0.5}}')
  with pytest.raises(modules.UserCodeError, match='NoiseFeatures failed'):
    envs.make(made)
