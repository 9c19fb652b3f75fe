"""Measures for given layers which is faster: native kernels or masked ones."""

import functools
import math
import time

import numpy as np
import tensorflow as tf

from tf_sparse_rl import seeds
from tf_sparse_rl.native import conv_sizes, library

_ROUNDS = 15


def seconds(batch, sizes, sparsities):
  """Times both passes and an Adam step both ways, in turn.

  Args:
    batch: examples.
    sizes: units of the input and of each layer; of convolutions what
      `conv_sizes.sizes_of` returns.
    sparsities: fraction of zeros of each layer.

  Returns:
    (masked, native): the best time of each, in seconds.
  """
  rng = seeds.generator(0, seeds.Stream.MEASUREMENT)
  is_conv = isinstance(sizes[0], tuple)
  shapes = _conv_shapes(sizes) if is_conv else list(zip(sizes, sizes[1:]))
  masks = [
    tf.constant(np.float32(rng.random(shape) >= sparsity))
    for shape, sparsity in zip(shapes, sparsities)
  ]
  shape = (batch, *sizes[0]) if is_conv else (batch, sizes[0])
  inputs = tf.constant(rng.standard_normal(shape, 'float32'))
  steps = [_masked, _native]
  if is_conv:
    steps = [functools.partial(f, sizes) for f in (_masked_conv, _native_conv)]
  # As graphs, for that is how they run: what can be side by side is.
  ways = [
    tf.function(step(inputs, [_Kernel(m) for m in masks]), autograph=False)
    for step in steps
  ]
  best = [math.inf, math.inf]
  for _ in range(_ROUNDS):
    for i, way in enumerate(ways):
      begin = time.perf_counter()
      way()
      best[i] = min(best[i], time.perf_counter() - begin)
  return tuple(best)


class _Kernel:
  """A kernel with its mask and Adam's moments."""

  def __init__(self, mask):
    self.mask = mask
    self.value = tf.Variable(0.1 * mask)
    self.m, self.v = (tf.Variable(tf.zeros_like(mask)) for _ in 'mv')


def _masked(inputs, kernels):
  """A function: a train step of dense layers with ReLU."""

  def way():
    states, delta = [inputs], _output_gradient(inputs, kernels)
    for kernel in kernels:
      states.append(tf.nn.relu(tf.matmul(states[-1], kernel.value)))
    for kernel, state in zip(reversed(kernels), reversed(states[:-1])):
      of_kernel = tf.matmul(state, delta, transpose_a=True) * kernel.mask
      delta = tf.matmul(delta, kernel.value, transpose_b=True)
      _masked_adam(kernel, of_kernel)
    return delta

  return way


def _output_gradient(inputs, kernels):
  return tf.ones([inputs.shape[0], kernels[-1].mask.shape[1]])


def _native(inputs, kernels):
  """The same by native kernels."""
  ops = library.load()
  masks = [kernel.mask for kernel in kernels]
  biases = [tf.zeros([mask.shape[1]]) for mask in masks]
  sizes = [inputs.shape[1], *(mask.shape[1] for mask in masks)]
  options = {'sizes': sizes, 'activations': ['relu'] * len(masks)}

  def way():
    gradient = _output_gradient(inputs, kernels)
    values = [tf.convert_to_tensor(kernel.value) for kernel in kernels]
    run = ops.tf_sparse_rl_stack(inputs, values, biases, masks, **options)
    deltas = ops.tf_sparse_rl_deltas(
      gradient, run.states, run.last, run.weights, masks, **options
    )
    packed, _ = ops.tf_sparse_rl_weight_gradients(
      run.states, deltas, masks, sizes=sizes
    )
    of_inputs = ops.tf_sparse_rl_input_gradient(
      deltas[0], run.weights[0], masks[0], gradient, sizes=sizes
    )
    _native_adam(kernels, packed)
    return of_inputs

  return way


def _conv_shapes(sizes):
  """The shapes of the kernels."""
  image, *layers = sizes
  channels = [image[2], *(layer[2] for layer in layers)]
  return [
    (*layer[:2], before, layer[2]) for before, layer in zip(channels, layers)
  ]


def _masked_conv(sizes, inputs, kernels):
  """A function: a train step of convolutions with ReLU, on images."""

  def way():
    values = [tf.convert_to_tensor(kernel.value) for kernel in kernels]
    outputs = inputs
    for value, (_, _, _, *strides, padding) in zip(values, sizes[1:]):
      outputs = tf.nn.relu(
        tf.nn.conv2d(outputs, value, strides, padding.upper())
      )
    # No tape: where this is called from, none records.
    gradients = tf.gradients(outputs, values)
    for kernel, gradient in zip(kernels, gradients):
      _masked_adam(kernel, gradient * kernel.mask)

  return way


def _native_conv(sizes, inputs, kernels):
  """The same by native kernels."""
  ops, options = library.load(), conv_sizes.options_of(sizes)
  masks = [kernel.mask for kernel in kernels]
  biases = [tf.zeros([mask.shape[-1]]) for mask in masks]
  relu = [True] * len(masks)

  def way():
    values = [tf.convert_to_tensor(kernel.value) for kernel in kernels]
    run = ops.tf_sparse_rl_conv_stack(
      *(inputs, values, biases, masks), scale=1.0, relu=relu, **options
    )
    deltas = ops.tf_sparse_rl_conv_deltas(
      *(tf.ones_like(run.output), run.output, run.states, run.weights, masks),
      relu=relu,
      **options,
    )
    packed, _ = ops.tf_sparse_rl_conv_weight_gradients(
      run.states, deltas, masks, run.output, **options
    )
    _native_adam(kernels, packed)

  return way


def _masked_adam(kernel, gradient):
  """An Adam step of one kernel."""
  tf.raw_ops.ResourceApplyAdam(
    var=kernel.value.handle,
    m=kernel.m.handle,
    v=kernel.v.handle,
    beta1_power=0.9,
    beta2_power=0.999,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-7,
    grad=gradient,
  )


def _native_adam(kernels, packed):
  """An Adam step of all kernels."""
  library.load().tf_sparse_rl_adam(
    [kernel.value.handle for kernel in kernels],
    [kernel.m.handle for kernel in kernels],
    [kernel.v.handle for kernel in kernels],
    *(packed, [kernel.mask for kernel in kernels], [0.0] * len(kernels)),
    *(1e-3, 0.9, 0.999, 1e-7, tf.constant(0, tf.int64)),
  )
