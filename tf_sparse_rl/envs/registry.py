"""The environment of a name: a game of Atari, or one of Gymnasium's."""

import gymnasium as gym

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.envs import atari, gymnasium_env


def check_name(env_name):
  """Checks a name such as 'CartPole-v1', 'ALE/Pong-v5' or 'Pong'.

  Raises:
    ValueError: if not, with the nearest name, or if Atari is not installed.
  """
  if config_lib.is_atari(env_name):
    atari.check_name(env_name)
  else:
    gymnasium_env.check_name(env_name, others=config_lib.ATARI_GAMES)


def from_name(env_name, render_mode=None):
  """Makes an Environment, or an AtariEnvironment for a game of Atari.

  Raises:
    ValueError: for an unknown name or spaces that are not supported.
  """
  check_name(env_name)
  if config_lib.is_atari(env_name):
    return atari.AtariEnvironment(env_name, render_mode)
  return gymnasium_env.Environment(env_name, render_mode)


def make(config):
  """The Environment of a Config.

  Raises:
    ValueError: for an unknown id or spaces that the agent cannot use.
  """
  env = from_name(config.env_name)
  expected = config_lib.AGENTS[config.agent].action_spaces
  kinds = tuple(getattr(gym.spaces, name) for name in expected)
  if not isinstance(env.gym.action_space, kinds):
    env.close()
    raise ValueError(
      f'Expected an environment with {" or ".join(expected)} actions for '
      f'{config.agent}. Received: {config.env_name} with '
      f'{env.gym.action_space}.'
    )
  if env.spec.observation_shape and config.agent != 'dqn':
    env.close()
    raise ValueError(
      'Expected agent=dqn for images: no other has a network for them. '
      f'Received: agent={config.agent}, env_name={config.env_name}.'
    )
  return env
