"""Collection: all environments take a step, or none."""

import types

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


class _Endless(gym.Env):
  """Never ends an episode; returns the array that it writes into."""

  observation_space = gym.spaces.Box(-99, 99, (2,))
  action_space = gym.spaces.Discrete(2)

  def __init__(self):
    self._at = np.zeros(2, np.float32)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._at[:] = 0
    return self._at, {}

  def step(self, action):
    self._at += 1
    return self._at, 1.0, False, False, {}


class _WithState(_Endless):
  def state_dict(self):
    return self._at.tolist()

  def load_state_dict(self, state):
    self._at[:] = state


gym.register('Endless-v0', _Endless)
gym.register('Limited-v0', _Endless, max_episode_steps=9)
gym.register('WithState-v0', _WithState)


@pytest.mark.parametrize(
  'name, lengths',
  [('Endless', [5, 5, 5]), ('Limited', [9]), ('WithState', [])],
)
def test_episodes_that_do_not_end_are_truncated(name, lengths):
  config = config_lib.make_config(
    {'env_name': f'{name}-v0', 'max_collect_episode_env_steps': 5}
  )
  env = envs.make(config)
  collect = collector.Collector(
    config, [env], state.State.begin(config).positions
  )
  reached, episodes = [], metrics.Episodes(1)
  buffer = types.SimpleNamespace(
    add=lambda _, action, step: reached.append(step.observation[0])
  )
  for _ in range(16):
    collect.collect(np.zeros(1, np.int32), buffer, episodes)
  assert list(episodes.lengths) == lengths
  assert len(env.position['actions']) == 16 - sum(lengths)
  # The last observation of an episode is not that of the reset after it.
  ends = np.cumsum(lengths, dtype=int) - 1
  assert [reached[end] for end in ends] == lengths


def test_episodes_without_a_limit_are_told():
  config = config_lib.make_config({'max_eval_episode_env_steps': 1234})
  text = collector.no_time_limit(config, envs.from_name('Endless-v0'))
  assert text.startswith('Endless-v0 has no time limit.')
  assert 'after 1,234 env steps (--max_eval_episode_env_steps), coll' in text
  assert 'after 27,000 (--max_collect_episode_env_steps)' in text
  text = collector.no_time_limit(config, envs.from_name('WithState-v0'))
  assert 'collection does not, since it has a state_dict' in text
  limited = envs.from_name('Limited-v0')
  assert collector.no_time_limit(config, limited) == ''
