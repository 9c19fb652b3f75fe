"""The compiled functions of a run: act, and train then act."""

import functools

import numpy as np
import tensorflow as tf

from tf_sparse_rl import replay
from tf_sparse_rl.agents import base, replicas
from tf_sparse_rl.training import prioritized, train_step


class Learner:
  """Calls an agent with as few graph calls as possible.

  Under a `tf.distribute` strategy each replica trains on its part of a batch;
  the network of the first replica acts, since all are equal.
  """

  def __init__(self, agent, batch_size, observation):
    """Compiles the policies.

    Args:
      agent: a `base.Agent`.
      batch_size: transitions of a batch.
      observation: TensorSpec of one observation.
    """
    self._agent = agent
    self._batch_size = batch_size
    self._priorities = None
    self._observations = _many(None, observation)
    self._noise = tf.TensorSpec([None, agent.noise_size], tf.float32)

  @functools.cached_property
  def _greedy(self):
    return train_step.compiled(self._agent.act_greedily, self._observations)

  @functools.cached_property
  def _act(self):
    return train_step.compiled(self._agent.act, self._observations, self._noise)

  def act(self, observations, noise):
    """Computes actions for collection, a NumPy array `[num_envs, ...]`.

    Args:
      observations: `[num_envs, ...]`.
      noise: float32 `[num_envs, noise_size]`.
    """
    return self._act(tf.constant(observations), tf.constant(noise)).numpy()

  def act_greedily(self, observations):
    """Computes greedy actions; see `act`."""
    return self._greedy(tf.constant(observations)).numpy()

  @property
  def train_step(self):
    """Train steps so far."""
    return self._train_step.count

  @property
  def first_huge_loss(self):
    """(train step, value) of the first loss above 1e15, or None."""
    return self._train_step.first_huge_loss

  @property
  def is_fused(self):
    """Whether train steps without mask updates are one operation."""
    return self._train_step.is_fused

  @property
  def saved(self):
    """`{name: tf.Module}` of what checkpoints hold besides the agent."""
    return self._priorities.saved if self._priorities else {}

  def networks_change(self):
    """Is told before others write to the variables of networks."""
    self._train_step.wake()

  def masks_changed(self):
    """Whether masks may have changed since the last call."""
    changed, self._train_step.masks_changed = self._train_step.masks_changed, 0
    return bool(changed)


class ReplayLearner(Learner):
  """Trains on batches of a replay buffer.

  In an env step with training, one call updates the agent on a batch and
  picks the next action with the updated network.
  """

  def __init__(
    self, agent, batch_size, row, observation, jit=False, priorities=None
  ):
    """Compiles the functions, for the strategy in whose scope this is called.

    Args:
      agent: a `base.Agent`.
      batch_size: transitions of a batch.
      row: spec of one transition: a TensorSpec, or a nest.
      observation: TensorSpec of one observation.
      jit: whether XLA compiles the train step. It never compiles the policies,
        which would be recompiled for each number of observations.
      priorities: a `prioritized.Prioritized`; None for uniform sampling.
    """
    super().__init__(agent, batch_size, observation)
    self._priorities = priorities
    if priorities:
      row = replay.Weighted(row, tf.TensorSpec([]))
    train = _on_replicas(agent)

    def train_and_act(masks_may_change):
      def train_and_act(rows, observations, noise):
        scalars = train(masks_may_change)(rows)
        return agent.act(observations, noise), scalars

      return train_and_act

    rows = tf.nest.map_structure(lambda spec: _many(batch_size, spec), row)
    specs = rows, self._observations, self._noise
    fused = None if jit else agent.fused_step(batch_size)
    self._train_step = train_step.TrainStep(
      agent, train_and_act, specs, jit, fused
    )

  def act(self, observations, noise):
    if not self.is_fused:
      return super().act(observations, noise)
    return self._train_step.act(observations, noise).numpy()

  def act_greedily(self, observations):
    if not self.is_fused:
      return super().act_greedily(observations)
    # TensorFlow would need dense kernels and masks.
    return self.act(observations, self._agent.no_noise(len(observations)))

  def draw(self, buffer, rng):
    """Draws a batch uniformly, with a NumPy generator."""
    return buffer.sample(self._batch_size, rng)

  def train_and_act(self, buffer, rng, observations, noise):
    """Takes a train step on a batch of a buffer; see `train_on`."""
    if not self._priorities:
      return self.train_on(self.draw(buffer, rng), observations, noise)
    rows, numbers = self._priorities.draw(self.train_step)
    actions, scalars = self.train_on(rows, observations, noise)
    self._priorities.update(numbers, scalars.pop(base.PER_SAMPLE))
    return actions, scalars

  def train_on(self, rows, observations, noise):
    """Takes a train step on given rows, then acts with the new weights.

    Args:
      rows: as `draw` returned them, or Weighted.
      observations: see `act`.
      noise: see `act`.

    Returns:
      (actions, scalars): see `act`; `{TensorBoard tag: float32 scalar
      tensor}`, with 'Losses/total_loss' among them, and with priorities
      `base.PER_SAMPLE`.

    Raises:
      FloatingPointError: if the loss is NaN or infinite.
    """
    if self._priorities and not isinstance(rows, replay.Weighted):
      rows = replay.Weighted(rows, np.ones(self._batch_size, np.float32))
    actions, scalars = self._train_step(rows, observations, noise)
    return actions.numpy(), scalars


class RolloutLearner(Learner):
  """Trains on whole rollouts, in several epochs."""

  def __init__(self, agent, config, observation):
    """Compiles the train step of an agent with `rollouts`; see Learner."""
    super().__init__(agent, config.batch_size, observation)
    rows = tf.TensorSpec([config.batch_size, agent.rollouts.row_size])
    jit = config.jit_compile
    fused = None if jit else agent.fused_step(config.batch_size)
    self._train_step = train_step.RolloutTrainStep(
      agent, _on_replicas(agent), (rows,), jit, fused
    )
    self._num_epochs = config.num_epochs
    self._snapshot = None  # Of the policy, until it changes.

  def act(self, observations, noise):
    """Computes actions of the policy after the last training."""
    if self._snapshot is None:
      self._snapshot = self._agent.rollouts.snapshot()
    return self._snapshot(observations, noise)

  def networks_change(self):
    super().networks_change()
    self._snapshot = None

  def draw(self, buffer, rng):
    """Draws a batch of a full Rollout with a NumPy generator."""
    rows = self._agent.rollouts.prepare(buffer.latest())
    return rows[rng.permutation(len(rows))[: self._batch_size]]

  def train_and_act(self, buffer, rng, observations, noise):
    """Trains on a full Rollout for several epochs, then acts.

    The generator shuffles each epoch; scalars are those of the last batch.
    """
    collected = buffer.latest()
    rows = self._agent.rollouts.prepare(collected)
    epochs = [rng.permutation(len(rows)) for _ in range(self._num_epochs)]
    batches = np.concatenate(epochs).reshape(-1, self._batch_size)
    scalars = self._train_step.on_batches(rows, batches)
    self._agent.rollouts.learn_scales(collected)
    self._snapshot = None
    return self.act(observations, noise), scalars

  def train_on(self, rows):
    """Takes a train step on a batch of prepared rows; returns its scalars."""
    return self._train_step.on_batches(rows, np.arange(len(rows))[np.newaxis])


def make(config, agent, buffer):
  """Makes the learner of an agent.

  Args:
    config: a Config.
    agent: a `base.Agent`.
    buffer: see `replay.make`.

  Returns:
    A Learner.
  """
  observation = agent.tf_agent.time_step_spec.observation
  if agent.rollouts is not None:
    return RolloutLearner(agent, config, observation)
  flat = observation.shape.rank == 1
  if flat:
    row = tf.TensorSpec([buffer.row_size])
  else:
    row = _row(observation, agent.tf_agent.action_spec)
  return ReplayLearner(
    *(agent, config.batch_size, row, observation, config.jit_compile),
    prioritized.make(config, buffer),
  )


def _row(observation, action):
  """Specs of a transition of a FrameReplay."""
  scalar = tf.TensorSpec([])
  return replay.Transitions(observation, action, scalar, scalar, observation)


def _on_replicas(agent):
  """Train step on all replicas: masks_may_change -> (rows -> scalars)."""
  # Not a function of both: compiled, it costs more where arguments are bound.
  strategy = None
  if tf.distribute.has_strategy():
    strategy = tf.distribute.get_strategy()

  def train(masks_may_change):
    def train_share(rows):
      rows = tf.nest.map_structure(replicas.share_of_replica, rows)
      return agent.train(rows, masks_may_change)

    def train_shares(rows):
      of_replicas = strategy.run(train_share, args=(rows,))
      return {
        tag: strategy.reduce(_reduction(tag), values, axis=None)
        for tag, values in of_replicas.items()
      }

    return train_share if strategy is None else train_shares

  return train


def _reduction(tag):
  """The reduction of a scalar over replicas."""
  # TF-Agents divides the losses of a share by the size of the whole batch.
  is_loss = tag.startswith('Losses/')
  return tf.distribute.ReduceOp.SUM if is_loss else tf.distribute.ReduceOp.MEAN


def _many(size, spec):
  """Spec of `size` of something."""
  return tf.TensorSpec([size, *spec.shape], spec.dtype)
