"""The adapter: checked spaces, float32 observations, seeds, ends."""

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import envs


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


class _Dict(gym.Env):
  observation_space = gym.spaces.Dict(x=gym.spaces.Box(0, 1, (2,)))
  action_space = gym.spaces.Discrete(2)


class _Picture(gym.Env):
  observation_space = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)
  action_space = gym.spaces.Discrete(2)


gym.register('Corridor-v0', _Corridor, max_episode_steps=4)
gym.register('DictObservation-v0', _Dict)
gym.register('PictureObservation-v0', _Picture)
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
  env.close()


@pytest.mark.parametrize('env_name', ['CartPole-v1', 'Corridor-v0'])
def test_observations_are_flat_float32(env_name):
  env = envs.Environment(env_name)
  step = env.reset(), env.step(0).observation
  for observation in step:
    assert observation.dtype == np.float32
    assert observation.shape == (env.spec.observation_size,)


def test_the_same_seed_starts_the_same_episodes():
  env, other = envs.Environment('CartPole-v1'), envs.Environment('CartPole-v1')
  first = env.reset(seed=3)
  np.testing.assert_array_equal(first, other.reset(seed=3))
  # The seed holds for later episodes as well.
  np.testing.assert_array_equal(env.reset(), other.reset())
  assert not np.array_equal(first, env.reset(seed=4))
  np.testing.assert_array_equal(first, env.reset(seed=3))


def test_actions_count_from_0_whatever_the_space_starts_at():
  env = envs.Environment('Corridor-v0')
  env.reset()
  assert env.step(0).observation == [0.0]
  step = env.step(np.int32(1))
  assert (step.observation, step.reward) == ([1.0], 6.0)
  assert isinstance(step.reward, float)


def test_the_end_of_the_corridor_is_terminated():
  env = envs.Environment('Corridor-v0')
  env.reset()
  ends = [(s.terminated, s.truncated) for s in map(env.step, (1, 1, 1))]
  assert ends == [(False, False), (False, False), (True, False)]


def test_the_time_limit_is_truncated():
  env = envs.Environment('Corridor-v0')
  env.reset()
  ends = [(s.terminated, s.truncated) for s in map(env.step, (0, 0, 0, 0))]
  assert ends == [(False, False)] * 3 + [(False, True)]


def test_random_actions_are_uniform():
  env = envs.Environment('Acrobot-v1')
  rng = np.random.default_rng(0)
  counts = np.bincount([env.random_action(rng) for _ in range(3000)])
  assert len(counts) == 3
  # Five standard deviations of a count of 3000 draws at 1/3.
  assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(3000 * 2 / 9))


@pytest.mark.parametrize(
  'env_name, expected',
  [
    ('CartPole', "Unknown environment 'CartPole'. Did you mean 'CartPole-v1'"),
    ('cartpole-v1', "Did you mean 'CartPole-v1'?"),
    ('CartPole-v99', "Did you mean 'CartPole-v"),
    ('Acrobat-v1', "Did you mean 'Acrobot-v1'?"),
    ('', "Unknown environment ''"),
    ('no such id!', "Unknown environment 'no such id!'"),
    ('nomodule:CartPole-v1', "Unknown environment 'nomodule:CartPole-v1'"),
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
    ('DictObservation-v0', 'flat Box observation. Received: DictObs'),
    ('PictureObservation-v0', 'flat Box observation. Received: Picture'),
    ('FrozenLake-v1', 'flat Box observation. Received: FrozenLake-v1'),
    ('Blackjack-v1', 'flat Box observation. Received: Blackjack-v1'),
    ('Pendulum-v1', 'Discrete actions for DQN. Received: Pendulum-v1'),
    ('NoSuchModule-v0', "Cannot make 'NoSuchModule-v0': .*no_such_module"),
  ],
)
def test_what_cannot_be_trained_is_refused(env_name, expected):
  with pytest.raises(ValueError, match=expected):
    envs.Environment(env_name)
