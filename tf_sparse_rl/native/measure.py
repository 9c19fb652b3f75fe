"""Measures for given layers which is faster: native kernels or masked ones."""

import time

import numpy as np
import tensorflow as tf

from tf_sparse_rl.native import library

_ROUNDS = 15


def native_is_faster(batch, sizes, sparsities):
  """Times a forward and a backward pass both ways, in turn.

  Args:
    batch: examples.
    sizes: units of the input and of each layer.
    sparsities: fraction of zeros of each layer.

  Returns:
    Whether the best time of the native kernels was the shorter.
  """
  rng = np.random.default_rng(0)
  shapes = list(zip(sizes, sizes[1:]))
  masks = [
    (rng.random(shape) >= sparsity).astype('float32')
    for shape, sparsity in zip(shapes, sparsities)
  ]
  kernels = [tf.constant(0.1 * mask) for mask in masks]
  inputs = tf.constant(rng.standard_normal((batch, sizes[0]), 'float32'))
  gradient = tf.ones([batch, sizes[-1]])
  ways = {
    'masked': lambda: _masked(inputs, kernels, gradient),
    'native': _native(inputs, kernels, masks, gradient, sizes),
  }
  best = {}
  for _ in range(_ROUNDS):
    for name, way in ways.items():
      begin = time.perf_counter()
      way()
      seconds = time.perf_counter() - begin
      best[name] = min(seconds, best.get(name, seconds))
  return best['native'] < best['masked']


def _masked(inputs, kernels, gradient):
  """Both passes of dense layers with ReLU, without a tape's overhead."""
  states = [inputs]
  for kernel in kernels:
    states.append(tf.nn.relu(tf.matmul(states[-1], kernel)))
  for kernel, state in zip(reversed(kernels), reversed(states[:-1])):
    tf.matmul(state, gradient, transpose_a=True)
    gradient = tf.matmul(gradient, kernel, transpose_b=True)


def _native(inputs, kernels, masks, gradient, sizes):
  """A function that makes both passes by native kernels."""
  ops = library.load()
  masks = [tf.constant(mask) for mask in masks]
  biases = [tf.zeros([units]) for units in sizes[1:]]
  names = ['relu'] * len(kernels)

  def way():
    run = ops.tf_sparse_rl_run(
      inputs, kernels, biases, masks, sizes=sizes, activations=names
    )
    deltas = ops.tf_sparse_rl_deltas(
      *(gradient, run.states, run.last, run.weights, masks),
      sizes=sizes,
      activations=names,
    )
    ops.tf_sparse_rl_weight_gradients(run.states, deltas, masks, sizes=sizes)
    ops.tf_sparse_rl_input_gradient(
      deltas[0], run.weights[0], masks[0], gradient, sizes=sizes
    )

  return way
