"""Faulty environments, and the sentence that each of them gets.

    python -m tests.envs.faulty

writes them into docs/concepts/reliability.md; a test walks them.
"""

import pathlib
import re

import gymnasium as gym
import numpy as np

from tf_sparse_rl import config as config_lib

_ROOT = pathlib.Path(__file__).parents[2]
_PAGE = _ROOT / 'docs' / 'concepts' / 'reliability.md'
_NAME = 'my_module:MyEnv-v0'  # In the sentences of SPACES.
_Box = gym.spaces.Box
_NAN, _INF = float('nan'), float('inf')


class Env(gym.Env):
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


def stepping(*returned):
  """Replaces the steps of an environment: they return this."""
  returned = returned[0] if len(returned) == 1 else returned
  return {'step': lambda action: returned}


def observing(observation, space=None):
  """Replaces the observations of an environment."""
  replaced = {'observe': lambda: observation}
  return {**replaced, 'observation_space': space} if space else replaced


def resetting(*returned):
  """Replaces the resets of an environment: they return this."""
  returned = returned[0] if len(returned) == 1 else returned
  return {'reset': lambda *, seed=None, options=None: returned}


class Late(Env):
  """In order until its third step; from then on it returns this."""

  def __init__(self, late, observation=None):
    super().__init__()
    self._late, self._observation = late, observation

  def observe(self):
    is_late = self.num_steps >= 3 and self._observation is not None
    return self._observation if is_late else super().observe()

  def step(self, action):
    usual = super().step(action)
    is_late = self.num_steps >= 3 and self._observation is None
    return self._late if is_late else usual


OBSERVATION = np.zeros(3, np.float32)
_DICT = gym.spaces.Dict(x=_Box(-1, 1, (2,)), y=gym.spaces.Discrete(3))
_TUPLE = gym.spaces.Tuple([_Box(-1, 1, (2,)), gym.spaces.Discrete(3)])
IMAGE = _Box(0, 255, (8, 8, 3), np.uint8)
# At the first reset and step. {what is wrong: (what is replaced, sentence)}.
FAULTS = {
  '`step` returns 4 values, as before Gymnasium': (
    stepping(OBSERVATION, 0.0, False, {}),
    'step must return 5 values (an observation, a reward, terminated, '
    'truncated, an info dict). Received: a tuple of 4.',
  ),
  '`step` returns 6 values': (
    stepping(OBSERVATION, 0.0, False, False, {}, 1),
    'step must return 5 values (an observation, a reward, terminated, '
    'truncated, an info dict). Received: a tuple of 6.',
  ),
  '`step` returns nothing': (
    stepping(None),
    'step must return 5 values (an observation, a reward, terminated, '
    'truncated, an info dict). Received: None.',
  ),
  '`step` returns the observation alone': (
    stepping(OBSERVATION),
    'step must return 5 values (an observation, a reward, terminated, '
    'truncated, an info dict). Received: array([0., 0., 0.], '
    'dtype=float32).',
  ),
  '`reset` returns the observation alone': (
    resetting(OBSERVATION),
    'reset must return 2 values (an observation, an info dict). Received: '
    'array([0., 0., 0.], dtype=float32).',
  ),
  '`reset` returns 3 values': (
    resetting(OBSERVATION, {}, 1),
    'reset must return 2 values (an observation, an info dict). Received: '
    'a tuple of 3.',
  ),
  '`reset` returns nothing': (
    resetting(None),
    'reset must return 2 values (an observation, an info dict). Received: '
    'None.',
  ),
  '`reset` takes no `seed`': (
    {'reset': lambda *, options=None: (OBSERVATION, {})},
    'reset must take the keyword arguments of gymnasium.Env, as in def '
    'reset(self, *, seed=None, options=None). Missing: seed.',
  ),
  '`reset` takes no `options`': (
    {'reset': lambda *, seed=None: (OBSERVATION, {})},
    'reset must take the keyword arguments of gymnasium.Env, as in def '
    'reset(self, *, seed=None, options=None). Missing: options.',
  ),
  '`reset` takes neither': (
    {'reset': lambda: (OBSERVATION, {})},
    'reset must take the keyword arguments of gymnasium.Env, as in def '
    'reset(self, *, seed=None, options=None). Missing: seed, options.',
  ),
  'a number where the space has a vector': (
    observing(0.0),
    'reset returned an observation that must have the shape (3,). '
    'Received: ().',
  ),
  'a shorter vector': (
    observing(np.zeros(2)),
    'reset returned an observation that must have the shape (3,). '
    'Received: (2,).',
  ),
  'a batch of one': (
    observing(np.zeros([1, 3])),
    'reset returned an observation that must have the shape (3,). '
    'Received: (1, 3).',
  ),
  'lists of different lengths': (
    observing([[0], [0, 1], 1]),
    'reset returned an observation that is no array. Received: [[0], [0, '
    '1], 1].',
  ),
  'no observation': (
    observing(None),
    'reset returned an observation that is no array of numbers. Received: '
    'None.',
  ),
  'text': (
    observing('abc'),
    'reset returned an observation that is no array of numbers. Received: '
    "'abc'.",
  ),
  'complex numbers': (
    observing(OBSERVATION + 1j),
    'reset returned an observation that is no array of numbers. Received: '
    'array([0.+1.j, 0.+1.j, 0.+1.j], dtype=complex64).',
  ),
  'a dict where the space is a Box': (
    observing({'x': OBSERVATION}),
    'reset returned an observation that is no array of numbers. Received: '
    "{'x': array([0., 0., 0.], dtype=float32)}.",
  ),
  'NaN': (
    observing(np.array([0, _NAN, 0])),
    'reset returned an observation with an entry that is nan at [1].',
  ),
  'an infinite number': (
    observing(np.array([0, 0, -_INF])),
    'reset returned an observation with an entry that is -inf at [2].',
  ),
  'a number above the bounds': (
    observing(np.array([0, 1.5, 0])),
    'reset returned an observation with an entry that is 1.5 at [1], where '
    'the space is from -1.0 to 1.0.',
  ),
  'a number below the bounds': (
    observing(np.array([-2, 0, 0])),
    'reset returned an observation with an entry that is -2 at [0], where '
    'the space is from -1.0 to 1.0.',
  ),
  'an image of floats, the space is uint8': (
    observing(np.zeros([8, 8, 3]), IMAGE),
    'reset returned an observation that must be of dtype uint8. Received: '
    'float64.',
  ),
  'an image with channels first, the space has them last': (
    observing(np.zeros([3, 8, 8], np.uint8), IMAGE),
    'reset returned an observation that must have the shape (8, 8, 3). '
    'Received: (3, 8, 8).',
  ),
  'an integer above 255': (
    observing(np.array([3, 300, 3]), _Box(0, 255, (3,), np.uint8)),
    'reset returned an observation with an entry that is 300 at [1], where '
    'the space is from 0 to 255.',
  ),
  'a number that Discrete does not have': (
    observing(3, gym.spaces.Discrete(3)),
    'reset returned an observation that is not in Discrete(3). Received: 3.',
  ),
  'a float for Discrete': (
    observing(1.0, gym.spaces.Discrete(3)),
    'reset returned an observation that is not in Discrete(3). Received: 1.0.',
  ),
  'a 2 in MultiBinary': (
    observing(np.array([0, 2]), gym.spaces.MultiBinary(2)),
    'reset returned an observation that is not in MultiBinary(2). '
    'Received: array([0, 2]).',
  ),
  'a number that MultiDiscrete does not have': (
    observing(np.array([0, 5]), gym.spaces.MultiDiscrete([2, 3])),
    'reset returned an observation that is not in MultiDiscrete([2 3]). '
    'Received: array([0, 5]).',
  ),
  'a dict without one of the keys': (
    observing({'x': np.zeros(2, np.float32)}, _DICT),
    "reset returned an observation that must be a dict with ['x', 'y']. "
    "Received: ['x'].",
  ),
  'a tuple for a Dict': (
    observing((0, 1), _DICT),
    "reset returned an observation that must be a dict with ['x', 'y']. "
    'Received: (0, 1).',
  ),
  'a dict with an entry outside its space': (
    observing({'x': np.zeros(2, np.float32), 'y': 7}, _DICT),
    "reset returned an observation whose entry 'y' is not in Discrete(3). "
    'Received: 7.',
  ),
  'NaN in an entry of a dict': (
    observing({'x': np.array([_NAN, 0]), 'y': 1}, _DICT),
    "reset returned an observation whose entry 'x' has an entry that is "
    'nan at [0].',
  ),
  'a tuple that is too short': (
    observing((np.zeros(2),), _TUPLE),
    'reset returned an observation that must be a tuple of 2. Received: '
    '(array([0., 0.]),).',
  ),
  'a list for a Tuple': (
    observing([OBSERVATION[:2], 1], _TUPLE),
    'reset returned an observation that must be a tuple of 2. Received: '
    '[array([0., 0.], dtype=float32), 1].',
  ),
  'no reward': (
    stepping(OBSERVATION, None, False, False, {}),
    'step must return a reward that is a real number. Received: None.',
  ),
  'a reward that is text': (
    stepping(OBSERVATION, '1', False, False, {}),
    "step must return a reward that is a real number. Received: '1'.",
  ),
  'a complex reward': (
    stepping(OBSERVATION, 1j, False, False, {}),
    'step must return a reward that is a real number. Received: 1j.',
  ),
  'two rewards': (
    stepping(OBSERVATION, np.zeros(2), False, False, {}),
    'step must return a reward that is a real number. Received: array([0., '
    '0.]).',
  ),
  'a reward that is NaN': (
    stepping(OBSERVATION, _NAN, False, False, {}),
    'step returned a reward that is nan.',
  ),
  'an infinite reward': (
    stepping(OBSERVATION, np.float32(_INF), False, False, {}),
    'step returned a reward that is inf.',
  ),
  '`terminated` is an int': (
    stepping(OBSERVATION, 0.0, 0, False, {}),
    'step must return terminated as a bool. Received: 0.',
  ),
  '`truncated` is None': (
    stepping(OBSERVATION, 0.0, False, None, {}),
    'step must return truncated as a bool. Received: None.',
  ),
  '`terminated` is an array': (
    stepping(OBSERVATION, 0.0, np.array([False]), False, {}),
    'step must return terminated as a bool. Received: array([False]).',
  ),
  '`step` returns no info': (
    stepping(OBSERVATION, 0.0, False, False, None),
    'step must return info as a dict. Received: None.',
  ),
  '`reset` returns a list as info': (
    resetting(OBSERVATION, []),
    'reset must return info as a dict. Received: [].',
  ),
}
# Spaces that no agent can use.
SPACES = {
  'no observation space': (
    {'observation_space': None},
    'Expected observation_space of my_module:MyEnv-v0 to be one of '
    'gymnasium.spaces. Received: None.',
  ),
  'a shape in the place of an observation space': (
    {'observation_space': (3,)},
    'Expected observation_space of my_module:MyEnv-v0 to be one of '
    'gymnasium.spaces. Received: (3,).',
  ),
  'a number in the place of an action space': (
    {'action_space': 2},
    'Expected action_space of my_module:MyEnv-v0 to be one of '
    'gymnasium.spaces. Received: 2.',
  ),
  'a Box of no entries': (
    {'observation_space': _Box(-1, 1, (0,))},
    'Expected observations of at least one entry. Received: '
    'my_module:MyEnv-v0 with Box([], [], (0,), float32).',
  ),
  'a Dict of no entries': (
    {'observation_space': gym.spaces.Dict()},
    'Expected observations of at least one entry. Received: '
    'my_module:MyEnv-v0 with Dict().',
  ),
  'a Graph': (
    {
      'observation_space': gym.spaces.Graph(_Box(0, 1, (2,)), None),
    },
    'Expected an environment whose observations '
    'gymnasium.wrappers.FlattenObservation flattens. Received: '
    'my_module:MyEnv-v0 with Graph(Box(0.0, 1.0, (2,), float32), None).',
  ),
  'a Sequence, which has no fixed size': (
    {'observation_space': gym.spaces.Sequence(gym.spaces.Discrete(2))},
    'Expected an environment whose observations '
    'gymnasium.wrappers.FlattenObservation flattens. Received: '
    'my_module:MyEnv-v0 with Sequence(Discrete(2), stack=False).',
  ),
  'actions in a Dict': (
    {'action_space': _DICT},
    'Expected an environment with Discrete, MultiDiscrete or MultiBinary '
    'actions, or a flat Box of floats with finite bounds. Received: '
    "my_module:MyEnv-v0 with Dict('x': Box(-1.0, 1.0, (2,), float32), 'y': "
    'Discrete(3)).',
  ),
  'a Box of no actions': (
    {'action_space': _Box(-1, 1, (0,))},
    'Expected an environment with Discrete, MultiDiscrete or MultiBinary '
    'actions, or a flat Box of floats with finite bounds. Received: '
    'my_module:MyEnv-v0 with Box([], [], (0,), float32).',
  ),
  'actions with an infinite bound': (
    {'action_space': _Box(0, _INF, (2,))},
    'Expected a flat Box of floats with finite bounds that differ, by at most '
    '1e+15: agents scale their actions to them. Received: my_module:MyEnv-v0 '
    'with Box(0.0, inf, (2,), float32). Give the Box bounds, or rescale it by '
    'a wrapper in --env_wrappers.',
  ),
  'actions whose bounds are those of float32': (
    {'action_space': _Box(-3e38, 3e38, (1,))},
    'Expected a flat Box of floats with finite bounds that differ, by at most '
    '1e+15: agents scale their actions to them. Received: my_module:MyEnv-v0 '
    'with Box(-3e+38, 3e+38, (1,), float32). Give the Box bounds, or rescale '
    'it by a wrapper in --env_wrappers.',
  ),
  'actions that leave no choice': (
    {'action_space': _Box(1, 1, (1,))},
    'Expected a flat Box of floats with finite bounds that differ, by at most '
    '1e+15: agents scale their actions to them. Received: my_module:MyEnv-v0 '
    'with Box(1.0, 1.0, (1,), float32). Give the Box bounds, or rescale it by '
    'a wrapper in --env_wrappers.',
  ),
}
# At the third step, below Gymnasium's wrappers. {what is wrong: (arguments of
# Late, sentence)}.
LATER = {
  '4 values': (
    {'late': (OBSERVATION, 0.0, False, {})},
    'step must return 5 values: not enough values to unpack (expected 5, '
    'got 4).',
  ),
  'nothing': (
    {'late': None},
    'step must return 5 values: cannot unpack non-iterable NoneType object.',
  ),
  'NaN in an observation': (
    {'observation': np.array([0, 0, _NAN])},
    'step returned an observation with an entry that is nan at [2].',
  ),
  'an infinite number in an observation': (
    {'observation': np.array([_INF, 0, 0])},
    'step returned an observation with an entry that is inf at [0].',
  ),
  'a number that float32 does not have': (
    {'observation': np.array([1e300, 0, 0])},
    'step returned an observation with an entry that is inf at [0].',
  ),
  'a longer observation': (
    {'observation': np.zeros(4)},
    'step returned an observation that does not fit Box(-1.0, 1.0, (3,), '
    'float32). Received: shape (4,).',
  ),
  'a number as the observation': (
    {'observation': 0.0},
    'step returned an observation that does not fit Box(-1.0, 1.0, (3,), '
    'float32). Received: shape ().',
  ),
  'text as the observation': (
    {'observation': 'abc'},
    'step returned an observation that does not fit Box(-1.0, 1.0, (3,), '
    "float32). Received: could not convert string to float: 'abc'.",
  ),
  'no reward at a later step': (
    {'late': (OBSERVATION, None, False, False, {})},
    'step must return a reward that is a real number. Received: None.',
  ),
  'NaN as a reward': (
    {'late': (OBSERVATION, _NAN, False, False, {})},
    'step returned a reward that is nan.',
  ),
  'an integer of 400 digits as a reward': (
    {'late': (OBSERVATION, 10**400, False, False, {})},
    'step returned a reward that is inf.',
  ),
  '`terminated` of several environments': (
    {'late': (OBSERVATION, 0.0, np.array([True, False]), False, {})},
    'step must return terminated as a bool. Received: array([ True, False]).',
  ),
  '`truncated` is text': (
    {'late': (OBSERVATION, 0.0, False, 'False', {})},
    "step must return truncated as a bool. Received: 'False'.",
  ),
}


def make(replaced, kind=Env):
  """A function that makes an environment with something replaced."""

  def faulty():
    return kind(**replaced)

  return faulty


def config(name, network='mlp'):
  """The Config of a run with an environment."""
  values = {'agent': 'ppo', 'env_name': name, 'network': network}
  return config_lib.make_config(values)


def sentence_of_space(fault, name):
  """The sentence of one of SPACES for an environment of a name."""
  return SPACES[fault][1].replace(_NAME, name)


def table():
  """All of them as a table of Markdown."""
  rows = [
    *((fault, sentence) for fault, (_, sentence) in FAULTS.items()),
    *((fault, sentence) for fault, (_, sentence) in SPACES.items()),
    *((f'later: {f}', sentence) for f, (_, sentence) in LATER.items()),
  ]
  lines = ['| what it does | what the run says |', '|---|---|']
  return '\n'.join([*lines, *(f'| {f} | `{s}` |' for f, s in rows)])


def is_on_page():
  """Whether docs/concepts/reliability.md has this table."""
  return f'\n\n{table()}\n\n' in _PAGE.read_text('utf-8')


if __name__ == '__main__':
  text = _PAGE.read_text('utf-8')
  old = re.compile(r'\| what it does \|.*?\n\n', re.DOTALL)
  _PAGE.write_text(old.sub(lambda _: f'{table()}\n\n', text), 'utf-8')
