"""Spaces: what is an image, what is flattened, what an action becomes."""

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs
from tf_sparse_rl.envs import spaces

_S = gym.spaces
_SPACES = {
  'discrete': _S.Discrete(4, start=2),
  'multi_discrete': _S.MultiDiscrete([2, 3]),
  'multi_binary': _S.MultiBinary(3),
  'matrix': _S.Box(-1, 1, (2, 3)),
  'scalar': _S.Box(-1, 1, ()),
  'integers': _S.Box(0, 9, (4,), np.int64),
  'small_image': _S.Box(0, 255, (4, 4, 3), np.uint8),
  'tuple': _S.Tuple([_S.Discrete(3), _S.Box(-1, 1, (2, 2))]),
  'dict': _S.Dict(b=_S.MultiBinary(2), a=_S.Dict(c=_S.Discrete(2))),
}


class _Showing(gym.Env):
  """Shows random members of a space; keeps the last action."""

  def __init__(self, observation_space=None, action_space=None):
    self.observation_space = observation_space or _S.Box(-1, 1, (2,))
    self.action_space = action_space or _S.Discrete(2)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self.observation_space.seed(seed)
    self.shown = self.observation_space.sample()
    return self.shown, {}

  def step(self, action):
    assert self.action_space.contains(action), action
    self.received = action
    self.shown = self.observation_space.sample()
    return self.shown, 0.0, False, False, {}


gym.register('Showing-v0', _Showing)


def _make(agent='ppo', network='mlp', **spaces_):
  name = envs.name_callable(lambda: _Showing(**spaces_))
  values = {'agent': agent, 'env_name': name, 'network': network}
  return envs.make(config_lib.make_config(values))


@pytest.mark.parametrize('name', _SPACES)
def test_observations_are_what_gymnasium_flattens(name):
  space = _SPACES[name]
  env = _make(observation_space=space)
  flattened = gym.wrappers.FlattenObservation(_Showing(space))
  expected = flattened.observation_space.shape
  assert (env.spec.observation_size,) == expected
  assert env.spec.observation_shape == ()
  for method in ('reset', 'step'):
    observation = env.reset(3) if method == 'reset' else env.step(0).observation
    assert (observation.dtype, observation.shape) == (np.float32, expected)
    shown = gym.spaces.flatten(space, env.gym.unwrapped.shown)
    np.testing.assert_allclose(observation, shown, rtol=1e-6)


@pytest.mark.parametrize(
  'shape, expected',
  [
    ((8, 8), (8, 8, 1)),
    ((84, 84), (84, 84, 1)),
    ((8, 20, 1), (8, 20, 1)),
    ((96, 96, 3), (96, 96, 3)),
    ((9, 8, 4), (9, 8, 4)),
    ((4, 84, 90), (84, 90, 4)),
    ((1, 8, 8), (8, 8, 1)),
    ((4, 84, 4), ()),
    ((84, 84, 2), ()),
    ((7, 8, 3), ()),
    ((7, 7), ()),
    ((64,), ()),
    ((4, 84, 84, 3), ()),
  ],
)
def test_what_is_an_image(shape, expected):
  space = _S.Box(0, 255, shape, np.uint8)
  assert spaces.image_shape(space) == expected


@pytest.mark.parametrize(
  'space',
  [
    _S.Box(0, 1, (9, 9, 3), np.float32),
    _S.Box(0, 255, (9, 9, 3), np.int64),
    _S.Box(0, 7, (9, 9, 3), np.uint8),
    _S.MultiBinary([9, 9]),
  ],
)
def test_what_is_no_image(space):
  assert spaces.image_shape(space) == ()


@pytest.mark.parametrize('shape', [(9, 10), (9, 10, 3), (4, 9, 10)])
def test_an_image_comes_as_the_networks_take_it(shape):
  space = _S.Box(0, 255, shape, np.uint8)
  env = _make('dqn', 'nature_cnn', observation_space=space)
  image = env.reset(0)
  assert image.dtype == np.uint8
  assert image.shape == env.spec.observation_shape
  assert env.spec.observation_size == image.size
  assert env.spec.num_frames == 1
  shown = env.gym.unwrapped.shown
  if shape == (4, 9, 10):
    shown = shown.transpose(1, 2, 0)
  np.testing.assert_array_equal(image, shown.reshape(image.shape))


@pytest.mark.parametrize(
  'space, counts',
  [
    (_S.MultiDiscrete([2, 3]), (2, 3)),
    (_S.MultiDiscrete([[2, 3], [4, 5]]), (2, 3, 4, 5)),
    (_S.MultiDiscrete([3, 2], start=[5, -1]), (3, 2)),
    (_S.MultiBinary(3), (2, 2, 2)),
    (_S.MultiBinary([2, 2]), (2, 2, 2, 2)),
  ],
)
def test_actions_of_several_integers(space, counts):
  env = _make(action_space=space)
  spec = env.spec
  assert (spec.action_counts, spec.num_actions) == (counts, None)
  assert spec.action_size == len(counts) and spec.has_integer_actions
  env.reset(0)
  rng = np.random.default_rng(0)
  seen = np.array([env.random_action(rng) for _ in range(200)])
  assert seen.dtype == np.int32
  np.testing.assert_array_equal(seen.min(axis=0), 0)
  np.testing.assert_array_equal(seen.max(axis=0), np.array(counts) - 1)
  for action in seen[:5]:
    env.step(action)
    received = env.gym.unwrapped.received
    assert (received.shape, received.dtype) == (space.shape, space.dtype)
    start = np.ravel(getattr(space, 'start', 0))
    np.testing.assert_array_equal(received.ravel(), action + start)
  # A position holds them exactly.
  other = _make(action_space=space)
  other.restore(env.position)
  assert other.position == env.position
  np.testing.assert_array_equal(other.gym.unwrapped.received, received)


@pytest.mark.parametrize('agent', ['dqn', 'sac'])
def test_other_agents_take_no_actions_of_several_integers(agent):
  with pytest.raises(ValueError, match=f'actions for {agent}. Received: '):
    _make(agent, action_space=_S.MultiDiscrete([2, 2]))


def test_time_limits_are_found_in_wrappers():
  limit = gym.wrappers.TimeLimit
  assert spaces.time_limit(_Showing()) is None
  assert spaces.time_limit(limit(_Showing(), 7)) == 7
  wrapped = gym.wrappers.FlattenObservation(limit(_Showing(), 7))
  assert spaces.time_limit(wrapped) == 7
  assert spaces.time_limit(limit(gym.make('CartPole-v1'), 20)) == 20
