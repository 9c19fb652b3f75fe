"""One Gymnasium environment: checked spaces, plain arrays, seeded resets."""

import dataclasses
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from tf_sparse_rl import names


@dataclasses.dataclass(frozen=True)
class EnvSpec:
  """Shapes and bounds of an environment."""

  name: str
  observation_size: int  # entries of a flat observation
  num_actions: int  # discrete actions
  max_episode_steps: int | None  # env steps until truncation


class Step(NamedTuple):
  """What one env step returned."""

  observation: np.ndarray  # float32 [observation_size], the one reached
  reward: float
  terminated: bool  # the episode is over: no future reward
  truncated: bool  # the episode was cut off: the future goes on


class Environment:
  """A Gymnasium environment with flat observations and discrete actions."""

  def __init__(self, env_name, render_mode=None):
    """Makes the environment.

    Args:
      env_name: id of a Gymnasium environment.
      render_mode: see Gymnasium.

    Raises:
      ValueError: for an unknown id or spaces that are not supported.
    """
    check_name(env_name)
    # Environments that draw nothing need not know the argument.
    options = {'render_mode': render_mode} if render_mode else {}
    try:
      self.gym = gym.make(env_name, disable_env_checker=True, **options)
    except (gym.error.Error, ImportError, TypeError) as error:
      raise ValueError(f'Cannot make {env_name!r}: {error}') from error
    self.spec = _checked_spec(env_name, self.gym)
    self._first_action = int(self.gym.action_space.start)

  def reset(self, seed=None):
    """Starts an episode.

    Args:
      seed: int, of this episode and those after it; None to go on.

    Returns:
      Observation, float32 `[observation_size]`.
    """
    observation, _ = self.gym.reset(seed=seed)
    return np.asarray(observation, np.float32)

  def step(self, action):
    """Takes one env step.

    Args:
      action: int from 0 to `num_actions` - 1.

    Returns:
      A Step.
    """
    observation, reward, terminated, truncated, _ = self.gym.step(
      self._first_action + int(action)
    )
    return Step(
      np.asarray(observation, np.float32), float(reward), terminated, truncated
    )

  def random_action(self, rng):
    """A uniformly random action from a NumPy generator."""
    return int(rng.integers(self.spec.num_actions))

  def close(self):
    """Frees what the environment holds."""
    self.gym.close()


def check_name(env_name):
  """Checks that Gymnasium knows an environment.

  Args:
    env_name: id such as 'CartPole-v1'.

  Raises:
    ValueError: if not; it names the nearest id.
  """
  try:
    known = env_name in gym.registry or gym.spec(env_name) is not None
  except gym.error.Error:
    known = False
  if not known:
    raise ValueError(names.unknown('environment', env_name, gym.registry))


def _checked_spec(env_name, env):
  observations, actions = env.observation_space, env.action_space
  if not isinstance(observations, gym.spaces.Box) or (
    len(observations.shape) != 1
  ):
    raise ValueError(
      'Expected an environment with a flat Box observation. Received: '
      f'{env_name} with {observations}.'
    )
  if not isinstance(actions, gym.spaces.Discrete):
    raise ValueError(
      'Expected an environment with Discrete actions for DQN. Received: '
      f'{env_name} with {actions}.'
    )
  limit = env.spec.max_episode_steps if env.spec else None
  return EnvSpec(env_name, observations.shape[0], int(actions.n), limit)
