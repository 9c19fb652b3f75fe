"""Parts of a train step that all algorithms share."""

import tensorflow as tf
from tf_agents.utils import common

from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import optimizer_slots


def mean_loss(losses, networks, weights):
  """Averages losses `[batch]` and adds regularization losses of networks.

  A replica has its share of the batch: the results of all replicas sum to the
  loss of the whole batch. `weights` are per-sample weights or None.
  """
  regularization = [loss for network in networks for loss in network.losses]
  return common.aggregate_losses(
    per_example_loss=losses,
    sample_weight=weights,
    regularization_loss=regularization or None,
  ).total_loss


def descend(optimizer, tape, loss, owners, name='Loss', *, masks_may_change):
  """Takes a step of an optimizer along the negative gradient of a loss.

  Args:
    optimizer: any Keras optimizer.
    tape: the GradientTape that recorded the loss.
    loss: scalar.
    owners: list of networks or variables to train.
    name: of the loss, in the error if it is NaN or infinite.
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
  """Creates the slots of optimizers before a train step is traced.

  TensorFlow traces a function twice if it creates variables.

  Args:
    descents: list of (optimizer, owners), see `descend`.
  """
  for optimizer, owners in descents:
    if isinstance(optimizer, sparsity.SparseOptimizer):
      optimizer.build(variables_of(owners))
    else:
      optimizer_slots.build(optimizer, variables_of(owners))


def variables_of(owners):
  """Lists the variables of networks, and given variables, in order."""
  return [
    variable
    for owner in owners
    for variable in getattr(owner, 'trainable_variables', [owner])
  ]


def every(period, train_step, action):
  """Calls `action` at multiples of a period, once for all replicas."""

  def act(strategy=None):
    del strategy
    if period == 1:
      return action()
    is_due = tf.equal(train_step % period, 0)
    return tf.cond(is_due, action, tf.no_op)

  context = tf.distribute.get_replica_context()
  return act() if context is None else context.merge_call(act)
