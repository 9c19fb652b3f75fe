"""Refuses to go on with a Keras that TF-Agents and TFMOT cannot use."""

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
  from tensorflow_model_optimization.python.core.keras.compat import (
    keras as tfmot_keras,
  )

  if not (
    tf.keras.layers.Layer
    is tf.compat.v2.keras.layers.Layer
    is tfmot_keras.layers.Layer
  ):
    raise ImportError(_MESSAGE.format(received='several Keras libraries'))
