"""Pieces for agents on the replicas of a `tf.distribute` strategy."""

import tensorflow as tf


def train_step_counter():
  """The counter of an agent's train steps, which each replica counts."""
  return tf.Variable(
    0,
    dtype=tf.int64,
    name='train_step',
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )


def num_replicas():
  """How many replicas share the batch of what is being traced."""
  context = tf.distribute.get_replica_context()
  # There is none around the replicas, where batches are whole.
  return 1 if context is None else context.num_replicas_in_sync


def share_of_replica(batch):
  """The part of a batch that falls to the replica that is being traced.

  The batch is a tensor `[batch, ...]`, the same in all replicas.
  """
  if num_replicas() == 1:
    return batch
  index = tf.distribute.get_replica_context().replica_id_in_sync_group
  size = batch.shape[0] // num_replicas()
  shares = tf.reshape(batch, [num_replicas(), size, *batch.shape[1:]])
  return shares[index]
