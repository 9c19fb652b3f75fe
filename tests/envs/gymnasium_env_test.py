"""The adapter: checked spaces, float32 observations, seeds, ends."""

import json
import os
import pathlib
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import envs, flags

_ROOT = pathlib.Path(__file__).parents[2]


class _Corridor(gym.Env):
  """Three cells; action 6 goes on, 5 stays. Float64, actions from 5."""

  observation_space = gym.spaces.Box(-9, 9, (1,), np.float64)
  action_space = gym.spaces.Discrete(2, start=5)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._cell = 0
    return np.array([0.0]), {}

  def step(self, action):
    assert action in (5, 6), action
    self._cell += action - 5
    return np.array([self._cell]), action, self._cell == 3, False, {}


class _Recorder(gym.Env):
  """Keeps the last action as it came. Bounds differ by entry."""

  observation_space = gym.spaces.Box(-9, 9, (1,), np.float64)
  action_space = gym.spaces.Box(
    np.array([-1, 0, 5], np.float32), np.array([3, 0.5, 6], np.float32)
  )

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return np.array([0.0]), {}

  def step(self, action):
    self.received = action
    return np.array([0.0]), 0.0, False, False, {}


class _AnyActions(gym.Env):
  """Has the actions that it is registered with."""

  observation_space = gym.spaces.Box(-1, 1, (2,))

  def __init__(self, action_space):
    self.action_space = action_space


_REFUSED_ACTIONS = {
  'IntegerBox-v0': gym.spaces.Box(0, 4, (2,), np.int64),
  'MatrixBox-v0': gym.spaces.Box(-1, 1, (2, 3)),
  'ScalarBox-v0': gym.spaces.Box(-1, 1, ()),
  'EmptyBox-v0': gym.spaces.Box(-1, 1, (0,)),
  'Tuple-v0': gym.spaces.Tuple([gym.spaces.Discrete(2)]),
}
_UNBOUNDED_ACTIONS = {
  'Unbounded-v0': gym.spaces.Box(-np.inf, np.inf, (2,)),
  'BoundedBelow-v0': gym.spaces.Box(-1, np.inf, (2,)),
  'OneEntryUnbounded-v0': gym.spaces.Box(
    np.float32([-1, -np.inf]), np.float32([1, 1])
  ),
}

for _name, _space in {**_REFUSED_ACTIONS, **_UNBOUNDED_ACTIONS}.items():
  gym.register(_name, _AnyActions, kwargs={'action_space': _space})
gym.register('Corridor-v0', _Corridor, max_episode_steps=4)
gym.register('Recorder-v0', _Recorder)
gym.register('NoSuchModule-v0', 'no_such_module_at_all:Env')


@pytest.mark.parametrize(
  'env_name, size, actions, limit',
  [
    ('CartPole-v1', 4, 2, 500),
    ('Acrobot-v1', 6, 3, 500),
    ('MountainCar-v0', 2, 3, 200),
    ('Corridor-v0', 1, 2, 4),
  ],
)
def test_spec(env_name, size, actions, limit):
  env = envs.Environment(env_name)
  assert env.spec == envs.EnvSpec(env_name, size, actions, limit)
  assert env.spec.action_size == 1
  env.close()


@pytest.mark.parametrize(
  'env_name, size, actions, bound, limit',
  [
    ('Pendulum-v1', 3, 1, 2, 200),
    ('HalfCheetah-v5', 17, 6, 1, 1000),
    ('Hopper-v5', 11, 3, 1, 1000),
    ('Walker2d-v5', 17, 6, 1, 1000),
    ('Ant-v5', 105, 8, 1, 1000),
    ('Humanoid-v5', 348, 17, 0.4, 1000),
    ('HalfCheetah-v4', 17, 6, 1, 1000),
    ('Hopper-v4', 11, 3, 1, 1000),
    ('Walker2d-v4', 17, 6, 1, 1000),
    # Without and with contact forces.
    ('Ant-v4', 27, 8, 1, 1000),
    ('Humanoid-v4', 376, 17, 0.4, 1000),
  ],
)
def test_spec_of_continuous_actions(env_name, size, actions, bound, limit):
  env = envs.Environment(env_name)
  bound = float(np.float32(bound))
  assert env.spec == envs.EnvSpec(
    env_name, size, None, limit, (-bound,) * actions, (bound,) * actions
  )
  assert env.spec.action_size == actions
  env.close()


def test_spec_of_bounds_that_differ_by_entry():
  spec = envs.Environment('Recorder-v0').spec
  assert (spec.action_low, spec.action_high) == ((-1, 0, 5), (3, 0.5, 6))
  assert all(type(bound) is float for bound in spec.action_low)
  assert (spec.action_size, spec.num_actions) == (3, None)


@pytest.mark.parametrize(
  'env_name, action',
  [
    ('CartPole-v1', 0),
    ('Corridor-v0', 0),
    ('Pendulum-v1', np.float32([0.5])),
    ('Hopper-v5', np.zeros(3, np.float32)),  # Gymnasium's are float64.
  ],
)
def test_observations_are_flat_float32(env_name, action):
  env = envs.Environment(env_name)
  step = env.reset(seed=0), env.step(action).observation
  for observation in step:
    assert observation.dtype == np.float32
    assert observation.shape == (env.spec.observation_size,)
  env.close()


@pytest.mark.parametrize('env_name', ['Pendulum-v1', 'Hopper-v5'])
def test_the_same_seed_and_actions_give_the_same_steps(env_name):
  def play(seed):
    env = envs.Environment(env_name)
    rng = np.random.default_rng(0)
    observations, rewards = [env.reset(seed=seed)], []
    for _ in range(10):
      step = env.step(env.random_action(rng))
      observations.append(step.observation)
      rewards.append(step.reward)
    env.close()
    return np.array(observations), rewards

  observations, rewards = play(3)
  again, rewards_again = play(3)
  np.testing.assert_array_equal(observations, again)
  assert rewards == rewards_again
  assert not np.array_equal(observations[0], play(4)[0][0])


def test_the_same_seed_starts_the_same_episode_whatever_was_before():
  env, other = envs.Environment('CartPole-v1'), envs.Environment('CartPole-v1')
  first = env.reset(seed=3)
  np.testing.assert_array_equal(first, other.reset(seed=3))
  assert not np.array_equal(first, env.reset(seed=4))
  env.step(0)
  np.testing.assert_array_equal(first, env.reset(seed=3))


@pytest.mark.parametrize(
  'env_name', ['CartPole-v1', 'Pendulum-v1', 'HalfCheetah-v5', 'Hopper-v4']
)
@pytest.mark.parametrize('num_steps', [0, 1, 60])
def test_a_position_is_reached_again_bit_for_bit(env_name, num_steps):
  env, rng = envs.Environment(env_name), np.random.default_rng(1)
  observation, seed = env.reset(seed=11), 11
  for _ in range(num_steps):
    step = env.step(env.random_action(rng))
    observation = step.observation
    if step.terminated or step.truncated:
      seed += 1
      observation = env.reset(seed=seed)
  position = json.loads(json.dumps(env.position))
  other = envs.Environment(env_name)
  other.reset(seed=5)
  other.step(other.random_action(rng))
  np.testing.assert_array_equal(observation, other.restore(position))
  assert other.position == position
  # From there on both are the same.
  for _ in range(20):
    action = env.random_action(rng)
    step, again = env.step(action), other.step(action)
    assert step[1:] == again[1:]
    np.testing.assert_array_equal(step.observation, again.observation)
    if step.terminated or step.truncated:
      break
  assert other.position == env.position
  env.close()
  other.close()


def test_a_position_by_hand():
  env = envs.Environment('Recorder-v0')
  env.reset(seed=7)
  assert env.position == {'seed': 7, 'actions': []}
  action = np.array([-1, 0.25, 5.5], np.float32)
  env.step(action)
  position = {'seed': 7, 'actions': [[-1.0, 0.25, 5.5]]}
  assert env.position == position
  env.reset(seed=8)
  assert env.position == {'seed': 8, 'actions': []}
  env.restore(position)
  received = env.gym.unwrapped.received
  assert received.dtype == np.float32
  np.testing.assert_array_equal(received, action)


def test_a_position_is_not_that_of_a_later_time():
  env = envs.Environment('Recorder-v0')
  env.reset(seed=7)
  before = env.position
  action = np.float32([0, 0.5, 5])
  env.step(action)
  action[:] = 0.25  # The caller may use its array again.
  assert before == {'seed': 7, 'actions': []}
  assert env.position['actions'] == [[0, 0.5, 5]]


def test_a_position_counts_towards_the_time_limit():
  env = envs.Environment('Corridor-v0')
  env.restore({'seed': 0, 'actions': [0, 1, 0]})
  step = env.step(0)
  assert (step.terminated, step.truncated) == (False, True)


def test_actions_count_from_0_whatever_the_space_starts_at():
  env = envs.Environment('Corridor-v0')
  env.reset(seed=0)
  assert env.step(0).observation == [0.0]
  step = env.step(np.int32(1))
  assert (step.observation, step.reward) == ([1.0], 6.0)
  assert isinstance(step.reward, float)


def test_continuous_actions_arrive_as_they_are():
  env = envs.Environment('Recorder-v0')
  env.reset(seed=0)
  action = np.array([-1, 0.25, 5.5], np.float32)
  env.step(action)
  received = env.gym.unwrapped.received
  assert received.dtype == np.float32
  np.testing.assert_array_equal(received, np.float32([-1, 0.25, 5.5]))
  np.testing.assert_array_equal(action, received)


def test_the_end_of_the_corridor_is_terminated():
  env = envs.Environment('Corridor-v0')
  env.reset(seed=0)
  ends = [(s.terminated, s.truncated) for s in map(env.step, (1, 1, 1))]
  assert ends == [(False, False), (False, False), (True, False)]


def test_the_time_limit_is_truncated():
  env = envs.Environment('Corridor-v0')
  env.reset(seed=0)
  ends = [(s.terminated, s.truncated) for s in map(env.step, (0, 0, 0, 0))]
  assert ends == [(False, False)] * 3 + [(False, True)]


def test_random_actions_are_uniform():
  env = envs.Environment('Acrobot-v1')
  rng = np.random.default_rng(0)
  counts = np.bincount([env.random_action(rng) for _ in range(3000)])
  assert len(counts) == 3
  # Five standard deviations of a count of 3000 draws at 1/3.
  assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(3000 * 2 / 9))


def test_random_discrete_actions_count_from_0():
  env = envs.Environment('Corridor-v0')
  rng = np.random.default_rng(0)
  actions = [env.random_action(rng) for _ in range(50)]
  assert set(actions) == {0, 1}
  assert {type(action) for action in actions} == {int}


def test_random_continuous_actions_are_uniform_within_the_bounds():
  env = envs.Environment('Recorder-v0')
  rng = np.random.default_rng(0)
  actions = np.array([env.random_action(rng) for _ in range(4000)])
  assert actions.dtype == np.float32 and actions.shape == (4000, 3)
  # Quarters of [-1, 3], [0, 0.5] and [5, 6]; nothing lies outside.
  for entry, edges in enumerate(
    [(-1, 0, 1, 2, 3), (0, 0.125, 0.25, 0.375, 0.5), (5, 5.25, 5.5, 5.75, 6)]
  ):
    counts, _ = np.histogram(actions[:, entry], edges)
    assert counts.sum() == 4000
    # Five standard deviations of a count of 4000 draws at 1/4.
    assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(4000 * 3 / 16))
  # Entries are drawn one by one: 0.08 is five standard deviations.
  correlations = np.corrcoef(actions.T)[np.triu_indices(3, 1)]
  assert np.all(np.abs(correlations) < 0.08)


def test_random_actions_follow_from_the_generator():
  env = envs.Environment('Recorder-v0')
  rng, same = np.random.default_rng(1), np.random.default_rng(1)
  first = env.random_action(rng)
  np.testing.assert_array_equal(first, env.random_action(same))
  second = env.random_action(rng)
  np.testing.assert_array_equal(second, env.random_action(same))
  assert not np.array_equal(first, second)


@pytest.mark.parametrize(
  'env_name, expected',
  [
    ('CartPole', "Unknown environment 'CartPole'. Did you mean 'CartPole-v1'"),
    ('cartpole-v1', "Did you mean 'CartPole-v1'?"),
    ('CartPole-v99', "Did you mean 'CartPole-v"),
    ('Acrobat-v1', "Did you mean 'Acrobot-v1'?"),
    ('', "Unknown environment ''"),
    ('no such id!', "Unknown environment 'no such id!'"),
    ('nomodule:CartPole-v1', "--env_name: Unknown module 'nomodule'."),
    ('math:CartPol-v1', "Did you mean 'CartPole-v1'? math was imported but "),
  ],
)
def test_an_unknown_id_gets_the_nearest(env_name, expected):
  with pytest.raises(ValueError) as error:
    envs.Environment(env_name)
  assert expected in str(error.value)
  with pytest.raises(ValueError):
    envs.check_name(env_name)


@pytest.mark.parametrize(
  'env_name, expected',
  [
    ('NoSuchModule-v0', "Cannot make 'NoSuchModule-v0': .*no_such_module"),
  ],
)
def test_what_cannot_be_trained_is_refused(env_name, expected):
  with pytest.raises(ValueError, match=expected):
    envs.Environment(env_name)


@pytest.mark.parametrize('env_name', _REFUSED_ACTIONS)
def test_actions_that_no_agent_takes_are_refused(env_name):
  expected = f'flat Box of floats with finite bounds. Received: {env_name} with'
  with pytest.raises(ValueError, match=expected):
    envs.Environment(env_name)


@pytest.mark.parametrize('env_name', _UNBOUNDED_ACTIONS)
def test_actions_without_bounds_are_refused(env_name):
  with pytest.raises(ValueError) as error:
    envs.Environment(env_name)
  expected = f'agents scale their actions to them. Received: {env_name} with'
  assert expected in str(error.value)
  assert '--env_wrappers' in str(error.value)


@pytest.mark.parametrize(
  'agent, env_name, expected',
  [
    ('sac', 'CartPole-v1', 'Box actions for sac. Received: CartPole-v1 with D'),
    ('sac', 'Corridor-v0', 'Box actions for sac. Received: Corridor-v0 with D'),
    (
      'dqn',
      'HalfCheetah-v5',
      'Discrete actions for dqn. Received: HalfCheetah-v5 with Box',
    ),
    (
      'dqn',
      'Pendulum-v1',
      'Discrete actions for dqn. Received: Pendulum-v1 with Box',
    ),
  ],
)
def test_an_agent_refuses_the_other_kind_of_actions(agent, env_name, expected):
  config = flags.make_config({'agent': agent, 'env_name': env_name})
  with pytest.raises(ValueError, match=expected):
    envs.make(config)


@pytest.mark.parametrize(
  'agent, env_name, num_actions, action_size',
  [
    ('dqn', 'Acrobot-v1', 3, 1),
    ('dqn', 'Corridor-v0', 2, 1),
    ('sac', 'Recorder-v0', None, 3),
    ('sac', 'Hopper-v4', None, 3),
  ],
)
def test_an_agent_gets_its_environment(
  agent, env_name, num_actions, action_size
):
  env = envs.make(flags.make_config({'agent': agent, 'env_name': env_name}))
  assert env.spec.name == env_name
  assert env.spec.num_actions == num_actions
  assert env.spec.action_size == action_size
  env.close()


# HalfCheetah's model makes MuJoCo warn; warnings of the log go to stdout here.
_MAKE_MUJOCO = """
import logging, sys
logging.basicConfig(stream=sys.stdout)
from tf_sparse_rl import envs
for env_name in ('HalfCheetah-v5', 'Ant-v5'):
  env = envs.Environment(env_name)
  env.reset(seed=0)
  env.close()
"""


def test_mujoco_warns_in_the_log_and_nowhere_else(tmp_path):
  process = subprocess.run(
    [sys.executable, '-c', _MAKE_MUJOCO],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert (process.returncode, process.stderr) == (0, '')
  assert 'settotalmass' in process.stdout
  assert list(tmp_path.iterdir()) == []
