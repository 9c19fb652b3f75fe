"""Updates the masks of all sparse kernels of an optimizer."""

import tensorflow as tf

from tf_sparse_rl.native import resting
from tf_sparse_rl.sparsity import (
  dropping_and_growing,
  optimizer_slots,
  structures,
  updater_base,
)


class SparseKernel:
  """A sparse kernel with its mask and optimizer variables."""

  def __init__(self, kernel, slots, hidden=None, gathered=None):
    self.kernel = kernel
    self.constraint = kernel.constraint
    self.slots = slots  # slots of the optimizer that are 0 where the mask is
    self.hidden = hidden  # variable of the values where the mask is 0, or None
    self.gathered = gathered  # variable of the sum of gradients, or None

  @property
  def mask(self):
    return self.constraint.mask


def sparse_kernel(optimizer, variable, slots):
  """Creates a SparseKernel; its slots become 0 where the mask is.

  Args:
    optimizer: a SparseOptimizer.
    variable: variable of a sparse weight.
    slots: its slots in the inner optimizer, variables.

  Returns:
    A SparseKernel.
  """
  if optimizer.updater.trains_hidden:
    hidden = optimizer.add_variable_from_reference(variable, 'hidden')
    return SparseKernel(variable, [], hidden)
  inner = optimizer.inner_optimizer
  slots = [slot for slot in slots if optimizer_slots.may_be_zero(inner, slot)]
  gathered = None
  if optimizer.updater.grow_batches > 1:
    gathered = optimizer.add_variable_from_reference(variable, 'gathered')
  kernel = SparseKernel(variable, slots, gathered=gathered)
  for slot in slots:
    # Most are 0 already; Adagrad's accumulator starts above.
    if not tf.executing_eagerly() or resting.active(slot).any():
      slot.assign(slot * kernel.mask)
  return kernel


def update_if_due(updater, kernels, gradients, train_step):
  """Updates the masks on all replicas if an update is due.

  Args:
    updater: a MaskUpdater.
    kernels: list of SparseKernel.
    gradients: list of their dense gradients.
    train_step: int64 scalar, train steps done so far.
  """
  needs_gradient = updater.needs_gradient(train_step)

  def update_all(strategy, gradients):
    def update():
      if_due(updater, kernels, gradients, train_step, update_now)
      return tf.constant(True)

    def update_now(gradients):
      found = shares(updater, kernels, gradients, train_step)
      for kernel, gradient, share in zip(kernels, gradients, found):
        strategy.extended.update(
          kernel.kernel,
          update_one,
          args=(kernel.mask, gradient, train_step, *kernel.slots),
          kwargs={
            'updater': updater,
            'constraint': kernel.constraint,
            'share': share,
          },
          group=False,
        )

    # A cond is allowed only here, in the cross-replica context.
    return tf.cond(needs_gradient, update, lambda: tf.constant(False))

  # As Keras' own optimizers do.
  tf.__internal__.distribute.interim.maybe_merge_call(
    update_all, tf.distribute.get_strategy(), gradients
  )


def if_due(updater, kernels, gradients, train_step, update):
  """Updates with the mean of gradients if due, else adds up gradients.

  Args:
    updater: a MaskUpdater that needs the gradients of this train step.
    kernels: list of SparseKernel.
    gradients: list of their dense gradients.
    train_step: int64 scalar.
    update: function of a list of gradients, called if an update is due.
  """
  if updater.grow_batches == 1:
    update(gradients)
    return
  extended = tf.distribute.get_strategy().extended
  gathered = [kernel.gathered for kernel in kernels]
  for variable, gradient in zip(gathered, gradients):
    extended.update(variable, _add, args=(gradient,), group=False)

  def update_by_means():
    count = tf.minimum(train_step + 1, updater.grow_batches)
    for variable in gathered:
      extended.update(variable, _divide, args=(count,), group=False)
    update(gathered)
    for variable in gathered:
      extended.update(variable, _clear, group=False)
    return tf.constant(True)

  is_due = updater.is_due(train_step)
  tf.cond(is_due, update_by_means, lambda: tf.constant(False))


def _add(gathered, gradient):
  gathered.assign_add(gradient)


def _divide(gathered, count):
  gathered.assign(gathered / tf.cast(count, gathered.dtype))


def _clear(gathered):
  gathered.assign(tf.zeros_like(gathered))


def shares(updater, kernels, gradients, train_step):
  """Returns the `shares` of all kernels; see `MaskUpdater.shares`."""
  local = tf.distribute.get_strategy().experimental_local_results
  states = [
    state_of(k.constraint, *(local(x)[0] for x in (k.kernel, k.mask, gradient)))
    for k, gradient in zip(kernels, gradients)
  ]
  targets = [k.constraint.target_sparsity for k in kernels]
  found = updater.shares(states, targets, train_step)
  return [None] * len(kernels) if found is None else found


def update_one(
  kernel, mask, gradient, train_step, *slots, updater, constraint, share
):
  """Updates the mask of one kernel and sets inactive weights and slots to 0.

  Args:
    kernel: variable, on one device.
    mask: its mask, a variable.
    gradient: its dense gradient.
    train_step: int64 scalar.
    *slots: its slots, variables.
    updater: a MaskUpdater.
    constraint: its MaskConstraint.
    share: result of `shares` for this kernel.
  """
  axes, shape = constraint.axes, kernel.shape
  state = state_of(constraint, kernel, mask, gradient)._replace(share=share)
  new = new_mask(updater, constraint, state, train_step)
  stays = axes.from_matrix(state.mask * new, shape)
  new = axes.from_matrix(new, shape)
  with constraint.trusted():
    for variable in (kernel, *slots):
      variable.assign(variable * tf.cast(stays, kernel.dtype))
    mask.assign(tf.cast(new, mask.dtype))


def new_mask(updater, constraint, state, train_step):
  """The mask of one kernel after an update, `[..., inputs, units]`."""
  return updater.new_mask(
    state, constraint.target_sparsity, train_step, constraint.seed
  )


def is_layer_by_layer(updater):
  """Whether an updater chooses masks by one train step of each layer alone."""
  shares = type(updater).shares
  return (
    shares is updater_base.MaskUpdater.shares
    and updater.grow_batches == 1
    and not updater.trains_hidden
  )


def is_rigl(updater, constraint):
  """Whether a kernel's masks are those of plain RigL without a structure."""
  own = {'drop_scores', 'grow_scores', 'new_mask'}
  return (
    type(updater) is dropping_and_growing.RigL
    and not own & vars(updater).keys()
    and type(constraint.structure) is structures.Blocks
    and not constraint.structure.has_pattern
    and len(constraint.mask.shape) == 2
  )


def state_of(constraint, kernel, mask, gradient):
  """Returns the KernelState of a kernel, its mask and its gradient."""
  values = (
    tf.cast(tf.convert_to_tensor(x), tf.float32)
    for x in (kernel, mask, gradient)
  )
  return updater_base.KernelState(
    *map(constraint.axes.to_matrix, values), constraint.structure
  )
