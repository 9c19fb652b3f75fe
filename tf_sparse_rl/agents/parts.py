"""What the training loop needs of an agent, whichever agent it is."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf
from tf_agents.agents import tf_agent


@dataclasses.dataclass(frozen=True)
class AgentParts:
  """A TF-Agents agent and the functions that act with it.

  Observations are float32 `[num_envs, observation_size]`, noise float32
  `[num_envs, noise_size]`, rows float32 `[batch, row size]` as the replay
  stores them.
  """

  agent: tf_agent.TFAgent
  networks: dict  # {name: network}, those that are trained
  optimizers: dict  # {name: SparseOptimizer}, of the networks that are sparse
  policy_layers: list  # the layers from an observation to the greedy action
  noise_size: int  # random numbers that one action takes
  # (observations, noise) -> actions, for collection.
  explore: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
  # outputs of policy_layers -> actions.
  greedy_action: Callable[[tf.Tensor], tf.Tensor]
  # rows -> what the agent trains on.
  to_experience: Callable
  # LossInfo -> {name: scalar} for TensorBoard's Losses/.
  losses: Callable
  # (NumPy generator, num_envs) -> noise.
  sample_noise: Callable
