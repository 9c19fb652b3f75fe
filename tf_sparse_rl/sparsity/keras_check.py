"""Checks for Keras 2, which TF-Agents and TFMOT need."""

import contextlib
import sys

import tensorflow as tf

_MESSAGE = (
  'tf_sparse_rl needs Keras 2 (the package tf-keras) behind tf.keras. '
  'Received: {received}. TensorFlow was imported before tf_sparse_rl, or '
  'TF_USE_LEGACY_KERAS is not 1. Restart Python and import tf_sparse_rl '
  'before tensorflow, or run `export TF_USE_LEGACY_KERAS=1` first.'
)


def check_legacy_keras():
  """Checks that `tf.keras` and the Keras of TFMOT are the same Keras 2.

  Raises:
    ImportError: if `tf.keras` is Keras 3, or TFMOT uses another Keras.
  """
  # `tf.keras` is loaded lazily: the module of a class tells which Keras it is.
  keras = tf.keras.layers.Layer.__module__.split('.')[0]
  if keras != 'tf_keras':
    raise ImportError(_MESSAGE.format(received=f'tf.keras is {keras!r}'))
  # Imported late: with Keras 3 this import fails with an unclear message.
  with _not_importing('keras'):
    from tensorflow_model_optimization.python.core.keras.compat import (
      keras as tfmot_keras,
    )

  if not (
    tf.keras.layers.Layer
    is tf.compat.v2.keras.layers.Layer
    is tfmot_keras.layers.Layer
  ):
    raise ImportError(_MESSAGE.format(received='several Keras libraries'))


def refuse_keras_3(*values):
  """Rejects models, layers and optimizers of Keras 3.

  Args:
    *values: any objects; the items of lists are checked too.

  Raises:
    TypeError: for an object of Keras 3.
  """
  for value in values:
    if isinstance(value, (list, tuple)):
      refuse_keras_3(*value)
    elif any(
      c.__module__.split('.')[0] == 'keras' for c in type(value).__mro__
    ):
      version = getattr(sys.modules.get('keras'), '__version__', '3')
      raise TypeError(
        'Expected an object of Keras 2, which is tf.keras once tf_sparse_rl is '
        f'imported. Received: {getattr(value, "name", "an object")!r}, a '
        f'{type(value).__name__} of Keras {version}. Build it with tf.keras '
        'instead of keras.'
      )


@contextlib.contextmanager
def _not_importing(name):
  """Hides a package that is not imported yet, as if it were not installed.

  TFMOT looks for a module of Keras 2 in the package `keras` and works without
  it. Keras 3 does not have it, but importing Keras 3 to find out also imports
  Matplotlib and scikit-learn: a quarter of our import time.
  """
  if name in sys.modules:
    yield
    return
  sys.modules[name] = None
  try:
    yield
  finally:
    del sys.modules[name]
