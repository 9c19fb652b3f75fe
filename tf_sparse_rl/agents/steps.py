"""Pieces of a train step that all algorithms share."""

import tensorflow as tf
from tf_agents.utils import common

from tf_sparse_rl import sparsity


def mean_loss(losses, networks, weights):
  """The mean loss of a batch, and what regularizers of networks add.

  Args:
    losses: of the samples, `[batch]`, a replica's share of the batch.
    networks: those whose regularizers count.
    weights: of the samples, `[batch]`; None for ones.

  Returns:
    Scalar; those of all replicas add up to the loss of the whole batch.
  """
  regularization = [loss for network in networks for loss in network.losses]
  return common.aggregate_losses(
    per_example_loss=losses,
    sample_weight=weights,
    regularization_loss=regularization or None,
  ).total_loss


def descend(optimizer, tape, loss, owners, masks_may_change, name='Loss'):
  """One step of an optimizer down the gradient of a loss.

  Args:
    optimizer: any Keras optimizer.
    tape: the GradientTape that saw the loss being computed.
    loss: scalar.
    owners: list of networks, or of variables, that are trained.
    masks_may_change: whether a SparseOptimizer may update masks.
    name: what an error calls the loss if it is NaN or infinite.
  """
  tf.debugging.check_numerics(loss, f'{name} is inf or nan')
  variables = [
    variable
    for owner in owners
    for variable in getattr(owner, 'trainable_variables', [owner])
  ]
  gradients = zip(tape.gradient(loss, variables), variables)
  options = {}
  if isinstance(optimizer, sparsity.SparseOptimizer):
    options['masks_may_change'] = masks_may_change
  optimizer.apply_gradients(gradients, **options)


def every(period, train_step, action):
  """Does something at the multiples of a period, for all replicas at once.

  Args:
    period: train steps.
    train_step: variable, train steps so far.
    action: function without arguments that returns an operation.
  """

  def act(strategy=None):
    del strategy
    if period == 1:
      return action()
    is_due = tf.equal(train_step % period, 0)
    return tf.cond(is_due, action, tf.no_op)

  context = tf.distribute.get_replica_context()
  return act() if context is None else context.merge_call(act)
