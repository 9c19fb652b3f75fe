"""Straight-through top-k: weights that the mask hides are trained too."""

import contextlib

import tensorflow as tf

from tf_sparse_rl.sparsity import mask_updates, pruning


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class StraightThrough(pruning.MagnitudePruning):
  """Gradual pruning in which a pruned weight may come back.

  All weights are trained, each with the gradient of the network that computes
  with the largest of them only: it goes straight through the mask. At every
  train step the mask is chosen anew, of as many weights as a cubic ramp says.

  The SparseOptimizer keeps the values that the mask hides, so the layer's own
  weights are exactly 0 there. Slots of the optimizer are dense.

  Reference: Bengio et al. 2013, "Estimating or Propagating Gradients Through
  Stochastic Neurons"; JaxPruner's SteMagnitudePruning.
  """

  trains_hidden = True

  def __init__(self, prune_begin_train_step, prune_end_train_step):
    """Keeps the schedule.

    Args:
      prune_begin_train_step: first train step at which weights are hidden.
      prune_end_train_step: train step from which on the target is met.

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
    """Marks the largest weights, hidden ones among them."""
    everything = kernel._replace(mask=tf.ones_like(kernel.mask))
    choose = super().new_mask
    return tf.cond(
      train_step > self.prune_begin_train_step,
      lambda: choose(everything, target_sparsity, train_step, seed),
      lambda: everything.mask,  # No search for the largest of which all stay.
    )


def apply(updater, kernels, gradients, train_step, apply_inner):
  """One train step of weights and of what their masks hide.

  Args:
    updater: a StraightThrough.
    kernels: list of `mask_updates.SparseKernel` with hidden values.
    gradients: list of their dense gradients.
    train_step: int64 scalar, train steps done so far.
    apply_inner: function without arguments that updates all weights.

  Returns:
    What `apply_inner` returns.
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
  """Gives a weight the values that its mask hides."""
  del mask, gradient, constraint
  kernel.assign(kernel + hidden)


def _hide_one(
  kernel, mask, gradient, hidden, *, constraint, updater, train_step
):
  """Chooses the mask of a weight and keeps what it hides."""
  axes, shape = constraint.axes, kernel.shape
  new_mask = updater.new_mask(
    mask_updates.state_of(constraint, kernel, mask, gradient),
    constraint.target_sparsity,
    train_step,
    constraint.seed,
  )
  new_mask = tf.cast(axes.from_matrix(new_mask, shape), kernel.dtype)
  # No products, by which what is infinite would become NaN.
  everything = tf.convert_to_tensor(kernel)
  zeros = tf.zeros_like(everything)
  kernel.assign(tf.where(new_mask > 0, everything, zeros))
  hidden.assign(tf.where(new_mask > 0, zeros, everything))
  mask.assign(tf.cast(new_mask, mask.dtype))
