"""Helpers for agents on the replicas of a `tf.distribute` strategy."""

import tensorflow as tf


def train_step_counter():
  """Makes the counter of an agent's train steps; each replica increments it."""
  return tf.Variable(
    0,
    dtype=tf.int64,
    name='train_step',
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )


def num_replicas():
  """Returns the number of replicas in the current context."""
  context = tf.distribute.get_replica_context()
  # In the cross-replica context batches are whole.
  return 1 if context is None else context.num_replicas_in_sync


def share_of_replica(batch):
  """Slices the current replica's share of a batch.

  The batch is a tensor `[batch, ...]`, equal on all replicas.
  """
  if num_replicas() == 1:
    return batch
  index = tf.distribute.get_replica_context().replica_id_in_sync_group
  size = batch.shape[0] // num_replicas()
  shares = tf.reshape(batch, [num_replicas(), size, *batch.shape[1:]])
  return shares[index]
