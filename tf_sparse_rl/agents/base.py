"""`Agent`: the interface of agents to training, diagnostics and exports."""

import abc
import types
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_sparse_rl import replay
from tf_sparse_rl.agents import experience
from tf_sparse_rl.networks import heads, stack

# What `train` returns beside scalars of a weighted batch, `[batch]`.
PER_SAMPLE = 'Losses/per_sample'


class Probe(NamedTuple):
  """The inputs of one network in a train step, and its losses.

  Outputs are those of the network's last Dense layer, `[batch, outputs]`.
  """

  inputs: tf.Tensor | tuple  # as the network takes them, `[batch, inputs]`
  # outputs -> per-sample losses, `[batch]`, without weight decay; their mean is
  # the loss of the network.
  losses: Callable[[tf.Tensor], tf.Tensor]
  # outputs -> values, `[batch]`; None for an actor.
  values: Callable[[tf.Tensor], tf.Tensor] | None = None


class Agent(abc.ABC):
  """A TF-Agents agent with sparse networks.

  Observations are float32 `[num_envs, observation_size]`, or uint8 images
  `[num_envs, *observation_shape]`; noise is float32 `[num_envs, noise_size]`.
  Rows are a batch of the replay: float32 `[batch, row size]`, or for images
  Transitions.

  Attributes:
    env_spec: the EnvSpec of its environment.
    tf_agent: the TF-Agents agent; its `train` is the algorithm.
    networks: `{name: network}`, those that are trained. Target networks are
      not among them.
    optimizers: `{name of a sparse network: its SparseOptimizer}`.
    policy_layers: layers from an observation to the outputs from which
      `greedy_action` selects.
    train_passes: `{name: cost of a train step per transition, in forward
      passes}`; a backward pass costs one for the inputs and one for the
      weights.
    noise_size: number of random numbers per action.
    rollouts: a Rollouts for agents without a replay buffer, else None.
    descents: list of (optimizer, the networks or variables that it trains).
    scales: layers that normalize observations or rewards; not trained.
    candidates: `{name of a network: adaptive.Candidates}`, for adaptive
      pruning.
    targets: `{name of a network: its target network}`.
  """

  networks: dict
  optimizers: dict
  policy_layers: list
  train_passes: dict
  noise_size: int
  rollouts = None
  descents: list
  scales = ()
  candidates = types.MappingProxyType({})
  targets = types.MappingProxyType({})

  @abc.abstractmethod
  def act(self, observations, noise):
    """Computes actions for collection, `[num_envs, ...]`, from noise."""

  @abc.abstractmethod
  def greedy_action(self, outputs):
    """Selects actions `[num_envs, ...]` by the outputs of `policy_layers`."""

  @abc.abstractmethod
  def noise(self, rng, num_envs):
    """Draws noise for `act` from a NumPy generator."""

  def no_noise(self, num_envs):
    """The noise with which `act` chooses greedy actions."""
    return np.zeros((num_envs, self.noise_size), np.float32)

  def experience(self, rows):
    """Converts rows to the experience of the TF-Agents agent."""
    return experience.transition(self.env_spec, rows)

  @abc.abstractmethod
  def probes(self, rows):
    """Makes `{name of a network: Probe}` for rows and the current weights."""

  def see(self, observations):
    """Updates the statistics by which observations are normalized.

    Args:
      observations: `[num_envs, ...]`, the newest of each environment.
    """
    del observations

  def act_greedily(self, observations):
    """Computes greedy actions, `[num_envs, ...]`."""
    return self.greedy_action(stack.call(self.policy_layers, observations))

  def train(self, rows, masks_may_change=True):
    """Takes one train step.

    Args:
      rows: a batch, or the share of a replica; a `replay.Weighted` if the
        losses have weights.
      masks_may_change: whether the train step includes mask updates, and the
        dense gradients for later ones, if they are due. A step that is traced
        without them is faster.

    Returns:
      `{TensorBoard tag: float32 scalar}`, 'Losses/total_loss' among them; with
      weights also `PER_SAMPLE`.
    """
    weights = None
    if isinstance(rows, replay.Weighted):
      rows, weights = rows
    info = self.tf_agent.train(
      self.experience(rows), weights, masks_may_change=masks_may_change
    )
    return {'Losses/total_loss': info.loss, **info.extra}

  def initialize(self):
    """Copies `networks` to the target networks and sparser candidates."""
    self._copy_to_targets()
    for candidates in self.candidates.values():
      candidates.begin()

  def _copy_to_targets(self):
    self.tf_agent.initialize()

  @property
  def updates_masks(self):
    """Whether `train` updates masks at some train step."""
    moving = [optimizer.updates_masks for optimizer in self.optimizers.values()]
    return any(moving) or bool(self.candidates)

  def updates_masks_at(self, train_steps):
    """Whether `train` updates masks at train steps, int64 `[...]`."""
    return self._any_at(train_steps, lambda updater: updater.is_due)

  def prepares_masks_at(self, train_steps):
    """Whether mask updates use the gradients of train steps, int64 `[...]`."""
    return self._any_at(train_steps, lambda updater: updater.needs_gradient)

  def _any_at(self, train_steps, condition):
    """Whether a condition on train steps holds for any network's updater."""
    found = [
      self._is_at(name, train_steps, condition(optimizer.updater))
      for name, optimizer in self.optimizers.items()
      if optimizer.updates_masks
    ]
    found += [each.is_due(train_steps) for each in self.candidates.values()]
    return np.any(found, axis=0)

  def _is_at(self, name, train_steps, condition):
    """Evaluates a condition on a network's optimizer steps at train steps."""
    del name
    return condition(train_steps)

  def fused_step(self, batch_size):
    """Makes one native operation of `train` and `act`, which acts alone too.

    It is for train steps without mask updates. Its weights are those of `train`
    up to rounding.

    Args:
      batch_size: transitions of a batch.

    Returns:
      A `native.fused.TrainStep`; None if there is none for this agent.
    """
    del batch_size
    return None

  @property
  def train_step(self):
    """Number of train steps so far, an int."""
    return int(self.tf_agent.train_step_counter.numpy())

  @property
  def saved(self):
    """`{name: tf.Module}`, or dicts of them, to save in checkpoints."""
    return {'agent': self.tf_agent}


class ActorAgent(Agent):
  """An agent whose actor ends in a head, see `networks.heads`."""

  head: heads.Head

  @property
  def noise_size(self):
    return self.head.noise_size

  def act(self, observations, noise):
    return self.head.act(stack.call(self.policy_layers, observations), noise)

  def greedy_action(self, outputs):
    return self.head.mode(outputs)

  def noise(self, rng, num_envs):
    return self.head.noise(rng, num_envs)
