"""Policies with known kernels that the tests of exporting share."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl.exporting import policy
from tf_sparse_rl.networks import atoms, dense, normalizer, residual, simba
from tf_sparse_rl.sparsity import layers as sparse_layers


def _kernel(rng, shape, sparsity, block_inputs):
  """Normal weights; whole blocks of consecutive inputs are zero."""
  inputs, units = np.prod(shape[:-1]), shape[-1]
  active = rng.random([-(-inputs // block_inputs), units]) >= sparsity
  mask = np.repeat(active, block_inputs, axis=0)[:inputs].reshape(shape)
  return rng.normal(size=shape) * mask / np.sqrt(inputs * (1 - sparsity))


def _normalizer(rng, size):
  """A Normalizer that has seen something, and clips some of it."""
  layer = normalizer.Normalizer(1.5)
  layer.build([None, size])
  layer.learn(tf.constant(rng.normal(0.5, 2, [100, size]), tf.float32))
  return layer


def of_layers(layers, spec, sparsity=0.9, block_inputs=4, seed=0):
  """A GreedyPolicy of discrete actions.

  Args:
    layers: Keras layers. Those with a kernel get another one, and a bias.
    spec: see `GreedyPolicy.observation_spec`.
    sparsity: share of zero blocks of each kernel, nearly.
    block_inputs: consecutive inputs of one unit that are zero together.
    seed: of the weights.
  """
  rng = np.random.default_rng(seed)
  states = tf.zeros([1, *spec.shape[1:]], spec.dtype)
  for layer in layers:
    states = layer(states)
  for layer in sparse_layers.leaf_layers(layers):
    if hasattr(layer, 'kernel'):
      kernel = _kernel(rng, layer.kernel.shape, sparsity, block_inputs)
      layer.set_weights([kernel, 0.1 * rng.normal(size=layer.bias.shape)])
  return policy.GreedyPolicy(
    layers,
    lambda output: tf.argmax(output, -1, output_type=tf.int32),
    spec,
    None,
  )


def make(sizes, activation='relu', is_scaled=False, **kwargs):
  """A GreedyPolicy of Dense layers.

  Args:
    sizes: units of the input and of each layer.
    activation: of the hidden layers.
    is_scaled: whether observations are scaled first, as in PPO.
    **kwargs: see `of_layers`.
  """
  rng = np.random.default_rng(0)
  layers = [_normalizer(rng, sizes[0])] if is_scaled else []
  for i, units in enumerate(sizes[1:]):
    last = i == len(sizes) - 2
    layers.append(
      tf.keras.layers.Dense(
        units, None if last else activation, name=f'layer_{i}'
      )
    )
  spec = tf.TensorSpec([None, sizes[0]], tf.float32, 'observation')
  return of_layers(layers, spec, **kwargs)


def make_normed(num_inputs, **kwargs):
  """A GreedyPolicy of a residual block of SimBa, and LayerNorm all about.

  Its 30 units are no whole blocks of four.

  Args:
    num_inputs: size of an observation.
    **kwargs: see `of_layers`.
  """
  rng = np.random.default_rng(0)
  scale = normalizer.Normalizer()
  scale.build([None, num_inputs])
  scale.learn(tf.constant(rng.normal(0.5, 2, [100, num_inputs]), tf.float32))
  hidden = dense.glorot_layers((30,), 1, layer_norm=True)[:-1]
  spec = tf.TensorSpec([None, num_inputs], tf.float32, 'observation')
  layers = [scale, *hidden, *simba.simba_layers((30,), 5)[1:]]
  policy = of_layers(layers, spec, **kwargs)
  for layer in sparse_layers.leaf_layers(layers):
    if isinstance(layer, tf.keras.layers.LayerNormalization):
      layer.set_weights([rng.normal(size=30), 0.1 * rng.normal(size=30)])
  return policy


def make_categorical(num_inputs, **kwargs):
  """A GreedyPolicy of C51: 3 actions of 11 atoms, whose means are compared.

  Args:
    num_inputs: size of an observation.
    **kwargs: see `of_layers`.
  """
  hidden = tf.keras.layers.Dense(30, 'relu', name='hidden')
  logits = tf.keras.layers.Dense(33, name='output')
  values = atoms.ExpectedValues(3, 11, -4.0, 6.0, name='q_values')
  spec = tf.TensorSpec([None, num_inputs], tf.float32, 'observation')
  return of_layers([hidden, logits, values], spec, **kwargs)


def make_for_images(name, **kwargs):
  """A small GreedyPolicy of convolutions, named by what it shows.

  Its image is 11 x 9, which even kernels and strides do not fit.

  Args:
    name: 'strides', 'max_pool' or 'residual'.
    **kwargs: see `of_layers`.
  """
  conv, pool = tf.keras.layers.Conv2D, tf.keras.layers.MaxPool2D
  convolutions = {
    'strides': [
      conv(6, 4, 2, padding='same', activation='relu'),
      conv(7, (2, 3), (1, 2), activation='tanh'),
    ],
    # Below 0 at the edge: zeros there would be larger.
    'max_pool': [
      conv(6, 3, padding='same'),
      pool(3, 2, padding='same'),
      pool(2, 2),
    ],
    'residual': [
      conv(6, 3, 2, padding='same'),
      residual.Residual(
        [
          tf.keras.layers.ReLU(),
          residual.Residual([conv(6, 2, padding='same', activation='relu')]),
          conv(6, 3, padding='same'),
        ]
      ),
    ],
  }
  layers = [
    *(tf.keras.layers.Rescaling(1 / 255), *convolutions[name]),
    tf.keras.layers.Flatten(),
    *(tf.keras.layers.Dense(30, 'relu'), tf.keras.layers.Dense(5)),
  ]
  spec = tf.TensorSpec([None, 11, 9, 3], tf.uint8, 'observation')
  return of_layers(layers, spec, **kwargs)


def observations(num, size):
  """Normal observations, float32 `[num, size]`."""
  return np.random.default_rng(1).normal(size=[num, size]).astype(np.float32)


def images(num):
  """Observations of `make_for_images`, uint8 `[num, 11, 9, 3]`."""
  rng = np.random.default_rng(1)
  return rng.integers(256, size=[num, 11, 9, 3], dtype=np.uint8)
