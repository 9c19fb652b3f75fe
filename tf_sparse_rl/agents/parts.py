"""What the training loop needs of an agent, whichever agent it is."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts


class Probe(NamedTuple):
  """What a diagnosis gives one network, and what it makes of its outputs.

  Outputs are those of the network's last Dense layer, `[batch, outputs]`.
  """

  inputs: tf.Tensor  # `[batch, inputs]`
  # outputs -> the loss of each sample, `[batch]`, without weight decay, so
  # that their mean is what the network is trained on.
  losses: Callable[[tf.Tensor], tf.Tensor]
  # outputs -> the value of each sample, `[batch]`; None for an actor.
  values: Callable[[tf.Tensor], tf.Tensor] | None = None


@dataclasses.dataclass(frozen=True)
class AgentParts:
  """A TF-Agents agent and the functions that act with it.

  Observations are float32 `[num_envs, observation_size]`, or uint8 images
  `[num_envs, *observation_shape]`; noise is float32 `[num_envs, noise_size]`.
  Rows are float32 `[batch, row size]` as the replay stores them; for images
  `to_transition` says what they are.
  """

  agent: tf_agent.TFAgent
  networks: dict  # {name: network}, those that are trained
  optimizers: dict  # {name: SparseOptimizer}, of the networks that are sparse
  policy_layers: list  # the layers from an observation to the greedy action
  # {name: forward passes that a train step costs for each transition}; going
  # backward costs one for the inputs and one for the weights.
  train_passes: dict
  noise_size: int  # random numbers that one action takes
  # (observations, noise) -> actions, for collection.
  explore: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
  # outputs of policy_layers -> actions.
  greedy_action: Callable[[tf.Tensor], tf.Tensor]
  # rows -> what the agent trains on.
  to_experience: Callable
  # LossInfo -> {TensorBoard tag: scalar}.
  scalars: Callable
  # (NumPy generator, num_envs) -> noise.
  sample_noise: Callable
  # rows -> {name of a network: Probe}, of the networks as they are.
  probes: Callable
  # How a rollout is prepared for training; None for agents with a replay.
  rollouts: object | None = None


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

  Args:
    batch: tensor `[batch, ...]`, the same in all replicas.

  Returns:
    Tensor `[batch / number of replicas, ...]`.
  """
  if num_replicas() == 1:
    return batch
  index = tf.distribute.get_replica_context().replica_id_in_sync_group
  size = batch.shape[0] // num_replicas()
  shares = tf.reshape(batch, [num_replicas(), size, *batch.shape[1:]])
  return shares[index]


def to_transition(env_spec):
  """A function that makes a TF-Agents Transition of replay rows.

  Args:
    env_spec: an EnvSpec.

  Returns:
    Function of rows, float32 `[batch, row size]` as the replay stores them. For
    images, of (observation, action, reward, discount, next_observation): uint8
    `[batch, *observation_shape]`, int32, float32 and float32 `[batch]`, and
    again images.
  """
  size, discrete = env_spec.observation_size, env_spec.num_actions is not None

  def cut(rows):
    observation, action, reward, discount, following = tf.split(
      rows, [size, env_spec.action_size, 1, 1, size], axis=1
    )
    if discrete:
      action = tf.cast(action[:, 0], tf.int32)
    return observation, action, reward[:, 0], discount[:, 0], following

  def transition(rows):
    if not env_spec.observation_shape:
      rows = cut(rows)
    observation, action, reward, discount, following = rows
    zeros = tf.zeros_like(reward)
    middle = tf.fill([reward.shape[0]], ts.StepType.MID)
    return trajectory.Transition(
      ts.TimeStep(middle, zeros, zeros + 1, observation),
      policy_step.PolicyStep(action),
      ts.TimeStep(middle, reward, discount, following),
    )

  return transition
