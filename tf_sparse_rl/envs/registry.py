"""The environment of a config: an Atari game or another Gymnasium one."""

import gymnasium as gym

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import seeds
from tf_sparse_rl.envs import atari, gymnasium_env, making


def check_name(env_name, kwargs=None, wrappers=()):
  """Checks that an environment is known; imports the modules that it names.

  Args:
    env_name: id such as 'CartPole-v1', 'module:Id' or 'ALE/Pong-v5', or a game
      such as 'Pong'.
    kwargs: dict, arguments of the environment.
    wrappers: tuple of 'module:function', or of (that, dict of its arguments).

  Raises:
    ValueError: if there is no such module, id, argument or wrapper, with the
      nearest name, or if Atari is not installed.
    UserCodeError: if a module raises while it is imported.
  """
  if config_lib.is_atari(env_name):
    atari.check_name(env_name)
  else:
    making.check(env_name, kwargs, wrappers, others=config_lib.ATARI_GAMES)


def from_name(env_name, render_mode=None, kwargs=None, wrappers=()):
  """Makes an environment.

  Args:
    env_name: see `check_name`.
    render_mode: see Gymnasium.
    kwargs: see `check_name`.
    wrappers: see `check_name`.

  Returns:
    An Environment; an AtariEnvironment for an Atari game.

  Raises:
    ValueError: see `check_name`; or for spaces that are not supported.
    UserCodeError: if custom code raises.
  """
  check_name(env_name, kwargs, wrappers)
  kind = gymnasium_env.Environment
  if config_lib.is_atari(env_name):
    kind = atari.AtariEnvironment
  return kind(env_name, render_mode, kwargs, wrappers)


def make(config):
  """Makes the Environment of a Config.

  Raises:
    ValueError: see `from_name`; or for actions that the agent does not support.
    UserCodeError: see `from_name`.
  """
  env = from_name(
    config.env_name,
    kwargs=config.env_arguments,
    wrappers=config.env_wrapper_calls,
  )
  expected = config_lib.AGENTS[config.agent].action_spaces
  kinds = tuple(getattr(gym.spaces, name) for name in expected)
  if not isinstance(env.gym.action_space, kinds):
    env.close()
    raise ValueError(
      f'Expected an environment with {" or ".join(expected)} actions for '
      f'{config.agent}. Received: {config.env_name} with '
      f'{env.gym.action_space}.'
    )
  try:
    config.check_observation(env.spec)
  except ValueError:
    env.close()
    raise
  return env


def try_out(config):
  """Checks an environment by a reset and a step.

  Args:
    config: a Config.

  Returns:
    Its EnvSpec.

  Raises:
    ValueError: see `make`.
    UserCodeError: see `make`; an EnvError for faults of `reset` or `step`.
  """
  env = make(config)
  env.reset(config.seed)
  rng = seeds.generator(config.seed, seeds.Stream.TRIAL_STEP)
  env.step(env.random_action(rng))
  env.close()
  return env.spec
