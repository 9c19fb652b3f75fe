"""Keeps libraries from printing what tells a user nothing."""

import contextlib
import os
import sys
import tempfile
import warnings

from absl import flags, logging

from tf_sparse_rl import packages


def log_errors_only():
  """Keeps warnings out of the log, unless --verbosity asks for them."""
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.ERROR)


def silence():
  """Turns off start-up chatter, and imports TensorFlow and TF-Agents.

  What the user asked for himself (TF_CPP_MIN_LOG_LEVEL, --verbosity, python
  -W) stays as he set it.
  """
  filter_warnings()
  _drop_gym_notice()
  with native_stderr_held_back():
    import tensorflow  # noqa: F401

    if packages.is_installed('tf_agents'):  # An exported policy needs none.
      import tf_agents  # noqa: F401


def filter_warnings():
  """The part of `silence` that is about environments: no TensorFlow."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
  log_errors_only()
  import gymnasium  # noqa: F401, it puts a filter of its own in front.

  if not sys.warnoptions:
    # TF-Agents compares with `is`, old environments say there are newer ones.
    warnings.simplefilter('ignore', SyntaxWarning)
    warnings.simplefilter('ignore', DeprecationWarning)


def import_tensorflow():
  """Imports TensorFlow without the chatter of its libraries."""
  if 'tensorflow' in sys.modules:
    return
  _drop_gym_notice()
  with native_stderr_held_back():
    import tensorflow as tf

    hasattr(tf.keras, 'layers')  # Loads more libraries, which chatter as well.


@contextlib.contextmanager
def silenced(silence=silence):
  """Is silent as `silence` within a block; then all is as the caller had it."""
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
  """TF-Agents imports Gym, which tells people to use Gymnasium. We do."""
  try:
    import gym_notices.notices
  except ImportError:
    return
  gym_notices.notices.notices.clear()


@contextlib.contextmanager
def native_stderr_held_back():
  """Holds back what TensorFlow's libraries print while they are loaded.

  They do so before they look at any log level. If loading fails, it is shown.
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
