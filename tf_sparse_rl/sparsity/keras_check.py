"""Refuses to go on with a Keras that TF-Agents and TFMOT cannot use."""

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
  """Checks that every name of Keras in use is one and the same Keras 2.

  Raises:
    ImportError: if `tf.keras` is Keras 3, or TFMOT uses another Keras.
  """
  # `tf.keras` itself is loaded lazily: its optimizers tell which Keras it is.
  keras = tf.keras.layers.Layer.__module__.split('.')[0]
  if keras != 'tf_keras':
    raise ImportError(_MESSAGE.format(received=f'tf.keras is {keras!r}'))
  # Imported late: with Keras 3 this import itself fails, and not in words.
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


@contextlib.contextmanager
def _not_importing(name):
  """Has a package that is not loaded yet look as if it were not installed.

  TFMOT looks for a module of Keras 2 in the package `keras` and goes without
  where there is none. Keras 3 has none; to find that out takes all of it,
  Matplotlib and scikit-learn included: a quarter of the time of our imports.
  """
  if name in sys.modules:
    yield
    return
  sys.modules[name] = None
  try:
    yield
  finally:
    del sys.modules[name]
