"""Custom code: imports it by name, and reports its errors.

Names are 'module:attribute'. Modules are found on PYTHONPATH and in the current
directory, as with `python -m`.
"""

import contextlib
import importlib.util
import os
import pathlib
import pkgutil
import sys
import traceback

from tf_sparse_rl import names, signals

# Frames of these are not custom code.
_OURS = (str(pathlib.Path(__file__).parent) + os.sep, '<frozen ')


class UserCodeError(Exception):
  """Custom code raised; the message ends with its traceback."""


def load(name, kind):
  """Imports a module and returns an attribute of it.

  Args:
    name: 'module:attribute', as in 'my_package.my_module:MyClass'.
    kind: name of the flag or field, for the error.

  Returns:
    The attribute.

  Raises:
    ValueError: if there is no such module or attribute, with the nearest.
    UserCodeError: if the module raises while it is imported.
  """
  module_name, colon, attribute = name.partition(':')
  if not (colon and attribute):
    raise ValueError(
      f'Expected {kind} as module:name, as in my_module:MyClass. '
      f'Received: {name!r}.'
    )
  module = load_module(module_name, kind)
  if not hasattr(module, attribute):
    public = [name for name in dir(module) if not name.startswith('_')]
    where = module.__file__ or module_name
    raise ValueError(
      f'{kind}: {names.unknown(f"name in {where}", attribute, public)}'
    )
  return getattr(module, attribute)


def find(name, kind):
  """Checks that a module exists; imports its packages, but not the module.

  Args:
    name: 'module:attribute'; the attribute is not checked.
    kind: see `load`.

  Raises:
    ValueError: if there is no such module, with the nearest name.
  """
  module, _, _ = name.partition(':')
  parent, _, _ = module.rpartition('.')
  if parent:
    load_module(parent, kind)
  add_current_directory()
  try:
    found = importlib.util.find_spec(module)
  except ModuleNotFoundError:  # Its parent is not a package.
    found = None
  if found is None:
    raise ValueError(_no_module(module, kind))


def load_module(name, kind):
  """Imports a module.

  Args:
    name: as in 'my_package.my_module'.
    kind: see `load`.

  Returns:
    The module.

  Raises:
    ValueError: if there is no such module, with the nearest name.
    UserCodeError: if it raises while it is imported.
  """
  add_current_directory()
  if not all(part.isidentifier() for part in name.split('.')):
    raise ValueError(
      f'Expected a module in {kind}, as in my_package.my_module. '
      f'Received: {name!r}.'
    )
  try:
    return importlib.import_module(name)
  except BaseException as error:  # It is not our code.
    missing = getattr(error, 'name', None)
    is_missing = isinstance(error, ModuleNotFoundError) and missing
    if is_missing and f'{name}.'.startswith(f'{missing}.'):
      raise ValueError(_no_module(missing, kind)) from error
    raise user_code_error(f'Importing {name} for {kind} failed', error) from (
      error
    )


def add_current_directory():
  """Adds the current directory to sys.path, as `python -m` does."""
  directory = os.getcwd()
  if not {'', directory} & {*sys.path}:
    sys.path.insert(0, directory)


def user_code_error(head, error):
  """Makes the error for an exception in custom code.

  Args:
    head: first line of the message, without a full stop.
    error: the exception.

  Returns:
    UserCodeError; its message is the head, then `user_traceback`.

  Raises:
    KeyboardInterrupt: if the exception is one from the keyboard.
  """
  return UserCodeError(f'{head}:\n{user_traceback(error)}')


@contextlib.contextmanager
def told(names):
  """Has custom code raise UserCodeError within a block, whatever it raises.

  Args:
    names: of the custom modules that may be called there.
  """
  try:
    yield
  except UserCodeError:
    raise
  except BaseException as error:  # It may not be our code.
    if not _passed(error, names):
      raise
    raise user_code_error(f'{", ".join(names)} failed', error) from error


def _passed(error, names):
  """Whether an exception came through a frame of one of the modules."""
  found = (sys.modules.get(name) for name in names)
  files = [module.__file__ for module in found if module]
  places = tuple(
    os.path.dirname(file) + os.sep if file.endswith('__init__.py') else file
    for file in files
  )
  frames = traceback.extract_tb(error.__traceback__)
  return any(frame.filename.startswith(places) for frame in frames)


def user_traceback(error):
  """Formats the traceback of an exception from the first custom frame on.

  Args:
    error: the exception.

  Returns:
    str of several lines, as Python prints it.

  Raises:
    KeyboardInterrupt: if the exception is one from the keyboard.
  """
  if signals.is_ctrl_c(error):
    raise error
  summary = traceback.TracebackException.from_exception(error)
  frames = list(summary.stack)
  while frames and frames[0].filename.startswith(_OURS + _libraries()):
    frames.pop(0)
  summary.stack = traceback.StackSummary.from_list(frames)
  return ''.join(summary.format()).rstrip()


def _libraries():
  """Directories of libraries that call custom code."""
  names_of_them = 'importlib', 'gymnasium', 'tensorflow', 'tf_agents'
  found = (sys.modules.get(name) for name in names_of_them)
  return tuple(
    str(pathlib.Path(module.__file__).parent) + os.sep
    for module in found
    if module
  )


def _no_module(name, kind):
  """The message for a module that does not exist."""
  parent, _, _ = name.rpartition('.')
  path = getattr(sys.modules[parent], '__path__', []) if parent else None
  prefix = f'{parent}.' if parent else ''
  valid = [module.name for module in pkgutil.iter_modules(path, prefix)]
  near = names.unknown('module', name, valid)
  return (
    f'{kind}: {near} Modules are looked for in the current directory '
    f'({os.getcwd()}) and on PYTHONPATH.'
  )
