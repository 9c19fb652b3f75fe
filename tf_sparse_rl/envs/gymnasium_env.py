"""A Gymnasium environment with checks, plain arrays and seeded resets."""

import math
import os
from typing import NamedTuple

import numpy as np

from tf_sparse_rl.envs import checks, errors, making, spaces
from tf_sparse_rl.envs import position as position_lib


class Step(NamedTuple):
  """The result of one env step."""

  observation: np.ndarray  # the one reached, see EnvSpec
  reward: float
  terminated: bool  # the episode is over: no future reward
  truncated: bool  # the episode was cut off by a limit


class Environment:
  """A Gymnasium environment whose observations are flat or images.

  The first reset and step are checked against Gymnasium's rules, later ones
  for the shape of observations and for finite numbers.
  """

  def __init__(self, env_name, render_mode=None, kwargs=None, wrappers=()):
    """Makes the environment.

    Args:
      env_name: see `making.check`.
      render_mode: see Gymnasium.
      kwargs: see `making.check`.
      wrappers: see `making.make`.

    Raises:
      ValueError: for an unknown id or spaces that are not supported.
      UserCodeError: if custom code raises.
      EnvError: for a `reset` without `seed` or `options`.
    """
    env = making.make(env_name, kwargs, wrappers, render_mode)
    try:
      spec = spaces.spec_of(env_name, env)
    except ValueError:
      raise
    except BaseException as error:  # It is not our code: a property.
      raise errors.of_exception(
        env_name, 'observation_space, action_space or spec', error
      ) from error
    self._start(env, spec)

  def _start(self, env, spec):
    """Takes the Gymnasium environment; see the constructor."""
    checks.check_signature(spec.name, env)
    self.spec = spec
    self.gym, self._take_out_probe = checks.insert_probe(env, spec.name)
    self._to_array = spaces.observer(env.observation_space)
    self._to_gym = spaces.action_taker(env.action_space)
    self._low = np.array(spec.action_low, np.float32)
    self._high = np.array(spec.action_high, np.float32)
    self._reset_is_checked = self._step_is_checked = False
    self._position = position_lib.Position(spec.name, self.gym)

  def reset(self, seed):
    """Starts an episode.

    Args:
      seed: int, random seed of the episode.

    Returns:
      Observation: float32 `[observation_size]`, or for images uint8
      `[*observation_shape]`.

    Raises:
      EnvError: if the environment raises or breaks Gymnasium's rules.
    """
    self._position.begin(seed)
    process = os.getpid()
    try:
      observation, info = self.gym.reset(seed=seed)
    except errors.EnvError:
      raise
    except BaseException as error:  # It is not our code.
      raise errors.of_exception(self.spec.name, 'reset', error) from error
    finally:
      errors.end_fork(process)
    if not self._reset_is_checked:
      self._reset_is_checked = True
      self._check_observation('reset', observation)
      checks.check_info(self.spec.name, 'reset', info)
    return self._observe('reset', observation)

  def step(self, action):
    """Takes one env step; returns a Step.

    Args:
      action: int from 0 to `num_actions` - 1; or such ints `[action_size]`; or
        floats `[action_size]`, which are clipped to the bounds.

    Raises:
      EnvError: see `reset`.
    """
    self._position.add(action)
    process = os.getpid()
    try:
      observation, reward, terminated, truncated, info = self.gym.step(
        self._to_gym(action)
      )
    except errors.EnvError:
      raise
    except BaseException as error:  # It is not our code.
      raise errors.of_exception(self.spec.name, 'step', error) from error
    finally:
      errors.end_fork(process)
    if not self._step_is_checked:
      self._step_is_checked = True
      self._take_out_probe()
      self._check_observation('step', observation)
      checks.check_info(self.spec.name, 'step', info)
    if not (
      isinstance(reward, float)
      and type(terminated) is bool
      and type(truncated) is bool
    ):
      checks.check_outcome(self.spec.name, reward, terminated, truncated)
      reward = checks.reward_of(reward)
    if not math.isfinite(reward):
      raise errors.EnvError(
        self.spec.name, 'step', f'returned a reward that is {reward}'
      )
    observation = self._observe('step', observation)
    return Step(observation, float(reward), bool(terminated), bool(truncated))

  @property
  def position(self):
    """The position in the episode, in JSON types; see `Position`."""
    return self._position.to_json()

  @property
  def num_episode_env_steps(self):
    """Env steps of the episode so far."""
    return self._position.num_env_steps

  def save_states(self):
    """Bases `position` on the state of the environment, if it has a state_dict.

    Returns:
      Whether it does; otherwise `position` grows with the episode.
    """
    self._position.saves_states = True
    return self._position.offers_state

  def mark(self):
    """The position in the episode, for `rewind`; cheap."""
    return self._position.mark()

  def rewind(self, mark):
    """Resets `position` to a mark; the environment itself is not rewound."""
    self._position.rewind(mark)

  def restore(self, position):
    """Restores an episode from a `position`.

    Returns:
      Observation, see `reset`; exact if the environment is a function of its
      seed (or its state_dict) and its actions.
    """
    observation = self.reset(position['seed'])
    self._position.load_state(position)
    dtype = np.int32 if self.spec.has_integer_actions else np.float32
    for action in position['actions']:
      observation = self.step(np.array(action, dtype)).observation
    return observation

  def random_action(self, rng):
    """A uniformly random action from a NumPy generator."""
    if self.spec.num_actions is not None:
      return int(rng.integers(self.spec.num_actions))
    if self.spec.action_counts:
      return rng.integers(self.spec.action_counts).astype(np.int32)
    share = rng.random(self.spec.action_size, np.float32)
    return self._low + share * (self._high - self._low)

  def close(self):
    """Closes the environment.

    Raises:
      EnvError: if its `close` raises.
    """
    process = os.getpid()
    try:
      self.gym.close()
    except BaseException as error:  # It is not our code.
      raise errors.of_exception(self.spec.name, 'close', error) from error
    finally:
      errors.end_fork(process)

  def _check_observation(self, method, observation):
    space = self.gym.observation_space
    checks.check_observation(self.spec.name, method, space, observation)

  def _observe(self, method, observation):
    """Converts an observation to an array; checks shape and finite numbers."""
    try:
      observation = self._to_array(observation)
    except ValueError as error:
      space = self.gym.observation_space
      raise errors.EnvError(
        self.spec.name,
        method,
        f'returned an observation that does not fit {space}. Received: {error}',
      ) from error
    # Checked here, since TensorFlow's fused kernels turn NaN into 0.
    if observation.dtype != np.uint8 and not _is_finite(observation):
      raise errors.EnvError(
        self.spec.name, method, checks.not_finite(observation)
      )
    return observation


def _is_finite(values):
  """Whether all entries of a vector are finite; fast if they are."""
  # Squares do not cancel: their sum is not finite if one is not. It need not be
  # if some are huge.
  return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())
