"""Collection: all environments take a step, or none."""

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, replay
from tf_sparse_rl.training import collector, metrics, state


class _Fragile(gym.Env):
  """Episodes of 4 env steps; fails at the step or the reset that it is told."""

  observation_space = gym.spaces.Box(-9, 9, (2,))
  action_space = gym.spaces.Discrete(2)
  fail_at = {}  # {method: calls of all environments until it fails}

  def _count(self, method):
    if method in self.fail_at:
      self.fail_at[method] -= 1
      if self.fail_at[method] < 0:
        raise RuntimeError('told to')

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._count('reset')
    self._time = 0
    return self.np_random.uniform(size=2), {}

  def step(self, action):
    self._count('step')
    self._time += 1
    over = self._time == 4
    return self.np_random.uniform(size=2), float(action), over, False, {}


gym.register('Fragile-v0', _Fragile)


@pytest.fixture(name='fragile')
def fragile_fixture(monkeypatch):
  """(config, environments, Collector, buffer, Episodes) of three."""
  monkeypatch.setattr(_Fragile, 'fail_at', {})
  config = config_lib.make_config(
    {'env_name': 'Fragile-v0', 'num_envs': 3, 'num_env_steps': 99_000}
  )
  environments = [envs.make(config) for _ in range(3)]
  positions = state.State.begin(config).positions
  collect = collector.Collector(config, environments, positions)
  buffer = replay.make(config, environments[0].spec)
  return config, environments, collect, buffer, metrics.Episodes(3)


def _state(environments, collect, buffer, episodes):
  return (
    [env.position for env in environments],
    collect.observations.tolist(),
    buffer.num_added,
    buffer.rows(0, buffer.num_added).tolist(),
    episodes.to_json(),
  )


@pytest.mark.parametrize(
  'num_before, method, calls',
  [(0, 'step', 0), (0, 'step', 2), (2, 'step', 1), (3, 'reset', 0)]
  + [(3, 'reset', 2), (5, 'step', 2)],
)
def test_one_that_fails_undoes_the_step_of_all(
  fragile, num_before, method, calls
):
  config, environments, collect, buffer, episodes = fragile
  actions = np.array([1, 0, 1], np.int32)
  for _ in range(num_before):
    collect.collect(actions, buffer, episodes)
  before = _state(environments, collect, buffer, episodes)
  _Fragile.fail_at = {method: calls}
  with pytest.raises(envs.EnvError, match=f'{method} raised RuntimeError'):
    collect.collect(actions, buffer, episodes)
  assert _state(environments, collect, buffer, episodes) == before
  # From the same positions others go on as these would have done.
  _Fragile.fail_at = {}
  others = [envs.make(config) for _ in range(3)]
  again = collector.Collector(config, others, before[0])
  np.testing.assert_array_equal(again.observations, collect.observations)
  again.collect(actions, buffer, episodes)
  assert buffer.num_added == before[2] + 3


def test_each_episode_has_its_seed(fragile):
  config, environments, collect, buffer, episodes = fragile
  for _ in range(9):
    collect.collect(np.zeros(3, np.int32), buffer, episodes)
  assert episodes.count == 6
  # Three episodes at first, then numbered as they begin.
  expected = [state.episode_seed(config, index) for index in (6, 7, 8)]
  assert [env.position['seed'] for env in environments] == expected
  assert [len(env.position['actions']) for env in environments] == [1, 1, 1]


def test_episodes_without_a_limit_are_told():
  config = config_lib.make_config({'max_eval_episode_env_steps': 1234})
  spec = envs.EnvSpec('Mine-v0', 4, 2, None)
  text = collector.no_time_limit(config, spec)
  assert text.startswith('Mine-v0 has no time limit.')
  assert 'after 1,234 env steps (--max_eval_episode_env_steps)' in text
  limited = envs.EnvSpec('Mine-v0', 4, 2, 500)
  assert collector.no_time_limit(config, limited) == ''
