"""Times one RigL mask update of a layer of four million weights."""

import os
import time

import tensorflow as tf

from tf_sparse_rl import sparsity

# The dense layer of the Nature CNN: 11 x 11 x 64 features to 512 units.
_INPUTS, _UNITS = 7744, 512


def measure(rounds):
  """Times the update.

  Args:
    rounds: how often.

  Returns:
    Dict of JSON types; seconds of each round.
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
