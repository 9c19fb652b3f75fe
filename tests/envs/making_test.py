"""Custom environments: modules, arguments, wrappers, functions."""

import sys

import gymnasium as gym
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, modules

_MODULE = """
import gymnasium as gym
import numpy as np

class Own(gym.Env):
  observation_space = gym.spaces.Box(-9, 9, (1,))
  action_space = gym.spaces.Discrete(2)

  def __init__(self, goal, size=1):
    if goal < 0:
      raise RuntimeError('goal below 0')
    self.goal = goal

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return np.zeros(1), {}

  def step(self, action):
    return np.zeros(1), float(self.goal), False, False, {}

gym.register('OwnMaking-v0', Own, kwargs={'size': 2})
gym.register('space/OwnMaking-v1', Own)

def double(env):
  return gym.wrappers.TransformReward(env, lambda reward: 2 * reward)

def plus_one(env):
  return gym.wrappers.TransformReward(env, lambda reward: reward + 1)

def nothing(env):
  pass

def fails(env):
  return env.no_such_thing
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path, monkeypatch):
  """A module in the current directory that registers an environment."""
  (tmp_path / 'own_making.py').write_text(_MODULE)
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', list(sys.path))
  yield
  sys.modules.pop('own_making', None)
  for name in ('OwnMaking-v0', 'space/OwnMaking-v1'):
    gym.registry.pop(name, None)


def _config(**values):
  values = {'env_name': 'own_making:OwnMaking-v0', **values}
  return config_lib.make_config(values)


def _reward(config):
  env = envs.make(config)
  env.reset(0)
  return env.step(0).reward


def test_a_module_registers_its_environment():
  config = _config(env_kwargs='{"goal": 3}')
  env = envs.make(config)
  assert env.spec.name == 'own_making:OwnMaking-v0'
  assert env.gym.unwrapped.goal == 3
  assert _reward(config) == 3
  config = _config(
    env_name='own_making:space/OwnMaking-v1', env_kwargs='{"goal": 4}'
  )
  assert _reward(config) == 4


@pytest.mark.parametrize(
  'wrappers, reward', [('double,plus_one', 7), ('plus_one,double', 8), ('', 3)]
)
def test_wrappers_are_applied_in_order(wrappers, reward):
  named = [f'own_making:{name}' for name in wrappers.split(',') if name]
  config = _config(env_kwargs='{"goal": 3}', env_wrappers=','.join(named))
  assert _reward(config) == reward


def test_wrappers_of_other_environments():
  config = config_lib.make_config(
    {'env_name': 'CartPole-v1', 'env_wrappers': 'own_making:double'}
  )
  assert _reward(config) == 2
  config = config_lib.make_config(
    {
      'env_name': 'FrozenLake-v1',
      'env_kwargs': '{"is_slippery": false}',
      'env_wrappers': 'gymnasium.wrappers:FlattenObservation',
    }
  )
  assert envs.try_out(config).observation_size == 16


@pytest.mark.parametrize(
  'values, expected',
  [
    (
      {},
      '--env_kwargs with goal, without which own_making:OwnMaking-v0 cannot',
    ),
    (
      {'env_kwargs': '{"gaol": 3}'},
      "env_kwargs: Unknown argument of own_making:OwnMaking-v0 'gaol'. Did you "
      "mean 'goal'?",
    ),
    (
      {'env_kwargs': '{"goal": 1}', 'env_wrappers': 'own_making:duoble'},
      '--env_wrappers: Unknown name in ',
    ),
    (
      {'env_kwargs': '{"goal": 1}', 'env_wrappers': 'own_makin:double'},
      "Unknown module 'own_makin'. Did you mean 'own_making'?",
    ),
    (
      {'env_kwargs': '{"goal": 1}', 'env_wrappers': 'own_making:nothing'},
      'Expected a gymnasium.Env from --env_wrappers=own_making:nothing. '
      'Received: None.',
    ),
    (
      {'env_name': 'own_making:OwnMakin-v0'},
      "Unknown environment 'OwnMakin-v0'. Did you mean 'OwnMaking-v0'?",
    ),
    (
      {'env_name': 'own_makng:OwnMaking-v0'},
      "--env_name: Unknown module 'own_makng'. Did you mean 'own_making'?",
    ),
  ],
)
def test_what_is_wrong_is_told_in_one_line(values, expected):
  with pytest.raises(ValueError) as error:
    envs.make(_config(**values))
  assert expected in str(error.value)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'values, head, last',
  [
    (
      {'env_kwargs': '{"goal": -1}'},
      'Making own_making:OwnMaking-v0 failed:',
      'RuntimeError: goal below 0',
    ),
    (
      {'env_kwargs': '{"goal": "x"}'},
      'Making own_making:OwnMaking-v0 failed:',
      "TypeError: '<' not supported between instances of 'str' and 'int'",
    ),
    (
      {'env_kwargs': '{"goal": 1}', 'env_wrappers': 'own_making:fails'},
      '--env_wrappers=own_making:fails failed:',
      "has no attribute 'no_such_thing'",
    ),
  ],
)
def test_what_fails_keeps_its_traceback(values, head, last):
  with pytest.raises(modules.UserCodeError) as error:
    envs.make(_config(**values))
  lines = str(error.value).splitlines()
  assert lines[0] == head
  assert 'own_making.py", line ' in lines[2]
  assert last in lines[-1]


@pytest.mark.parametrize(
  'field, value, expected',
  [
    ('env_kwargs', '{"goal": 3', 'env_kwargs as a JSON object'),
    ('env_kwargs', '[3]', 'env_kwargs as a JSON object'),
    ('env_kwargs', '', 'env_kwargs as a JSON object'),
    ('env_wrappers', 'double', "as module:name.*Received: 'double'"),
    ('env_wrappers', 'own_making:double,:x', "Received: ':x'"),
  ],
)
def test_a_config_refuses_what_it_can_see(field, value, expected):
  with pytest.raises(ValueError, match=expected):
    _config(**{field: value})


def test_a_config_knows_what_will_be_imported():
  assert _config().imported_modules == ('own_making',)
  config = _config(
    env_name='CartPole-v1',
    env_wrappers='gymnasium.wrappers:FlattenObservation,own_making:double',
  )
  assert config.imported_modules == ('gymnasium.wrappers', 'own_making')
  assert _config(env_name='CartPole-v1').imported_modules == ()
  assert 'own_making' not in sys.modules


def _own_cart_pole(length=5):
  return gym.wrappers.TimeLimit(gym.make('CartPole-v1'), length)


def test_a_callable_stands_for_an_environment():
  name = envs.name_callable(_own_cart_pole)
  assert name == f'callable:{__name__}._own_cart_pole'
  config = _config(env_name=name, env_kwargs='{"length": 7}')
  assert config.imported_modules == ()
  assert envs.make(config).spec.max_episode_steps == 7
  with pytest.raises(ValueError, match="argument of callable:.* 'lenth'"):
    envs.make(_config(env_name=name, env_kwargs='{"lenth": 7}'))


def test_a_callable_of_another_process_is_asked_for():
  with pytest.raises(ValueError) as error:
    envs.make(_config(env_name='callable:__main__.make'))
  assert 'tf_sparse_rl.train(root_dir, env=...)' in str(error.value)


def test_what_a_callable_returns_is_looked_at():
  name = envs.name_callable(lambda: 3)
  with pytest.raises(ValueError, match='a gymnasium.Env from callable:.*: 3'):
    envs.make(_config(env_name=name))
