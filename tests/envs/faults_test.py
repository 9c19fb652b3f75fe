"""Faulty environments: the sentence that each of them gets."""

import os
import signal

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, signals

_Box = gym.spaces.Box
_NAN, _INF = float('nan'), float('inf')


class _Env(gym.Env):
  """An environment in order; attributes and methods may be replaced."""

  observation_space = _Box(-1, 1, (3,))
  action_space = gym.spaces.Discrete(2)

  def __init__(self, **replaced):
    self.num_steps = 0
    for name, value in replaced.items():
      setattr(self, name, value)

  def observe(self):
    return np.zeros(3, np.float32)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return self.observe(), {}

  def step(self, action):
    self.num_steps += 1
    return self.observe(), 0.0, False, False, {}


def _stepping(*returned):
  """An environment whose steps return this."""
  returned = returned[0] if len(returned) == 1 else returned
  return {'step': lambda action: returned}


def _observing(observation, space=None):
  """An environment whose observations are this."""
  replaced = {'observe': lambda: observation}
  return {**replaced, 'observation_space': space} if space else replaced


def _resetting(*returned):
  returned = returned[0] if len(returned) == 1 else returned
  return {'reset': lambda *, seed=None, options=None: returned}


def _raising(error):
  def method(*args, **kwargs):
    raise error.with_traceback(None)

  return method


class _Late(_Env):
  """In order until its third step."""

  def __init__(self, late, **replaced):
    super().__init__(**replaced)
    self._late = late

  def observe(self):
    return self._late if self.num_steps >= 3 else np.zeros(3, np.float32)


_O = np.zeros(3, np.float32)
_DICT = gym.spaces.Dict(x=_Box(-1, 1, (2,)), y=gym.spaces.Discrete(3))
_TUPLE = gym.spaces.Tuple([_Box(-1, 1, (2,)), gym.spaces.Discrete(3)])
_IMAGE = _Box(0, 255, (8, 8, 3), np.uint8)
# What is wrong: (what is replaced, what the sentence says).
_FAULTS = {
  # How many values.
  'step of 4': (
    _stepping(_O, 0.0, False, {}),
    'step must return 5 values (an observation, a reward, terminated, '
    'truncated, an info dict). Received: a tuple of 4',
  ),
  'step of 6': (_stepping(_O, 0.0, False, False, {}, 1), 'a tuple of 6'),
  'step of none': (_stepping(None), 'must return 5 values'),
  'step of an array': (_stepping(_O), 'Received: array([0., 0., 0.]'),
  'reset of one': (
    _resetting(_O),
    'reset must return 2 values (an observation, an info dict). Received: '
    'array([0., 0., 0.]',
  ),
  'reset of 3': (_resetting(_O, {}, 1), 'Received: a tuple of 3'),
  'reset of none': (_resetting(None), 'Received: None'),
  # How it is called.
  'reset without seed': (
    {'reset': lambda *, options=None: (_O, {})},
    'reset must take the keyword arguments of gymnasium.Env, as in def reset('
    'self, *, seed=None, options=None). Missing: seed',
  ),
  'reset without options': (
    {'reset': lambda *, seed=None: (_O, {})},
    'Missing: options',
  ),
  'reset without both': ({'reset': lambda: (_O, {})}, 'Missing: seed, options'),
  # Observations of a Box.
  'scalar observation': (
    _observing(0.0),
    'reset returned an observation that must have the shape (3,). Received: ()',
  ),
  'short observation': (_observing(np.zeros(2)), 'Received: (2,)'),
  'matrix observation': (_observing(np.zeros([1, 3])), 'Received: (1, 3)'),
  'ragged observation': (
    _observing([[0], [0, 1], 1]),
    'that is no array. Received: [[0], [0, 1], 1]',
  ),
  'no observation': (_observing(None), 'no array of numbers. Received: None'),
  'text observation': (_observing('abc'), "no array of numbers. Received: 'a"),
  'complex observation': (_observing(_O + 1j), 'no array of numbers'),
  'dict for a box': (_observing({'x': _O}), "Received: {'x': array("),
  'NaN observation': (
    _observing(np.array([0, _NAN, 0])),
    'reset returned an observation with an entry that is nan at [1]',
  ),
  'infinite observation': (
    _observing(np.array([0, 0, -_INF])),
    'with an entry that is -inf at [2]',
  ),
  'observation too high': (
    _observing(np.array([0, 1.5, 0])),
    'an entry that is 1.5 at [1], where the space is from -1.0 to 1.0',
  ),
  'observation too low': (_observing(np.array([-2, 0, 0])), 'is -2 at [0]'),
  'float for uint8': (
    _observing(np.zeros([8, 8, 3]), _IMAGE),
    'that must be of dtype uint8. Received: float64',
  ),
  'channels first': (
    _observing(np.zeros([3, 8, 8], np.uint8), _IMAGE),
    'that must have the shape (8, 8, 3). Received: (3, 8, 8)',
  ),
  'integers too high': (
    _observing(np.array([3, 300, 3]), _Box(0, 255, (3,), np.uint8)),
    'is 300 at [1], where the space is from 0 to 255',
  ),
  # Observations of other spaces.
  'outside of Discrete': (
    _observing(3, gym.spaces.Discrete(3)),
    'returned an observation that is not in Discrete(3). Received: 3',
  ),
  'float for Discrete': (_observing(1.0, gym.spaces.Discrete(3)), ': 1.0'),
  'outside of MultiBinary': (
    _observing(np.array([0, 2]), gym.spaces.MultiBinary(2)),
    'that is not in MultiBinary(2). Received: array([0, 2])',
  ),
  'outside of MultiDiscrete': (
    _observing(np.array([0, 5]), gym.spaces.MultiDiscrete([2, 3])),
    'that is not in MultiDiscrete([2 3])',
  ),
  'missing key': (
    _observing({'x': np.zeros(2, np.float32)}, _DICT),
    "that must be a dict with ['x', 'y']. Received: ['x']",
  ),
  'tuple for a dict': (_observing((0, 1), _DICT), 'Received: (0, 1)'),
  'wrong entry of a dict': (
    _observing({'x': np.zeros(2, np.float32), 'y': 7}, _DICT),
    "whose entry 'y' is not in Discrete(3). Received: 7",
  ),
  'NaN in a dict': (
    _observing({'x': np.array([_NAN, 0]), 'y': 1}, _DICT),
    "whose entry 'x' is with an entry that is nan at [0]",
  ),
  'short tuple': (
    _observing((np.zeros(2),), _TUPLE),
    'that must be a tuple of 2. Received: (array(',
  ),
  'list for a tuple': (_observing([_O[:2], 1], _TUPLE), 'a tuple of 2'),
  # The rest of what step returns.
  'no reward': (
    _stepping(_O, None, False, False, {}),
    'step must return a reward that is a real number. Received: None',
  ),
  'text reward': (_stepping(_O, '1', False, False, {}), "Received: '1'"),
  'complex reward': (_stepping(_O, 1j, False, False, {}), 'Received: 1j'),
  'two rewards': (
    _stepping(_O, np.zeros(2), False, False, {}),
    'a real number. Received: array([0., 0.])',
  ),
  'NaN reward': (
    _stepping(_O, _NAN, False, False, {}),
    'step returned a reward that is nan',
  ),
  'infinite reward': (
    _stepping(_O, np.float32(_INF), False, False, {}),
    'step returned a reward that is inf',
  ),
  'terminated as int': (
    _stepping(_O, 0.0, 0, False, {}),
    'step must return terminated as a bool. Received: 0',
  ),
  'truncated as None': (
    _stepping(_O, 0.0, False, None, {}),
    'step must return truncated as a bool. Received: None',
  ),
  'terminated as array': (
    _stepping(_O, 0.0, np.array([False]), False, {}),
    'terminated as a bool. Received: array([False])',
  ),
  'no info of step': (
    _stepping(_O, 0.0, False, False, None),
    'step must return info as a dict. Received: None',
  ),
  'info of reset': (
    _resetting(_O, []),
    'reset must return info as a dict. Received: []',
  ),
}
# Spaces that no agent can use: (what is replaced, what the sentence says).
_SPACES = {
  'no observation space': (
    {'observation_space': None},
    'Expected observation_space of FAULTY to be one of gymnasium.spaces. '
    'Received: None',
  ),
  'shape for a space': ({'observation_space': (3,)}, 'Received: (3,)'),
  'no action space': ({'action_space': 2}, 'Expected action_space of FAULTY'),
  'empty Box': (
    {'observation_space': _Box(-1, 1, (0,))},
    'observations of at least one entry. Received: FAULTY with Box(',
  ),
  'empty Dict': (
    {'observation_space': gym.spaces.Dict()},
    'at least one entry',
  ),
  'Graph': (
    {
      'observation_space': gym.spaces.Graph(_Box(0, 1, (2,)), None),
    },
    'observations gymnasium.wrappers.FlattenObservation flattens. Received: '
    'FAULTY with Graph(',
  ),
  'Sequence': (
    {'observation_space': gym.spaces.Sequence(gym.spaces.Discrete(2))},
    'FAULTY with Sequence(',
  ),
  'Dict of actions': ({'action_space': _DICT}, 'Received: FAULTY with Dict('),
  'empty actions': (
    {'action_space': _Box(-1, 1, (0,))},
    'a flat Box of floats with finite bounds. Received: FAULTY with Box(',
  ),
  'half-infinite actions': (
    {'action_space': _Box(0, _INF, (2,))},
    'agents scale their actions to them. Received: FAULTY with Box(0.0, inf',
  ),
}


def _name(replaced, kind=_Env):
  return envs.name_callable(_make(replaced, kind))


def _make(replaced, kind=_Env):
  def faulty():
    return kind(**replaced)

  return faulty


def _config(name, network='mlp'):
  values = {'agent': 'ppo', 'env_name': name, 'network': network}
  return config_lib.make_config(values)


def test_there_are_enough():
  assert len(_FAULTS) + len(_SPACES) >= 50


def test_an_environment_in_order_passes():
  spec = envs.try_out(_config(_name({})))
  assert (spec.observation_size, spec.num_actions) == (3, 2)


@pytest.mark.parametrize('fault', _FAULTS)
@pytest.mark.parametrize('limited', [False, True])
def test_a_fault_gets_its_sentence(fault, limited):
  replaced, expected = _FAULTS[fault]
  # Gymnasium's own wrappers unpack what comes back.
  made = _make(replaced)
  if limited:
    made = lambda: gym.wrappers.TimeLimit(  # noqa: E731
      gym.wrappers.OrderEnforcing(_make(replaced)()), 9
    )
  name = envs.name_callable(made)
  is_image = replaced.get('observation_space') is _IMAGE
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name, 'nature_cnn' if is_image else 'mlp'))
  assert expected in str(error.value)
  assert str(error.value).startswith((f'{name}: reset ', f'{name}: step '))
  assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('fault', _SPACES)
def test_a_space_that_cannot_be_used_gets_its_sentence(fault):
  replaced, expected = _SPACES[fault]
  name = _name(replaced)
  with pytest.raises(ValueError) as error:
    envs.try_out(_config(name))
  assert expected.replace('FAULTY', name) in str(error.value)


@pytest.mark.parametrize(
  'observation',
  [
    [0, 0, 0],
    [0.5, 0, 1],
    np.zeros(3),
    np.zeros(3, np.int64),
    np.array([1 + 1e-7, 0, 0]),
    np.zeros(3, np.float16),
  ],
)
def test_other_types_of_numbers_are_no_fault(observation):
  spec = envs.try_out(_config(_name(_observing(observation))))
  assert spec.observation_size == 3


@pytest.mark.parametrize(
  'reward',
  [1, True, np.float32(1), np.array(1.0), np.array([1.0]), np.int64(1)],
)
def test_rewards_of_other_types_are_no_fault(reward):
  name = _name(_stepping(_O, reward, np.bool_(False), False, {}))
  env = envs.from_name(name)
  env.reset(0)
  for _ in range(2):  # The first step is looked at more closely.
    step = env.step(0)
    assert (step.reward, type(step.reward)) == (1.0, float)
    assert type(step.terminated) is bool


@pytest.mark.parametrize(
  'late, expected',
  [
    (np.array([0, 0, _NAN]), 'an entry that is nan at [2]'),
    (np.array([_INF, 0, 0]), 'an entry that is inf at [0]'),
    (np.array([1e300, 0, 0]), 'an entry that is inf at [0]'),
    (np.zeros(4), 'does not fit Box(-1.0, 1.0, (3,), float32). Received: '),
    (0.0, 'Received: shape ()'),
    (None, 'Received: shape ()'),
    ('abc', 'could not convert'),
  ],
)
@pytest.mark.filterwarnings('ignore:overflow encountered')
def test_every_observation_is_checked(late, expected):
  env = envs.from_name(_name({'late': late}, _Late))
  env.reset(0)
  env.step(0)
  env.step(0)
  for method in ('step', 'reset'):
    with pytest.raises(envs.EnvError) as error:
      env.step(0) if method == 'step' else env.reset(1)
    assert f': {method} returned an observation' in str(error.value)
    assert expected in str(error.value)


@pytest.mark.parametrize('method', ['reset', 'step'])
@pytest.mark.parametrize(
  'raised',
  [
    FileNotFoundError('own.txt'),
    ValueError('not enough'),
    ZeroDivisionError(),
    SystemExit(3),
    SystemExit(0),
    GeneratorExit(),
    StopIteration(),
    np.linalg.LinAlgError('Singular matrix'),
  ],
)
def test_an_exception_keeps_the_users_frames(method, raised):
  name = _name({method: _raising(raised)})
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name))
  first, second, *rest = str(error.value).splitlines()
  assert first == f'{name}: {method} raised {type(raised).__name__}:'
  assert second == 'Traceback (most recent call last):'
  # This file's own frame is the first one.
  assert __file__ in rest[0] and ', in method' in rest[0]
  assert 'gymnasium_env.py' not in str(error.value)


@pytest.mark.parametrize('method', ['reset', 'step'])
def test_a_ctrl_c_is_no_fault_of_the_environments(method):
  def interrupt(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGINT)

  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with signals.interruptible(), pytest.raises(KeyboardInterrupt):
      envs.try_out(_config(_name({method: interrupt})))
    raised = _name({method: _raising(KeyboardInterrupt())})
    for noting in (signals.interruptible, signals.noted):
      with noting(), pytest.raises(envs.EnvError, match='KeyboardInterrupt'):
        envs.try_out(_config(raised))
  finally:
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize('raised', [OSError('busy'), SystemExit(0)])
def test_close_may_raise(raised):
  name = _name({'close': _raising(raised)})
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name))
  kind = type(raised).__name__
  assert str(error.value).startswith(f'{name}: close raised {kind}:\n')


def test_the_first_step_is_checked_and_the_probe_goes():
  env = envs.from_name('CartPole-v1')
  inner = env.gym
  while not isinstance(inner.env, type(env.gym.unwrapped)):
    inner = inner.env
  assert type(inner).__name__ == 'Probe'
  env.reset(0)
  env.step(0)
  inner = env.gym
  while isinstance(inner, gym.Wrapper):
    assert type(inner).__name__ != 'Probe'
    inner = inner.env


def test_a_position_can_be_taken_back():
  env = envs.from_name('CartPole-v1')
  env.reset(7)
  env.step(0)
  mark = env.mark()
  position = env.position
  env.step(1)
  env.reset(8)
  env.step(1)
  env.rewind(mark)
  assert env.position == position == {'seed': 7, 'actions': [0]}


def test_no_file_is_left(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  envs.try_out(_config('HalfCheetah-v5'))
  assert os.listdir(tmp_path) == []
