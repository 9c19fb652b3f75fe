"""One Gymnasium environment: checked spaces, plain arrays, seeded resets."""

import contextlib
import dataclasses
import math
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from absl import logging

from tf_sparse_rl import names

# Names of environments that Python functions make begin with it.
_PYTHON = 'python/'
_functions = {}  # {name: function that makes a Gymnasium environment}


@dataclasses.dataclass(frozen=True)
class EnvSpec:
  """Shapes and bounds of an environment, of either kind of actions."""

  name: str
  observation_size: int  # entries of an observation
  num_actions: int | None  # discrete actions; None if they are continuous
  max_episode_steps: int | None  # env steps until truncation
  action_low: tuple[float, ...] = ()  # bounds of each entry of a continuous
  action_high: tuple[float, ...] = ()  # action
  # Of a picture, whose entries are uint8; () if it is flat and float32.
  observation_shape: tuple[int, ...] = ()

  @property
  def action_size(self):
    """Entries of an action; 1 for a discrete one."""
    return len(self.action_low) or 1


class Step(NamedTuple):
  """The result of one env step."""

  observation: np.ndarray  # the one reached, see EnvSpec
  reward: float
  terminated: bool  # the episode is over: no future reward
  truncated: bool  # the episode was cut off: the future goes on


class Environment:
  """A Gymnasium environment with observations float32 `[observation_size]`.

  Actions are discrete, or a flat Box with finite bounds.
  """

  def __init__(self, env_name, render_mode=None):
    """Makes the environment of a Gymnasium id.

    Raises:
      ValueError: for an unknown id or spaces that are not supported.
    """
    check_name(env_name)
    # Environments that draw nothing need not know the argument.
    options = {'render_mode': render_mode} if render_mode else {}
    try:
      if env_name in _functions:
        self.gym = _functions[env_name](**options)
      else:
        _quiet_mujoco(env_name)
        self.gym = gym.make(env_name, disable_env_checker=True, **options)
    except (gym.error.Error, ImportError, TypeError) as error:
      raise ValueError(f'Cannot make {env_name!r}: {error}') from error
    self.spec = _checked_spec(env_name, self.gym)
    self._first_action = int(getattr(self.gym.action_space, 'start', 0))
    self._low = np.array(self.spec.action_low, np.float32)
    self._high = np.array(self.spec.action_high, np.float32)

  def reset(self, seed):
    """Starts an episode; returns its first observation."""
    observation, _ = self.gym.reset(seed=seed)
    self._episode_seed, self._actions = seed, []
    return np.asarray(observation, np.float32)

  def step(self, action):
    """Takes one env step; returns a Step.

    Args:
      action: int from 0 to `num_actions` - 1, or float array
        `[action_size]`, which is clipped to the bounds.

    Raises:
      FloatingPointError: if what comes back is NaN or infinite.
    """
    self._actions.append(np.array(action))
    if self.spec.num_actions is not None:
      action = self._first_action + int(action)
    else:
      action = np.clip(action, self._low, self._high)
    observation, reward, terminated, truncated, _ = self.gym.step(action)
    observation = np.asarray(observation, np.float32)
    # Asked here, for TensorFlow's fused kernels turn a NaN into 0 unseen.
    if not (math.isfinite(reward) and np.isfinite(observation).all()):
      raise FloatingPointError(
        f'{self.spec.name} returned an observation or a reward that is NaN or '
        'infinite'
      )
    return Step(observation, float(reward), terminated, truncated)

  @property
  def position(self):
    """Where the episode is, in JSON types: its seed and the actions so far."""
    return {
      'seed': self._episode_seed,
      'actions': [action.tolist() for action in self._actions],
    }

  def restore(self, position):
    """Plays an episode again up to what `position` returned.

    Returns:
      The observation of then, if the environment is a function of its seed
      and its actions.
    """
    observation = self.reset(position['seed'])
    dtype = np.int32 if self.spec.num_actions is not None else np.float32
    for action in position['actions']:
      observation = self.step(np.array(action, dtype)).observation
    return observation

  def random_action(self, rng):
    """A uniformly random action from a NumPy generator."""
    if self.spec.num_actions is not None:
      return int(rng.integers(self.spec.num_actions))
    share = rng.random(self.spec.action_size, np.float32)
    return self._low + share * (self._high - self._low)

  def close(self):
    """Frees what the environment holds."""
    self.gym.close()


@contextlib.contextmanager
def made_by(function):
  """Has a name stand for a function's environments within a block.

  Args:
    function: returns a new Gymnasium environment at each call.

  Yields:
    The name, of the function's own.
  """
  own = getattr(function, '__qualname__', type(function).__name__)
  name = f'{_PYTHON}{getattr(function, "__module__", "")}.{own}'
  before = dict(_functions)
  _functions[name] = function
  try:
    yield name
  finally:
    _functions.clear()
    _functions.update(before)


def check_name(env_name, others=()):
  """Checks that Gymnasium knows an environment such as 'CartPole-v1'.

  Raises:
    ValueError: if not; it names the nearest, of Gymnasium's and `others`.
  """
  if env_name in _functions:
    return
  if env_name.startswith(_PYTHON):
    raise ValueError(
      f'The environment {env_name} was made by a Python function. Give the '
      'same function again: train(root_dir, env=...), open_run(root_dir, '
      'env=...).'
    )
  try:
    known = env_name in gym.registry or gym.spec(env_name) is not None
  except gym.error.Error:
    known = False
  if not known:
    valid = [*gym.registry, *others]
    raise ValueError(names.unknown('environment', env_name, valid))


def _quiet_mujoco(env_name):
  """Sends MuJoCo's warnings to the log.

  It would print them past Python and write MUJOCO_LOG.TXT where the user is.
  """
  entry_point = gym.spec(env_name).entry_point
  if isinstance(entry_point, str) and 'mujoco' in entry_point:
    import mujoco

    mujoco.set_mju_user_warning(logging.warning)


def _checked_spec(env_name, env):
  observations, actions = env.observation_space, env.action_space
  if not isinstance(observations, gym.spaces.Box) or (
    len(observations.shape) != 1
  ):
    raise ValueError(
      'Expected an environment with a flat Box observation. Received: '
      f'{env_name} with {observations}.'
    )
  size = observations.shape[0]
  limit = env.spec.max_episode_steps if env.spec else None
  if isinstance(actions, gym.spaces.Discrete):
    return EnvSpec(env_name, size, int(actions.n), limit)
  if (
    not isinstance(actions, gym.spaces.Box)
    or len(actions.shape) != 1
    or not actions.shape[0]
    or not np.issubdtype(actions.dtype, np.floating)
    or not actions.is_bounded()
  ):
    raise ValueError(
      'Expected an environment with Discrete actions, or a flat Box of floats '
      f'with finite bounds. Received: {env_name} with {actions}.'
    )
  low, high = (tuple(map(float, b)) for b in (actions.low, actions.high))
  return EnvSpec(env_name, size, None, limit, low, high)
