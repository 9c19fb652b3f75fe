"""Contexts in which an API call works; what they change is changed back."""

import contextlib
import importlib
import sys

from tf_sparse_rl import imports, quiet


@contextlib.contextmanager
def tensorflow(backend=None):
  """Imports TensorFlow, silently, and sets the backend of sparse layers.

  Args:
    backend: name of the backend within the block; None: it stays.
  """
  if 'tensorflow' in sys.modules:
    # Before anything fails for it: it may have brought another Keras.
    importlib.import_module('tf_sparse_rl.sparsity')
  with quiet.silenced():
    with imports.lightened():
      from tf_sparse_rl import sparsity
      from tf_sparse_rl.native import backend as backend_lib

    before = backend_lib.current_backend()
    try:
      if backend is not None:
        sparsity.set_backend(backend)
      yield
    finally:
      sparsity.set_backend(before)


@contextlib.contextmanager
def environment(env):
  """Registers an environment that a function makes.

  Args:
    env: function that makes an environment, id of one, or None.

  Yields:
    The id of the environment, or None.
  """
  if env is None or isinstance(env, str):
    yield env
    return
  from tf_sparse_rl import envs

  with envs.made_by(env) as name:
    yield name
