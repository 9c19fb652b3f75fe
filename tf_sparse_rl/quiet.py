"""Silences start-up messages of libraries."""

import contextlib
import os
import sys
import tempfile
import warnings

from absl import flags, logging

from tf_sparse_rl import imports, packages


def log_errors_only():
  """Logs errors only, unless --verbosity is given."""
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.ERROR)


def silence():
  """Imports TensorFlow and TF-Agents without start-up messages.

  Settings of the user (TF_CPP_MIN_LOG_LEVEL, --verbosity, python -W) take
  precedence.
  """
  filter_warnings()
  _drop_gym_notice()
  with native_stderr_held_back(), imports.lightened():
    import tensorflow  # noqa: F401

    if packages.is_installed('tf_agents'):  # Exported policies do not need it.
      import tf_agents  # noqa: F401


def filter_warnings():
  """Silences messages of environments; does not import TensorFlow."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
  log_errors_only()
  import gymnasium  # noqa: F401, it adds a warning filter of its own.

  if not sys.warnoptions:
    # Of TF-Agents, and of environments with newer versions.
    warnings.simplefilter('ignore', SyntaxWarning)
    warnings.simplefilter('ignore', DeprecationWarning)


def import_tensorflow():
  """Imports TensorFlow without messages of its libraries."""
  if 'tensorflow' in sys.modules:
    return
  _drop_gym_notice()
  with native_stderr_held_back(), imports.lightened():
    import tensorflow as tf

    hasattr(tf.keras, 'layers')  # Loads more libraries, with more messages.


@contextlib.contextmanager
def silenced(silence=silence):
  """Silences messages within a block; restores all settings after it."""
  variables = ('TF_CPP_MIN_LOG_LEVEL', 'PYGAME_HIDE_SUPPORT_PROMPT')
  before = {name: os.environ.get(name) for name in variables}
  verbosity = logging.get_verbosity()
  try:
    with warnings.catch_warnings():
      silence()
      yield
  finally:
    logging.set_verbosity(verbosity)
    for name, value in before.items():
      if value is None:
        os.environ.pop(name, None)


def _drop_gym_notice():
  """Drops the notice of Gym, imported by TF-Agents, to use Gymnasium."""
  try:
    import gym_notices.notices
  except ImportError:
    return
  gym_notices.notices.notices.clear()


@contextlib.contextmanager
def native_stderr_held_back():
  """Holds back stderr while TensorFlow's libraries are loaded.

  They print before they read any log level. If loading fails, it is shown.
  """
  sys.stderr.flush()
  stderr = os.dup(2)
  with tempfile.TemporaryFile() as held:
    os.dup2(held.fileno(), 2)
    try:
      yield
    except BaseException:
      os.dup2(stderr, 2)
      held.seek(0)
      sys.stderr.write(held.read().decode(errors='replace'))
      raise
    finally:
      os.dup2(stderr, 2)
      os.close(stderr)
