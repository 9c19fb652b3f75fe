"""The position within an episode: its actions, or the environment's state."""

import json

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import envs
from tf_sparse_rl.envs import position as position_lib


class _Walk(gym.Env):
  """A random walk, whose steps cannot be had again without its state."""

  observation_space = gym.spaces.Box(-999, 999, (2,))
  action_space = gym.spaces.Discrete(3)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._at, self.num_steps = np.zeros(2), 0
    return self._at.copy(), {}

  def step(self, action):
    self.num_steps += 1
    self._at += action - 1 + self.np_random.normal(size=2)
    return self._at.copy(), 0.0, False, False, {}


class _Saved(_Walk):
  """The same, which offers its state."""

  def state_dict(self):
    rng = self.np_random.bit_generator.state
    return {'at': self._at.tolist(), 'rng': rng}

  def load_state_dict(self, state):
    self._at = np.array(state['at'])
    self.np_random.bit_generator.state = state['rng']


class _Counting(gym.Wrapper):
  """A wrapper with a state of its own, which it does not offer."""


@pytest.fixture(autouse=True)
def few_actions_fixture(monkeypatch):
  monkeypatch.setattr(position_lib, 'MOST_ACTIONS', 5)


def _make(make, saved=True):
  env = envs.from_name(envs.name_callable(make))
  return env, env.save_states() if saved else None


def _play(env, num_steps, seed=0):
  rng = np.random.default_rng(seed)
  return [env.step(int(rng.integers(3))).observation for _ in range(num_steps)]


@pytest.mark.parametrize('num_steps', [0, 1, 4, 5, 6, 11, 23])
@pytest.mark.parametrize('kind', [_Walk, _Saved])
def test_it_is_reached_again_bit_for_bit(kind, num_steps):
  env, offers = _make(kind)
  assert offers == (kind is _Saved)
  last = env.reset(7)
  for observation in _play(env, num_steps):
    last = observation
  position = json.loads(json.dumps(env.position))
  assert env.num_episode_env_steps == num_steps
  assert len(position['actions']) <= (5 if offers else num_steps)
  other, _ = _make(kind)
  np.testing.assert_array_equal(other.restore(position), last)
  assert other.position == position
  assert other.num_episode_env_steps == num_steps
  if offers:  # It was not played again.
    assert other.gym.unwrapped.num_steps <= 5
  after = [_play(e, 9, seed=1) for e in (env, other)]
  np.testing.assert_array_equal(*after)
  assert env.position == other.position


def test_another_episode_begins_without_the_state_of_before():
  env, _ = _make(_Saved)
  env.reset(7)
  _play(env, 12)
  env.reset(8)
  assert env.position == {'seed': 8, 'actions': []}


def test_a_step_back_over_a_state():
  env, _ = _make(_Saved)
  env.reset(7)
  _play(env, 5)
  mark, position = env.mark(), env.position
  _play(env, 1)
  assert 'state' in env.position and 'state' not in position
  env.rewind(mark)
  assert env.position == position


def test_a_time_limit_goes_on_where_it_was():
  env, offers = _make(lambda: gym.wrappers.TimeLimit(_Saved(), 20))
  assert offers
  env.reset(7)
  _play(env, 13)
  other, _ = _make(lambda: gym.wrappers.TimeLimit(_Saved(), 20))
  other.restore(env.position)
  assert [other.step(0).truncated for _ in range(7)] == [False] * 6 + [True]


@pytest.mark.parametrize(
  'make, offers',
  [
    (lambda: gym.wrappers.OrderEnforcing(_Saved()), True),
    (lambda: gym.wrappers.FlattenObservation(_Saved()), True),
    (lambda: gym.wrappers.TransformReward(_Saved(), abs), True),
    (lambda: _Counting(_Saved()), False),
    (lambda: gym.wrappers.TimeLimit(_Counting(_Saved()), 9), False),
    (lambda: gym.wrappers.NormalizeObservation(_Saved()), False),
  ],
)
def test_a_wrapper_with_a_state_must_offer_it(make, offers):
  assert _make(make)[1] == offers


def test_actions_stay_where_states_are_not_asked_for():
  env, _ = _make(_Saved, saved=False)
  env.reset(7)
  _play(env, 12)
  assert len(env.position['actions']) == 12 and 'state' not in env.position


def _fails(self, *args):
  raise OSError('own trouble')


@pytest.mark.parametrize(
  'changes, sentence',
  [
    ({'state_dict': lambda self: _Walk()}, 'state_dict must return JSON types'),
    ({'state_dict': lambda self: np.zeros(2)}, 'array.tolist() and np_random'),
    ({'state_dict': _fails}, 'state_dict raised OSError:\n'),
  ],
)
def test_a_state_that_cannot_be_saved_is_told(changes, sentence):
  env, _ = _make(type('Faulty', (_Saved,), changes))
  env.reset(7)
  with pytest.raises(envs.EnvError) as error:
    _play(env, 6)
  assert sentence in str(error.value)


def test_a_state_that_cannot_be_loaded_is_told():
  env, _ = _make(_Saved)
  env.reset(7)
  _play(env, 6)
  faulty, _ = _make(type('Faulty', (_Saved,), {'load_state_dict': _fails}))
  with pytest.raises(envs.EnvError, match='load_state_dict raised OSError'):
    faulty.restore(env.position)
  without, _ = _make(_Walk)
  with pytest.raises(envs.EnvError, match='load_state_dict is missing, and'):
    without.restore(env.position)
