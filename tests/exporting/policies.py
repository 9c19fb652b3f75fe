"""Policies with known kernels that the tests of exporting share."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl.exporting import policy
from tf_sparse_rl.networks import normalizer


def _kernel(rng, inputs, units, sparsity, block_inputs):
  """Normal weights; whole blocks of consecutive inputs are zero."""
  active = rng.random([-(-inputs // block_inputs), units]) >= sparsity
  mask = np.repeat(active, block_inputs, axis=0)[:inputs]
  return rng.normal(size=[inputs, units]) * mask


def _normalizer(rng, size):
  """A Normalizer that has seen something, and clips some of it."""
  layer = normalizer.Normalizer(1.5)
  layer.build([None, size])
  layer.learn(tf.constant(rng.normal(0.5, 2, [100, size]), tf.float32))
  return layer


def make(
  sizes,
  sparsity=0.9,
  block_inputs=4,
  activation='relu',
  seed=0,
  is_scaled=False,
):
  """A GreedyPolicy of discrete actions.

  Args:
    sizes: units of the input and of each layer.
    sparsity: share of zero blocks of each kernel, nearly.
    block_inputs: consecutive inputs of one unit that are zero together.
    activation: of the hidden layers.
    seed: of the weights.
    is_scaled: whether observations are scaled first, as in PPO.
  """
  rng = np.random.default_rng(seed)
  layers = [_normalizer(rng, sizes[0])] if is_scaled else []
  for i, (inputs, units) in enumerate(zip(sizes, sizes[1:])):
    last = i == len(sizes) - 2
    layer = tf.keras.layers.Dense(
      units, None if last else activation, name=f'layer_{i}'
    )
    layer.build([None, inputs])
    kernel = _kernel(rng, inputs, units, sparsity, block_inputs)
    layer.set_weights([kernel, 0.1 * rng.normal(size=[units])])
    layers.append(layer)
  return policy.GreedyPolicy(
    layers,
    lambda output: tf.argmax(output, -1, output_type=tf.int32),
    tf.TensorSpec([None, sizes[0]], tf.float32, 'observation'),
    None,
  )


def observations(num, size):
  """Normal observations, float32 `[num, size]`."""
  return np.random.default_rng(1).normal(size=[num, size]).astype(np.float32)
