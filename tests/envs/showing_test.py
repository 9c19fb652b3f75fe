"""Episodes in a window: an SDL driver that draws nothing stands in for it."""

import numpy as np
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs
from tf_sparse_rl.envs import showing


@pytest.fixture(name='cart_pole')
def cart_pole_fixture(monkeypatch):
  """(Config, Environment) of CartPole, with a display that draws nothing."""
  monkeypatch.setenv('SDL_VIDEODRIVER', 'dummy')
  config = config_lib.make_config(
    {
      'env_name': 'CartPole-v1',
      'env_wrappers': 'tf_sparse_rl.envs.noise_features:NoiseFeatures',
      'env_wrapper_kwargs': '{"NoiseFeatures": {"share": 0.5}}',
    }
  )
  env = envs.make(config)
  assert env.spec.observation_size == 8
  yield config, env
  env.close()


def test_what_is_shown_is_what_is_played(cart_pole):
  config, env = cart_pole
  shown = showing.ShownEnvironment(config, env)
  np.testing.assert_array_equal(shown.reset(3), env.reset(3))
  for action in (0, 1, 1):
    ours, theirs = shown.step(action), env.step(action)
    np.testing.assert_array_equal(ours.observation, theirs.observation)
    assert ours[1:] == theirs[1:]
  shown.close()


def test_a_window_that_is_closed_is_told(cart_pole):
  shown = showing.ShownEnvironment(*cart_pole)
  shown._process.kill()
  with pytest.raises(ValueError, match='Cannot show CartPole-v1: its window'):
    shown.reset(0)
  shown.close()


def test_why_it_cannot_be_shown_is_told(cart_pole, monkeypatch):
  _, env = cart_pole
  config = config_lib.make_config({'env_name': 'nowhere:CartPole-v1'})
  with pytest.raises(ValueError, match="Cannot show nowhere.*'nowhere'"):
    showing.ShownEnvironment(config, env)
  for name in ('SDL_VIDEODRIVER', 'DISPLAY', 'WAYLAND_DISPLAY'):
    monkeypatch.delenv(name, raising=False)
  with pytest.raises(
    ValueError, match='Expected a display to show CartPole-v1'
  ):
    showing.ShownEnvironment(*cart_pole)
