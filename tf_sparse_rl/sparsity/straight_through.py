"""Straight-through top-k: masked weights are trained too."""

import contextlib

import tensorflow as tf

from tf_sparse_rl.sparsity import mask_updates, pruning


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class StraightThrough(pruning.MagnitudePruning):
  """Gradual pruning by a straight-through estimator: weights may come back.

  All weights are trained. The forward pass uses the largest only; the gradient
  passes straight through the mask to all of them. The mask is chosen again at
  every train step, with a cubic schedule of its sparsity.

  The SparseOptimizer keeps the values of masked weights, so the weights of the
  layer are exactly 0 there. The slots of the optimizer are dense.

  Reference: Bengio et al. 2013, "Estimating or Propagating Gradients Through
  Stochastic Neurons"; JaxPruner's SteMagnitudePruning.
  """

  trains_hidden = True

  def __init__(self, prune_begin_train_step, prune_end_train_step):
    """Initializes the schedule.

    Args:
      prune_begin_train_step: first train step at which weights are masked.
      prune_end_train_step: train step from which the target is met.

    Raises:
      ValueError: for numbers out of range.
    """
    super().__init__(prune_begin_train_step, prune_end_train_step, 1)

  def get_config(self):
    """Returns the arguments of the constructor."""
    config = super().get_config()
    del config['mask_update_period']
    return config

  def is_due(self, train_step):
    """Is true at every train step."""
    return tf.ones_like(tf.cast(train_step, tf.int64), tf.bool)

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Marks the largest weights among all, including masked ones."""
    everything = kernel._replace(mask=tf.ones_like(kernel.mask))
    choose = super().new_mask
    return tf.cond(
      train_step > self.prune_begin_train_step,
      lambda: choose(everything, target_sparsity, train_step, seed),
      lambda: everything.mask,  # Nothing is pruned yet.
    )


def apply(updater, kernels, gradients, train_step, apply_inner):
  """Makes a train step of all weights, including masked ones.

  Args:
    updater: a StraightThrough.
    kernels: list of `mask_updates.SparseKernel` with `hidden`.
    gradients: list of their dense gradients.
    train_step: int64 scalar, train steps done so far.
    apply_inner: function without arguments that updates all weights.

  Returns:
    The result of `apply_inner`.
  """
  with contextlib.ExitStack() as stack:
    for kernel in kernels:
      stack.enter_context(kernel.constraint.opened())
    _on_replicas(_show_one, kernels, gradients)
    result = apply_inner()
    _on_replicas(
      _hide_one, kernels, gradients, updater=updater, train_step=train_step
    )
  return result


def _on_replicas(function, kernels, gradients, **options):
  """Calls a function of (kernel, mask, gradient, hidden) on each replica."""

  def update_all(strategy, gradients):
    for kernel, gradient in zip(kernels, gradients):
      strategy.extended.update(
        kernel.kernel,
        function,
        args=(kernel.mask, gradient, kernel.hidden),
        kwargs={'constraint': kernel.constraint, **options},
        group=False,
      )

  tf.__internal__.distribute.interim.maybe_merge_call(
    update_all, tf.distribute.get_strategy(), gradients
  )


def _show_one(kernel, mask, gradient, hidden, *, constraint):
  """Adds the values of masked weights to a kernel."""
  del mask, gradient, constraint
  kernel.assign(kernel + hidden)


def _hide_one(
  kernel, mask, gradient, hidden, *, constraint, updater, train_step
):
  """Chooses the mask of a kernel and moves masked values to `hidden`."""
  axes, shape = constraint.axes, kernel.shape
  new_mask = updater.new_mask(
    mask_updates.state_of(constraint, kernel, mask, gradient),
    constraint.target_sparsity,
    train_step,
    constraint.seed,
  )
  new_mask = tf.cast(axes.from_matrix(new_mask, shape), kernel.dtype)
  # Not products, which turn infinity into NaN.
  everything = tf.convert_to_tensor(kernel)
  zeros = tf.zeros_like(everything)
  kernel.assign(tf.where(new_mask > 0, everything, zeros))
  hidden.assign(tf.where(new_mask > 0, zeros, everything))
  mask.assign(tf.cast(new_mask, mask.dtype))
