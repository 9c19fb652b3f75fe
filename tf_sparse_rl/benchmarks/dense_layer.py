"""Times the Nature CNN's dense layer: a train step, and a RigL mask update."""

import os
import time

import tensorflow as tf

from tf_sparse_rl import seeds, sparsity
from tf_sparse_rl.benchmarks import in_turn
from tf_sparse_rl.native import backend

# 11 x 11 x 64 features.
_INPUTS, _UNITS, _BATCH, _SPARSITY = 7744, 512, 32, 0.9


def measure_mask_update(rounds):
  """Times one RigL mask update of the layer's four million weights.

  Args:
    rounds: number of repetitions.

  Returns:
    Dict of JSON types: seconds of each round.
  """
  layer = tf.keras.layers.Dense(_UNITS)
  [layer] = sparsity.sparsify([layer], input_shape=[None, _INPUTS])
  gradient = tf.random.stateless_normal(layer.mask.shape, [0, 1])
  state = sparsity.updaters.KernelState(layer.kernel, layer.mask, gradient)
  updater = sparsity.RigL(drop_fraction=0.3)

  @tf.function
  def update():
    return updater.new_mask(state, 0.9, tf.constant(0, tf.int64), 0)

  update()
  seconds = []
  for _ in range(rounds):
    begin = time.perf_counter()
    update()
    seconds.append(round(time.perf_counter() - begin, 4))
  return {
    'weights': _INPUTS * _UNITS,
    'cores': len(os.sched_getaffinity(0)),
    'seconds': seconds,
  }


def measure_train_step(rounds, calls=20):
  """Times a train step of the layer alone, masked and native in turn.

  Args:
    rounds: number of repetitions.
    calls: train steps of each backend per round.

  Returns:
    Dict of JSON types: milliseconds of forward, backward and Adam together by
    round; the ratios; and the additional time of the first native step after a
    mask update, which sorts the connections.
  """
  steps = {name: _train_step(name) for name in ('masked', 'native')}
  times = {name: [] for name in steps}
  extra = []
  for _ in range(rounds):
    for name, (step, _) in steps.items():
      times[name].append(in_turn.median_ms(step, calls))
    step, layer = steps['native']
    layer.mask.assign(layer.mask + 0.0)  # The same, in another buffer.
    extra.append(in_turn.median_ms(step, 1) - times['native'][-1])
  return {
    'layer': [_INPUTS, _UNITS],
    'batch_size': _BATCH,
    'sparsity': _SPARSITY,
    'milliseconds': {k: [round(x, 3) for x in v] for k, v in times.items()},
    'native_is_faster_by': in_turn.spread(
      [masked / native for masked, native in zip(*times.values())]
    ),
    'after_a_mask_change_ms': in_turn.spread(extra),
  }


def _train_step(backend_name):
  """Makes (function of one train step, the layer)."""
  backend.set_backend(backend_name)
  [layer] = sparsity.sparsify(
    [tf.keras.layers.Dense(_UNITS, 'relu', name='dense')],
    method='static',
    target_sparsity=_SPARSITY,
    input_shape=[None, _INPUTS],
  )
  adam = tf.keras.optimizers.legacy.Adam(1e-4)
  optimizer = sparsity.SparseOptimizer(adam, sparsity.Static())
  rng = seeds.generator(0, seeds.Stream.MEASUREMENT)
  inputs = tf.constant(rng.random((_BATCH, _INPUTS), 'float32'))

  def train(inputs):
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      loss = tf.reduce_sum(layer(inputs) ** 2)
    variables = layer.trainable_variables
    *gradients, of_inputs = tape.gradient(loss, [*variables, inputs])
    optimizer.apply_gradients(zip(gradients, variables))
    return loss, of_inputs

  function = tf.function(train, autograph=False).get_concrete_function(inputs)
  for _ in range(5):
    function(inputs)
  return (lambda: function(inputs)), layer
