"""Pieces of a train step that all algorithms share."""

import tensorflow as tf
from tf_agents.utils import common

from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import optimizer_slots


def mean_loss(losses, networks, weights):
  """The mean of losses `[batch]`, and what regularizers of networks add.

  A replica has its share of the batch: the results of all replicas add up to
  the loss of the whole batch. `weights` are those of the samples, or None.
  """
  regularization = [loss for network in networks for loss in network.losses]
  return common.aggregate_losses(
    per_example_loss=losses,
    sample_weight=weights,
    regularization_loss=regularization or None,
  ).total_loss


def descend(optimizer, tape, loss, owners, name='Loss', *, masks_may_change):
  """One step of an optimizer down the gradient of a loss.

  Args:
    optimizer: any Keras optimizer.
    tape: the GradientTape that saw the loss being computed.
    loss: scalar.
    owners: list of networks, or of variables, that are trained.
    name: of the loss, for the error if it is NaN or infinite.
    masks_may_change: whether a SparseOptimizer may update masks.
  """
  tf.debugging.check_numerics(loss, f'{name} is inf or nan')
  variables = variables_of(owners)
  gradients = zip(tape.gradient(loss, variables), variables)
  options = {}
  if isinstance(optimizer, sparsity.SparseOptimizer):
    options['masks_may_change'] = masks_may_change
  optimizer.apply_gradients(gradients, **options)


def build_slots(descents):
  """Creates the slots of optimizers, so that a train step is traced once.

  TensorFlow traces a function anew if it made variables.

  Args:
    descents: list of (optimizer, owners), see `descend`.
  """
  for optimizer, owners in descents:
    if isinstance(optimizer, sparsity.SparseOptimizer):
      optimizer.build(variables_of(owners))
    else:
      optimizer_slots.build(optimizer, variables_of(owners))


def variables_of(owners):
  """The variables of networks, and what is one, in order."""
  return [
    variable
    for owner in owners
    for variable in getattr(owner, 'trainable_variables', [owner])
  ]


def every(period, train_step, action):
  """Runs `action` at multiples of a period, for all replicas at once."""

  def act(strategy=None):
    del strategy
    if period == 1:
      return action()
    is_due = tf.equal(train_step % period, 0)
    return tf.cond(is_due, action, tf.no_op)

  context = tf.distribute.get_replica_context()
  return act() if context is None else context.merge_call(act)
