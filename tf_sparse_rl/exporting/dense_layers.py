"""Policies of Dense layers: which they are, and how to pad their kernels.

Before the first of them there may be a Normalizer of observations.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_sparse_rl.networks import normalizer


def split(layers):
  """Tells the Normalizer from the Dense layers.

  Args:
    layers: the layers of a GreedyPolicy.

  Returns:
    A list with the Normalizer, empty if there is none; the Dense layers.

  Raises:
    ValueError: for another kind of layer, or one without a bias.
  """
  first = 1 if isinstance(layers[0], normalizer.Normalizer) else 0
  for layer in layers[first:]:
    if type(layer) is not tf.keras.layers.Dense or not layer.use_bias:
      raise ValueError(
        'Expected Dense layers with a bias. Received: '
        f'{type(layer).__name__} {layer.name!r}. Export it with '
        '--format=saved_model.'
      )
  return layers[:first], layers[first:]


def padded(policy, multiple):
  """The same function, each of its kernels with padded inputs.

  Zeros are added to the observation, and units that always weigh 0 to hidden
  layers.

  Args:
    policy: a GreedyPolicy of Dense layers.
    multiple: what the inputs of every kernel shall be a multiple of.

  Returns:
    A GreedyPolicy.
  """
  layers, dense = split(policy.layers)
  extra = -policy.observation_spec.shape[1] % multiple
  pad = tf.keras.layers.Lambda(lambda x: tf.pad(x, [[0, 0], [0, extra]]))
  layers = [*layers, pad] if extra else layers
  for layer in dense:
    more_units = -layer.units % multiple if layer is not dense[-1] else 0
    layers.append(_padded_layer(layer, multiple, more_units))
  return dataclasses.replace(policy, layers=layers)


def _padded_layer(layer, multiple, more_units):
  kernel, bias = layer.get_weights()
  more_inputs = -kernel.shape[0] % multiple
  copy = tf.keras.layers.Dense.from_config(
    {**layer.get_config(), 'units': layer.units + more_units}
  )
  copy.build([None, kernel.shape[0] + more_inputs])
  copy.set_weights(
    [
      np.pad(kernel, [(0, more_inputs), (0, more_units)]),
      np.pad(bias, [(0, more_units)]),
    ]
  )
  return copy
