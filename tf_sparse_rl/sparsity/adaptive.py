"""Adaptive pruning: the sparsities of several copies of a network.

Copies of one network are trained side by side. At a selection the best copy is
kept; the others become copies of it that are pruned further. `agents.adaptive`
trains and selects; this module computes sparsities and masks.
"""

import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl import seeds
from tf_sparse_rl.sparsity import distributions, updater_base

# Target of a layer whose sparsity is learned: it has a mask and any number of
# zeros meets the target.
NO_TARGET = 1e-9
_RESOLUTION = 2**24  # Of random numbers, exact in float32.


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class AdaptivePruning(updater_base.MaskUpdater):
  """Sparsities and masks of the copies; no optimizer updates these masks.

  Reference: Vincent et al. 2025 (arXiv 2503.01437), EauDeQN.
  """

  starts_dense = True

  def __init__(
    self,
    num_networks=5,
    max_sparsity_step=0.01,
    max_sparsity_power=3.0,
    selection_period=100,
    seed=0,
  ):
    """Initializes the schedule.

    Args:
      num_networks: number of copies, including the one that is kept.
      max_sparsity_step: largest increase of the sparsity at a selection.
      max_sparsity_power: largest exponent of the schedules that sparsities
        are drawn from.
      selection_period: train steps from one selection to the next.
      seed: int, seed of the drawn sparsities.
    """
    self.num_networks = int(num_networks)
    self.max_sparsity_step = float(max_sparsity_step)
    self.max_sparsity_power = float(max_sparsity_power)
    self.selection_period = int(selection_period)
    self.seed = int(seed)

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {
      'num_networks': self.num_networks,
      'max_sparsity_step': self.max_sparsity_step,
      'max_sparsity_power': self.max_sparsity_power,
      'selection_period': self.selection_period,
      'seed': self.seed,
    }

  def powers(self, network, train_step):
    """Draws the exponents of the copies' schedules, uniform up to the largest.

    Args:
      network: int, index of the network in its agent.
      train_step: int64 scalar.

    Returns:
      float32 `[num_networks]`; the first is 0, which means no change.
    """
    stream = seeds.derive(self.seed, seeds.Stream.SPARSITY_STEP, network)
    # Integers are the same on every device and in XLA; random floats are not.
    drawn = tf.random.stateless_uniform(
      [self.num_networks - 1],
      seed=tf.stack([tf.constant(stream, tf.int64), train_step]),
      minval=0,
      maxval=_RESOLUTION,
      dtype=tf.int32,
      alg='philox',
    )
    uniform = tf.cast(drawn, tf.float32) / _RESOLUTION
    return tf.concat([[0.0], self.max_sparsity_power * uniform], 0)

  def sparsities(self, sparsity, powers, train_step, num_train_steps):
    """Computes the sparsities of the copies until the next selection.

    An exponent n stands for the schedule `1 - (1 - t / H) ** n`, which reaches
    1 when training ends. It is followed from the current sparsity to the next
    selection.

    Args:
      sparsity: float32 scalar, sparsity of the selected network.
      powers: float32 `[num_networks]`.
      train_step: int64 scalar, t.
      num_train_steps: int, H.

    Returns:
      float32 `[num_networks]`.
    """
    left = tf.cast(num_train_steps - train_step, tf.float32)
    share = 1 - self.selection_period / tf.maximum(left, 1.0)
    rise = (1 - sparsity) * (1 - tf.maximum(share, 0.0) ** powers)
    return sparsity + tf.minimum(rise, self.max_sparsity_step)

  def new_mask(self, kernel, target_sparsity, train_step=None, seed=None):
    """Keeps the largest weights; every layer keeps at least one connection.

    Args:
      kernel: a `KernelState`.
      target_sparsity: float64 scalar, sparsity of the layer.
      train_step: unused.
      seed: unused.
    """
    del train_step, seed
    size = kernel.mask.shape.num_elements()
    zeros = tf.cast(tf.floor(target_sparsity * size), tf.int32)
    has = tf.reduce_sum(tf.cast(kernel.mask == 0, tf.int32))
    zeros = tf.clip_by_value(zeros, has, tf.maximum(has, size - 1))
    return kernel.structure.prune(kernel.mask, tf.abs(kernel.weight), zeros)


def layer_sparsities(shapes, sparsity, distribution='erk', erk_power=1.0):
  """Computes `distributions.layer_sparsities` for a sparsity tensor.

  Args:
    shapes: list of shapes of weight matrices.
    sparsity: float scalar tensor, sparsity of the network.
    distribution: 'uniform', 'er' or 'erk'.
    erk_power: exponent of 'erk'.

  Returns:
    float64 `[len(shapes)]`.
  """
  raw = distributions.raw_densities(
    dict(enumerate(shapes)), distribution, erk_power
  )
  raw = np.array([*raw.values()])
  sizes = np.array([float(math.prod(shape)) for shape in shapes])
  # Sorted by density: the first layers may be dense.
  order = np.argsort(-raw, kind='stable')
  ordered, entries = raw[order], sizes[order]
  of_denser = np.cumsum(entries) - entries
  weights = np.cumsum((ordered * entries)[::-1])[::-1]
  budget = (1 - tf.cast(sparsity, tf.float64)) * sizes.sum()
  # Entry i: the scale of the raw densities if the first i layers are dense.
  scales = (budget - of_denser) / weights
  fits = scales * ordered <= 1
  fits = tf.concat([fits[:-1], [True]], 0)
  scale = tf.gather(scales, tf.argmax(tf.cast(fits, tf.int32)))
  return 1 - tf.minimum(scale * raw, 1.0)
