"""Times native and masked kernels for given layers."""

import functools
import math
import time

import numpy as np
import tensorflow as tf

from tf_sparse_rl import seeds
from tf_sparse_rl.native import conv_sizes, library

_ROUNDS = 15


def seconds(batch, sizes, sparsities):
  """Times both passes and an Adam step in each way, in turn.

  Args:
    batch: examples.
    sizes: units of the input and of each layer; of convolutions what
      `conv_sizes.sizes_of` returns.
    sparsities: fraction of zeros of each layer.

  Returns:
    (masked, native, fused): the best time of each, in seconds.
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
  if not is_conv:
    ways.append(_fused(batch, sizes, [_Kernel(mask) for mask in masks]))
  best = [math.inf] * len(ways)
  for _ in range(_ROUNDS):
    for i, way in enumerate(ways):
      begin = time.perf_counter()
      way()
      best[i] = min(best[i], time.perf_counter() - begin)
  # Convolutions are in no fused train step.
  return (*best, best[-1])[:3]


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


def _fused(batch, sizes, kernels):
  """A function: a train step of DQN as one operation, which is a bit more."""
  ops = library.load()
  rng = seeds.generator(0, seeds.Stream.MEASUREMENT)
  rows = rng.standard_normal((batch, 2 * sizes[0] + 3), 'float32')
  rows[:, sizes[0]] = 0  # The action.
  observation, noise = rows[:1, : sizes[0]], np.zeros((1, 2), np.float32)
  options = {
    'sizes': sizes,
    'activations': ['relu'] * len(kernels),
    'l2': [0.0] * len(kernels),
    'has_mask': [True] * len(kernels),
  }
  trained, target = [], []
  for kernel, units in zip(kernels, sizes[1:]):
    bias, m, v = (tf.Variable(tf.zeros([units])) for _ in range(3))
    mask = tf.Variable(kernel.mask)
    trained += [kernel.value, bias, mask, kernel.m, kernel.v, m, v]
    target += [tf.Variable(0.1 * kernel.mask), tf.Variable(bias), mask]
  numbers = [tf.Variable(x) for x in (1e-3, 0.9, 0.999)]
  counters = [tf.Variable(0, dtype=tf.int64) for _ in range(2)]
  variables = [trained, target, [*numbers, counters[0]], counters[1:]]
  trained, target, adam, counter = (
    [variable.handle for variable in each] for each in variables
  )
  step = ops.tf_sparse_rl_make_dqn(
    [
      ops.tf_sparse_rl_network(trained, is_trained=True, **options),
      ops.tf_sparse_rl_network(target, is_trained=False, **options),
    ],
    *(adam, counter),
    adam_epsilon=1e-7,
    reward_scale=1.0,
    gamma=0.99,
    tau=1.0,
    epsilon=0.1,
    epsilon_decay_train_steps=0.0,
    target_update_period=2**62,
    is_huber=False,
    is_double=False,
  )
  return lambda: ops.tf_sparse_rl_train_step(
    *(step, rows, observation, noise, []), dtype=tf.int32
  )
