"""Checks of an environment at its first reset and its first step.

Later steps are checked for shape and finite numbers only, see `Environment`.
"""

import inspect
import math
import numbers

import gymnasium as gym
import numpy as np

from tf_sparse_rl.envs import errors

# Tolerance of bounds: rounding of float32.
_ROUNDING = 1e-5


class Probe(gym.Wrapper):
  """Checks the number of returned values, inside Gymnasium's wrappers.

  These unpack the results of `reset` and `step`, and their errors name neither
  the environment nor what it returned.
  """

  def __init__(self, env, env_name):
    """Wraps the innermost environment."""
    super().__init__(env)
    self._env_name = env_name

  def reset(self, *, seed=None, options=None):
    """Resets; see Gymnasium."""
    return self._checked(
      'reset',
      self.env.reset(seed=seed, options=options),
      ('an observation', 'an info dict'),
    )

  def step(self, action):
    """Takes a step; see Gymnasium."""
    return self._checked(
      'step',
      self.env.step(action),
      ('an observation', 'a reward', 'terminated', 'truncated', 'an info dict'),
    )

  def _checked(self, method, returned, expected):
    if isinstance(returned, tuple) and len(returned) == len(expected):
      return returned
    received = _short(returned)
    if isinstance(returned, tuple):
      received = f'a tuple of {len(returned)}'
    raise errors.EnvError(
      self._env_name,
      method,
      f'must return {len(expected)} values ({", ".join(expected)}). '
      f'Received: {received}',
    )


def insert_probe(env, env_name):
  """Puts a Probe around the innermost environment.

  Args:
    env: a Gymnasium environment, wrapped or not.
    env_name: its name.

  Returns:
    (the environment with a Probe inside, function that removes the Probe; it
    stays where there is no other wrapper).
  """
  holder = env
  while isinstance(holder, gym.Wrapper) and isinstance(holder.env, gym.Wrapper):
    holder = holder.env
  if not isinstance(holder, gym.Wrapper):
    return Probe(env, env_name), lambda: None
  inner = holder.env
  holder.env = Probe(inner, env_name)

  def take_out():
    holder.env = inner

  return env, take_out


def check_signature(env_name, env):
  """Checks that `reset` takes a seed and options.

  Args:
    env_name: see `insert_probe`.
    env: see `insert_probe`.

  Raises:
    EnvError: if it does not.
  """
  parameters = inspect.signature(env.unwrapped.reset).parameters.values()
  if any(p.kind is p.VAR_KEYWORD for p in parameters):
    return
  taken = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
  missing = [name for name in ('seed', 'options') if name not in taken]
  if missing:
    raise errors.EnvError(
      env_name,
      'reset',
      'must take the keyword arguments of gymnasium.Env, as in def reset(self, '
      f'*, seed=None, options=None). Missing: {", ".join(missing)}',
    )


def check_observation(env_name, method, space, observation):
  """Checks an observation against its space.

  Numbers of a wider type than the space's are accepted and converted.

  Args:
    env_name: see `insert_probe`.
    method: 'reset' or 'step'.
    space: the observation space.
    observation: the observation.

  Raises:
    EnvError: for another structure, shape or dtype, for NaN or infinite
      numbers, or numbers outside the bounds.
  """
  fault = _observation_fault(space, observation)
  if fault:
    raise errors.EnvError(env_name, method, f'returned an observation {fault}')


def _observation_fault(space, observation, where=''):
  """Describes what is wrong with an observation; '' for nothing."""
  if isinstance(space, gym.spaces.Box):
    fault = _box_fault(space, observation)
    return f'{where}{fault}' if fault else ''
  if isinstance(space, gym.spaces.Dict):
    if not isinstance(observation, dict) or {*observation} != {*space}:
      keys = [*observation] if isinstance(observation, dict) else observation
      return (
        f'{where}that must be a dict with {sorted(space)}. Received: '
        f'{_short(keys)}'
      )
    parts = ((key, space[key], observation[key]) for key in space)
  elif isinstance(space, gym.spaces.Tuple):
    if not isinstance(observation, tuple) or len(observation) != len(space):
      return (
        f'{where}that must be a tuple of {len(space)}. Received: '
        f'{_short(observation)}'
      )
    parts = ((i, *pair) for i, pair in enumerate(zip(space, observation)))
  elif space.contains(observation):
    return ''
  else:
    return f'{where}that is not in {space}. Received: {_short(observation)}'
  for key, part, value in parts:
    fault = _observation_fault(part, value, f'{where}whose entry {key!r} is ')
    if fault:
      return fault.replace(' is that ', ' ').replace(' is with ', ' has ')
  return ''


def _box_fault(space, observation):
  """Describes what is wrong with an array of a Box; '' for nothing."""
  try:
    array = np.asarray(observation)
  except ValueError:
    return f'that is no array. Received: {_short(observation)}'
  if array.dtype.kind not in 'buif':
    return f'that is no array of numbers. Received: {_short(observation)}'
  if array.shape != space.shape:
    return f'that must have the shape {space.shape}. Received: {array.shape}'
  if array.dtype.kind == 'f' and space.dtype.kind != 'f':
    return f'that must be of dtype {space.dtype}. Received: {array.dtype}'
  if not np.isfinite(array).all():
    return _infinite(array)
  slack = _ROUNDING * np.maximum(1, np.abs(array))
  if space.dtype.kind != 'f':
    slack = 0
  outside = (array < space.low - slack) | (array > space.high + slack)
  if outside.any():
    low, high = (b[outside][0] for b in (space.low, space.high))
    return (
      f'with an entry that is {_entry(array, outside)}, where the space is '
      f'from {low} to {high}'
    )
  return ''


def not_finite(observation):
  """Names the first NaN or infinite entry of an array."""
  return f'returned an observation {_infinite(observation)}'


def _infinite(array):
  return f'with an entry that is {_entry(array, ~np.isfinite(array))}'


def _entry(array, wrong):
  """The first wrong entry and its index."""
  index = tuple(int(i) for i in np.argwhere(wrong)[0])
  return f'{array[index]} at {list(index)}'


def check_outcome(env_name, reward, terminated, truncated):
  """Checks the reward and the flags; see `check_observation`."""
  if reward_of(reward) is None:
    raise errors.EnvError(
      env_name,
      'step',
      f'must return a reward that is a real number. Received: {_short(reward)}',
    )
  for name, value in (('terminated', terminated), ('truncated', truncated)):
    if not isinstance(value, bool | np.bool_):
      raise errors.EnvError(
        env_name,
        'step',
        f'must return {name} as a bool. Received: {_short(value)}',
      )


def check_info(env_name, method, info):
  """Checks that `info` is a dict; see `check_observation`."""
  if not isinstance(info, dict):
    raise errors.EnvError(
      env_name, method, f'must return info as a dict. Received: {_short(info)}'
    )


def reward_of(reward):
  """Converts a reward to a float; None if it is not a real number.

  Args:
    reward: a number, or a NumPy array of one entry.

  Returns:
    float or None.
  """
  if isinstance(reward, np.ndarray) and reward.size == 1:
    reward = reward.item()
  if not isinstance(reward, numbers.Real | np.bool_):
    return None
  try:
    return float(reward)
  except OverflowError:  # Python's integers have no end.
    return math.inf if reward > 0 else -math.inf


def _short(value):
  """A value as one line of text, truncated."""
  text = ' '.join(repr(value).split())
  return text if len(text) <= 100 else f'{text[:97]}...'
