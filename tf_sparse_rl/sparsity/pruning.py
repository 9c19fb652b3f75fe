"""Gradual pruning by magnitude or saliency, per layer or global."""

import tensorflow as tf

from tf_sparse_rl.sparsity import mask_ops, schedules, updater_base

_serializable = tf.keras.utils.register_keras_serializable('tf_sparse_rl')


@_serializable
class MagnitudePruning(updater_base.MaskUpdater):
  """Gradual pruning of the smallest weights with a cubic schedule.

  The sparsity of each layer rises to its own target. A pruned weight stays
  pruned, because its gradient is masked. (In TFMOT a single optimizer step can
  bring one back.)

  Reference: Zhu & Gupta 2017; paper section 2.
  """

  starts_dense = True

  def __init__(
    self,
    prune_begin_train_step,
    prune_end_train_step,
    mask_update_period=100,
  ):
    """Initializes the schedule.

    Args:
      prune_begin_train_step: first train step at which weights are pruned.
      prune_end_train_step: train step at which the target is met.
      mask_update_period: train steps from one update to the next. There is
        always an update at `prune_end_train_step`.
    """
    self.prune_begin_train_step = int(prune_begin_train_step)
    self.prune_end_train_step = int(prune_end_train_step)
    self.mask_update_period = int(mask_update_period)
    self._ramp(0.5)  # Checks the numbers.

  def get_config(self):
    """Returns the config."""
    return {
      'prune_begin_train_step': self.prune_begin_train_step,
      'prune_end_train_step': self.prune_end_train_step,
      'mask_update_period': self.mask_update_period,
    }

  @property
  def target_train_step(self):
    """Train step of the last update."""
    return self.prune_end_train_step

  def _ramp(self, target_sparsity):
    return schedules.CubicSparsity(
      0.0,
      target_sparsity,
      self.prune_begin_train_step,
      self.prune_end_train_step,
      self.mask_update_period,
    )

  def is_due(self, train_step):
    """Is true at the updates of the schedule, and at its end."""
    due = self._ramp(0.5).is_due(train_step)
    return due | (tf.cast(train_step, tf.int64) == self.prune_end_train_step)

  def scores(self, kernel):
    """Returns magnitudes, `[..., inputs, units]`: small weights are pruned."""
    return tf.abs(kernel.weight)

  def _num_zeros(self, kernel, target_sparsity, train_step):
    """Returns the number of zeros of a layer after the update, int32 scalar."""
    shape = kernel.mask.shape
    budget = kernel.structure.num_zeros(shape, target_sparsity)
    # Rounded as in TFMOT before the end, but at most the budget of the layer.
    # Exact at the end, where float32 may be off for millions of weights.
    ramp = self._ramp(target_sparsity)(train_step)
    ramp = tf.cast(tf.round(ramp * shape.num_elements()), tf.int32)
    return tf.where(
      tf.cast(train_step, tf.int64) < self.prune_end_train_step,
      tf.minimum(ramp, budget),
      budget,
    )

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Keeps the weights of the highest scores."""
    del seed
    zeros = kernel.share
    if zeros is None:
      zeros = self._num_zeros(kernel, target_sparsity, train_step)
    return kernel.structure.prune(kernel.mask, self.scores(kernel), zeros)


@_serializable
class SaliencyPruning(MagnitudePruning):
  """Gradual pruning of the weights of lowest saliency, `|w * g|`.

  `g` is the gradient of the batch at the train step.

  Reference: Molchanov et al. 2017; JaxPruner's SaliencyPruning.
  """

  def scores(self, kernel):
    """Returns the first-order change of the loss if a weight is removed."""
    return tf.abs(kernel.weight * kernel.gradient)


@_serializable
class GlobalMagnitudePruning(MagnitudePruning):
  """Gradual magnitude pruning with one threshold for all layers.

  Magnitudes are divided by the norm of the layer's weights, so that layers of
  small weights are not pruned away. The network meets its target; the sparsity
  of a single layer follows from the threshold.

  Reference: JaxPruner's GlobalMagnitudePruning.
  """

  def scores(self, kernel):
    """Returns magnitudes divided by the norm of the layer's weights."""
    norm = tf.sqrt(tf.reduce_sum(tf.square(kernel.weight)))
    return tf.abs(kernel.weight) / (norm + 1e-8)

  def shares(self, kernels, targets, train_step):
    """Returns the number of zeros of each layer."""
    zeros = tf.add_n(
      [
        self._num_zeros(kernel, target, train_step)
        for kernel, target in zip(kernels, targets)
      ]
    )
    return mask_ops.zeros_of_each(
      [kernel.mask for kernel in kernels],
      [self.scores(kernel) for kernel in kernels],
      zeros,
    )
