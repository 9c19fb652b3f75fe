"""Adaptive pruning: how sparsities of copies of a network are drawn.

Copies of one network are trained side by side; at a selection the best of them
stays as it is, the others become copies of it that are pruned further. Who
trains and selects is `agents.adaptive`; here are the numbers and the masks.
"""

import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl import seeds
from tf_sparse_rl.sparsity import distributions, updater_base

# Target of a layer whose sparsity is found: it has a mask, and lacks no zeros.
NO_TARGET = 1e-9
_RESOLUTION = 2**24  # Of random numbers, exact in float32.


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class AdaptivePruning(updater_base.MaskUpdater):
  """Sparsities and masks of the copies. An optimizer moves none of them.

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
    """Keeps the numbers.

    Args:
      num_networks: copies that are trained, the one that stays included.
      max_sparsity_step: most that a sparsity rises at a selection.
      max_sparsity_power: highest power of the schedules that sparsities are
        drawn from.
      selection_period: train steps from one selection to the next.
      seed: of the sparsities that are drawn.
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
    """Powers of the copies' schedules, uniform up to the highest.

    Args:
      network: number of the network in its agent, an int.
      train_step: int64 scalar.

    Returns:
      float32 `[num_networks]`; 0, for no change, is the first.
    """
    stream = seeds.derive(self.seed, seeds.Stream.SPARSITY_STEP, network)
    # Integers, which are the same on every device and in XLA.
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
    """Sparsities of the copies until the next selection.

    A power n stands for the schedule `1 - (1 - t / H) ** n`, which ends at 1
    with the run: from the sparsity that there is, on to the next selection.

    Args:
      sparsity: float32 scalar, of the network that was selected.
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
    """Keeps the largest weights; no layer loses its last connection.

    Args:
      kernel: a `KernelState`.
      target_sparsity: float64 scalar, of the layer.
      train_step: not needed.
      seed: not needed.
    """
    del train_step, seed
    size = kernel.mask.shape.num_elements()
    zeros = tf.cast(tf.floor(target_sparsity * size), tf.int32)
    has = tf.reduce_sum(tf.cast(kernel.mask == 0, tf.int32))
    zeros = tf.clip_by_value(zeros, has, tf.maximum(has, size - 1))
    return kernel.structure.prune(kernel.mask, tf.abs(kernel.weight), zeros)


def layer_sparsities(shapes, sparsity, distribution='erk', erk_power=1.0):
  """As `distributions.layer_sparsities`, of a sparsity known when it runs.

  Args:
    shapes: list of shapes of weight matrices.
    sparsity: float scalar, of all together.
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
  # Layers of high density first: some of them may be dense.
  order = np.argsort(-raw, kind='stable')
  ordered, entries = raw[order], sizes[order]
  of_denser = np.cumsum(entries) - entries
  weights = np.cumsum((ordered * entries)[::-1])[::-1]
  budget = (1 - tf.cast(sparsity, tf.float64)) * sizes.sum()
  # The scale of the raw densities, if so many layers before are dense.
  scales = (budget - of_denser) / weights
  fits = scales * ordered <= 1
  fits = tf.concat([fits[:-1], [True]], 0)
  scale = tf.gather(scales, tf.argmax(tf.cast(fits, tf.int32)))
  return 1 - tf.minimum(scale * raw, 1.0)
