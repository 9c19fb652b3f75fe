"""Pads the kernels of Dense layers."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_sparse_rl.networks import residual


def padded(policy, multiple):
  """Pads the inputs of the Dense kernels of a GreedyPolicy to a multiple.

  The first Dense layer gets zeros as further inputs, later ones get further
  units of zero weight in the layer before; in residual blocks too.
  """
  layers = _padded_layers(policy.layers, multiple)
  return dataclasses.replace(policy, layers=layers)


def _padded_layers(given, multiple):
  is_dense = [type(layer) is tf.keras.layers.Dense for layer in given]
  layers = []
  for layer, after_dense, before_dense in zip(
    given, [False, *is_dense], [*is_dense[1:], False]
  ):
    if isinstance(layer, residual.Residual):
      layers.append(layer.copy(_padded_layers(layer.layers, multiple)))
      continue
    if type(layer) is not tf.keras.layers.Dense:
      layers.append(layer)
      continue
    more_inputs = -layer.kernel.shape[0] % multiple
    more_units = -layer.units % multiple if before_dense else 0
    if more_inputs and not after_dense:
      layers.append(_more_zeros(more_inputs))
    layers.append(_padded_layer(layer, more_inputs, more_units))
  return layers


def _more_zeros(number):
  return tf.keras.layers.Lambda(lambda x: tf.pad(x, [[0, 0], [0, number]]))


def _padded_layer(layer, more_inputs, more_units):
  kernel, *bias = layer.get_weights()
  copy = tf.keras.layers.Dense.from_config(
    {**layer.get_config(), 'units': layer.units + more_units}
  )
  copy.build([None, kernel.shape[0] + more_inputs])
  copy.set_weights(
    [
      np.pad(kernel, [(0, more_inputs), (0, more_units)]),
      *(np.pad(b, [(0, more_units)]) for b in bias),
    ]
  )
  return copy
