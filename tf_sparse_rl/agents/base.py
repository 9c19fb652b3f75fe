"""`Agent`: what the training loop, diagnoses and exports ask of an agent."""

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
  """The inputs of one network in a train step, and what it learns from them.

  Outputs are those of the network's last Dense layer, `[batch, outputs]`.
  """

  inputs: tf.Tensor | tuple  # as the network takes them, `[batch, inputs]`
  # outputs -> the loss of each sample, `[batch]`, without weight decay, so
  # that their mean is what the network is trained on.
  losses: Callable[[tf.Tensor], tf.Tensor]
  # outputs -> the value of each sample, `[batch]`; None for an actor.
  values: Callable[[tf.Tensor], tf.Tensor] | None = None


class Agent(abc.ABC):
  """A TF-Agents agent of sparse networks, and how to act and train with it.

  Observations are float32 `[num_envs, observation_size]`, or uint8 images
  `[num_envs, *observation_shape]`; noise is float32 `[num_envs, noise_size]`.
  Rows are what the agent trains on: float32 `[batch, row size]`, or for images
  the replay's Transitions.

  Attributes:
    env_spec: the EnvSpec that it acts in.
    tf_agent: the TF-Agents agent; its `train` is the algorithm.
    networks: `{name: network}`, those that are trained.
    optimizers: `{name of a sparse network: its SparseOptimizer}`.
    policy_layers: the layers from an observation to the greedy action.
    train_passes: `{name: forward passes that a train step costs for each
      transition}`; going backward costs one for the inputs and one for the
      weights.
    noise_size: random numbers that one action takes.
    rollouts: a Rollouts for agents without a replay, else None.
    descents: list of (optimizer, the networks or variables that it trains).
    scales: layers that scale what networks take or learn from, not trained.
    candidates: `{name of a network: adaptive.Candidates}` of those that are
      trained beside sparser copies.
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
    """Actions for collection, `[num_envs, ...]`, by noise."""

  @abc.abstractmethod
  def greedy_action(self, outputs):
    """The best actions by the outputs of `policy_layers`, `[num_envs, ...]`."""

  @abc.abstractmethod
  def noise(self, rng, num_envs):
    """Noise for `act`, from a NumPy generator."""

  def experience(self, rows):
    """Rows as the TF-Agents agent trains on them."""
    return experience.transition(self.env_spec, rows)

  @abc.abstractmethod
  def probes(self, rows):
    """`{name of a network: Probe}` of rows, of the networks as they are."""

  def see(self, observations):
    """Takes what collection came to see into what scales observations.

    Args:
      observations: `[num_envs, ...]`, of an env step of each environment, from
        which the next actions are chosen.
    """
    del observations

  def act_greedily(self, observations):
    """The best actions, `[num_envs, ...]`."""
    return self.greedy_action(stack.call(self.policy_layers, observations))

  def train(self, rows, masks_may_change=True):
    """One train step.

    Args:
      rows: a batch, or the share of a replica; a `replay.Weighted` if the
        losses have weights.
      masks_may_change: whether masks are updated if an update is due, or
        prepared for one. A step that is traced without is faster.

    Returns:
      `{TensorBoard tag: float32 scalar}`, 'Losses/total_loss' among them.
    """
    weights = None
    if isinstance(rows, replay.Weighted):
      rows, weights = rows
    info = self.tf_agent.train(
      self.experience(rows), weights, masks_may_change=masks_may_change
    )
    return {'Losses/total_loss': info.loss, **info.extra}

  def initialize(self):
    """Makes what are copies of `networks` anew: targets, sparser copies."""
    self.tf_agent.initialize()
    for candidates in self.candidates.values():
      candidates.begin()

  @property
  def updates_masks(self):
    """Whether `train` updates masks at some train step."""
    moving = [optimizer.updates_masks for optimizer in self.optimizers.values()]
    return any(moving) or bool(self.candidates)

  def updates_masks_at(self, train_steps):
    """Whether `train` updates masks, at each of int64 `[...]` train steps."""
    return self._any_at(train_steps, lambda updater: updater.is_due)

  def prepares_masks_at(self, train_steps):
    """The same of train steps whose gradients count in an update too."""
    return self._any_at(train_steps, lambda updater: updater.needs_gradient)

  def _any_at(self, train_steps, condition):
    """Whether a function of train steps is true of some network's updater."""
    found = [
      self._is_at(name, train_steps, condition(optimizer.updater))
      for name, optimizer in self.optimizers.items()
      if optimizer.updates_masks
    ]
    found += [each.is_due(train_steps) for each in self.candidates.values()]
    return np.any(found, axis=0)

  def _is_at(self, name, train_steps, condition):
    """A condition of the steps of a network's optimizer, at train steps."""
    del name
    return condition(train_steps)

  def fused_step(self, batch_size):
    """`train`, then `act`, as one native operation.

    For train steps without updates of masks. Same weights as `train` to
    rounding.

    Args:
      batch_size: transitions of a batch.

    Returns:
      A `native.fused.TrainStep`; None where `train` has to do it.
    """
    del batch_size
    return None

  @property
  def train_step(self):
    """Train steps so far, an int."""
    return int(self.tf_agent.train_step_counter.numpy())

  @property
  def saved(self):
    """`{name: tf.Module}`, or dicts of them: what a checkpoint holds."""
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
