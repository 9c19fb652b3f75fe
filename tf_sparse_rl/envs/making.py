"""Makes a Gymnasium environment from a name, arguments and wrappers."""

import contextlib
import inspect

import gymnasium as gym
from absl import logging
from gymnasium.envs import registration

from tf_sparse_rl import modules, names, packages
from tf_sparse_rl.config import env_names

_callables = {}  # {name: callable}


def name_callable(function):
  """Registers a callable of this process as an environment.

  Args:
    function: makes a Gymnasium environment; `env_kwargs` are its arguments.

  Returns:
    The env_name for a config: 'callable:module.function'. It is unknown to
    other processes until they call this too. Callables of the same name, such
    as two lambdas, replace each other.
  """
  of = function if hasattr(function, '__qualname__') else type(function)
  name = f'{env_names.CALLABLE}:{of.__module__}.{of.__qualname__}'
  _callables[name] = function
  return name


@contextlib.contextmanager
def made_by(function):
  """Registers a callable within a block; yields the env_name."""
  before = dict(_callables)
  try:
    yield name_callable(function)
  finally:
    _callables.clear()
    _callables.update(before)


def is_callable(env_name):
  """Whether a name was made by `name_callable`."""
  return env_name.startswith(f'{env_names.CALLABLE}:')


def check(env_name, kwargs=None, wrappers=(), others=()):
  """Checks the name of an environment; imports the modules that it names.

  Args:
    env_name: id such as 'CartPole-v1', 'module:Id', or 'callable:name'.
    kwargs: dict, arguments of the environment.
    wrappers: tuple of 'module:function', or of (that, dict of its arguments).
    others: further names to suggest, besides Gymnasium's.

  Raises:
    ValueError: if there is no such module, id, argument or wrapper.
    MissingError: if it needs MuJoCo, which is not installed.
    UserCodeError: if a module raises while it is imported.
  """
  creator, given = _creator(env_name, others)
  _check_arguments(env_name, creator, given, kwargs or {})
  for name, _ in map(_wrapper, wrappers):
    modules.load(name, '--env_wrappers')


def make(env_name, kwargs=None, wrappers=(), render_mode=None, others=()):
  """Makes an environment.

  Args:
    env_name: see `check`.
    kwargs: see `check`.
    wrappers: see `check`; applied in order, each takes an environment and
      returns one.
    render_mode: see Gymnasium; None leaves the argument out.
    others: see `check`.

  Returns:
    A Gymnasium environment.

  Raises:
    ValueError: see `check`; or if a package is missing.
    UserCodeError: if custom code raises.
  """
  check(env_name, kwargs, wrappers, others)
  kwargs = dict(kwargs or {})
  if render_mode:  # Environments that do not render may not take the argument.
    kwargs['render_mode'] = render_mode
  if is_callable(env_name):
    env = _called(env_name, _callables[env_name], **kwargs)
  else:
    env = _made(env_name, kwargs)
  return wrap(env, wrappers)


def wrap(env, wrappers):
  """Applies wrappers; see `make`."""
  for name, kwargs in map(_wrapper, wrappers):
    function = modules.load(name, '--env_wrappers')
    env = _called(f'--env_wrappers={name}', function, env, **kwargs)
  return env


def _wrapper(given):
  """Returns (name, arguments) of a wrapper given with or without arguments."""
  return (given, {}) if isinstance(given, str) else given


def _made(env_name, kwargs):
  """Calls `gym.make`."""
  gym_id = env_names.gym_id(env_name)
  try:
    _quiet_mujoco(gym_id)
    return gym.make(gym_id, disable_env_checker=True, **kwargs)
  except (gym.error.Error, ImportError) as error:
    raise ValueError(f'Cannot make {env_name!r}: {error}') from error
  except BaseException as error:  # It is not our code.
    if isinstance(error, TypeError) and error.__cause__ is None:
      # Raised by Gymnasium for an object that is not an environment.
      raise ValueError(f'Cannot make {env_name!r}: {error}') from error
    raise modules.user_code_error(
      f'Making {env_name} failed', error.__cause__ or error
    ) from error


def _called(name, function, *args, **kwargs):
  """Calls a custom function that makes an environment."""
  try:
    env = function(*args, **kwargs)
  except BaseException as error:  # It is not our code.
    raise modules.user_code_error(f'{name} failed', error) from error
  if not isinstance(env, gym.Env):
    raise ValueError(
      f'Expected a gymnasium.Env from {name}. Received: {env!r:.200}.'
    )
  return env


def _creator(env_name, others):
  """Returns the factory of an environment and the arguments of its id."""
  if is_callable(env_name):
    if env_name not in _callables:
      raise ValueError(
        f'Expected {env_name!r} from the Python program that made the run: '
        'call tf_sparse_rl.train(root_dir, env=...) with the same callable. '
        'Commands take an id, or module:Id.'
      )
    return _callables[env_name], {}
  module, gym_id = env_names.module_of(env_name), env_names.gym_id(env_name)
  if module:
    modules.load_module(module, '--env_name')
  try:
    spec = gym.registry.get(gym_id) or gym.spec(gym_id)
  except gym.error.Error as error:
    text = names.unknown('environment', gym_id, [*gym.registry, *others])
    if module:
      text += f' {module} was imported but registers no such id.'
    raise ValueError(text) from error
  if not isinstance(spec.entry_point, str):
    return spec.entry_point, spec.kwargs
  if spec.entry_point.startswith('gymnasium.envs.mujoco'):
    packages.require(env_name, 'mujoco')
  try:
    return registration.load_env_creator(spec.entry_point), spec.kwargs
  except (ImportError, AttributeError) as error:
    raise ValueError(f'Cannot make {env_name!r}: {error}') from error
  except BaseException as error:  # It is not our code.
    raise modules.user_code_error(
      f'Importing {spec.entry_point} for {env_name} failed', error
    ) from error


def _check_arguments(env_name, creator, given, kwargs):
  """Checks env_kwargs against the signature of the constructor."""
  try:
    parameters = inspect.signature(creator).parameters
  except (TypeError, ValueError):
    return  # Written in C.
  keywords = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
  )
  named = {n: p for n, p in parameters.items() if p.kind in keywords}
  takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
  for name in kwargs:
    if name not in named and not takes_any:
      raise ValueError(
        f'env_kwargs: {names.unknown(f"argument of {env_name}", name, named)}'
      )
  missing = [
    name
    for name, parameter in named.items()
    if parameter.default is parameter.empty and name not in {**given, **kwargs}
  ]
  if missing:
    raise ValueError(
      f'Expected --env_kwargs with {", ".join(missing)}, without which '
      f'{env_name} cannot be made, as in --env_kwargs='
      f'\'{{"{missing[0]}": 1}}\'. Received: {kwargs}.'
    )


def _quiet_mujoco(gym_id):
  """Sends MuJoCo's warnings to the log.

  By default MuJoCo prints them to stderr and writes MUJOCO_LOG.TXT into the
  working directory.
  """
  entry_point = gym.spec(gym_id).entry_point
  if isinstance(entry_point, str) and 'mujoco' in entry_point:
    import mujoco

    mujoco.set_mju_user_warning(logging.warning)
