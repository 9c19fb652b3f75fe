"""The compiled functions of a run: act, and train then act."""

import contextlib
import functools
import math
import re

import numpy as np
import tensorflow as tf

from tf_sparse_rl import replay
from tf_sparse_rl.agents import parts as agent_parts


class Learner:
  """Calls an agent through as few graph calls as possible.

  In an env step with training, one call updates the agent on a batch and
  picks the next action with the updated network.

  Under a `tf.distribute` strategy each replica trains on its share of a batch;
  what acts is the first replica's network, which is that of all.
  """

  def __init__(self, parts, batch_size, row, observation, jit=False):
    """Compiles the functions, for the strategy in whose scope this is called.

    Args:
      parts: AgentParts.
      batch_size: transitions of a batch.
      row: what is trained on, of one transition: a TensorSpec, or a nest.
      observation: TensorSpec of one observation.
      jit: whether XLA compiles the train step. It would compile what acts anew
        for each number of observations.
    """
    self._parts = parts
    self._strategy = None
    if tf.distribute.has_strategy():
      self._strategy = tf.distribute.get_strategy()
    self._batch_size = batch_size
    observations = _many(None, observation)
    noise = tf.TensorSpec([None, parts.noise_size], tf.float32)
    rows = tf.nest.map_structure(lambda spec: _many(batch_size, spec), row)

    def function(f, jit=False):
      return tf.function(f, autograph=False, jit_compile=jit)

    self._compile_act = lambda: function(parts.explore).get_concrete_function(
      observations, noise
    )
    self._greedy = function(self._greedy_action).get_concrete_function(
      observations
    )
    optimizers = [o for o in parts.optimizers.values() if not o.masks_are_held]
    self._due_train_steps = _DueTrainSteps(optimizers)
    self._train_step = None  # Known once it trains: until then it may change.
    self._train = function(self._train_and_act, jit).get_concrete_function(
      rows, observations, noise
    )
    self._train_without_mask_update = self._train
    if optimizers:
      with contextlib.ExitStack() as stack:
        for optimizer in optimizers:
          stack.enter_context(optimizer.hold_masks())
        self._train_without_mask_update = function(
          self._train_and_act, jit
        ).get_concrete_function(rows, observations, noise)

  @functools.cached_property
  def _act(self):
    return self._compile_act()

  def act(self, observations, noise):
    """Actions for collection.

    Args:
      observations: `[num_envs, ...]`.
      noise: float32 `[num_envs, noise_size]`.

    Returns:
      NumPy array, `[num_envs, ...]`.
    """
    return self._act(tf.constant(observations), tf.constant(noise)).numpy()

  def act_greedily(self, observations):
    """The best actions as the network sees it; see `act`."""
    return self._greedy(tf.constant(observations)).numpy()

  def draw(self, buffer, rng):
    """A batch as the next train step gets one.

    Args:
      buffer: a Replay or a FrameReplay.
      rng: NumPy generator.

    Returns:
      What it samples.
    """
    return buffer.sample(self._batch_size, rng)

  @property
  def train_step(self):
    """Train steps so far."""
    if self._train_step is None:
      self._train_step = int(self._parts.agent.train_step_counter.numpy())
    return self._train_step

  def train_and_act(self, buffer, rng, observations, noise):
    """One train step, then actions for collection by the new weights.

    Args:
      buffer: see `draw`.
      rng: NumPy generator, of the batch.
      observations: see `act`.
      noise: see `act`.

    Returns:
      See `train_on`.

    Raises:
      FloatingPointError: if the loss is NaN or infinite.
    """
    rows = self.draw(buffer, rng)
    return self.train_on(rows, observations, noise)

  def train_on(self, rows, observations, noise):
    """One train step on given rows; see `train_and_act`.

    Args:
      rows: as `draw` returned them.
      observations: see `act`.
      noise: see `act`.

    Returns:
      (actions, scalars): see `act`; `{TensorBoard tag: float32 scalar
      tensor}`, with 'Losses/total_loss' among them.

    Raises:
      FloatingPointError: if the loss is NaN or infinite.
    """
    due = self.train_step in self._due_train_steps
    train = self._train if due else self._train_without_mask_update
    try:
      actions, scalars = train(
        tf.nest.map_structure(tf.constant, rows),
        tf.constant(observations),
        tf.constant(noise),
      )
    except tf.errors.InvalidArgumentError as error:
      # TF-Agents' own check; weights may have changed. XLA leaves it out.
      found = re.search(r'(\w+ l|L)oss is inf or nan', error.message)
      if not found:
        raise
      raise FloatingPointError(found[0]) from error
    total_loss = float(scalars['Losses/total_loss'])
    if not math.isfinite(total_loss):
      raise FloatingPointError(f'Loss is {total_loss}')
    self._train_step += 1
    return actions.numpy(), scalars

  def _greedy_action(self, observations):
    output = observations
    for layer in self._parts.policy_layers:
      output = layer(output)
    return self._parts.greedy_action(output)

  def _train_and_act(self, rows, observations, noise):
    scalars = self._train_once(rows)
    return self._parts.explore(observations, noise), scalars

  def _train_once(self, rows):
    if self._strategy is None:
      return self._train_replica(rows)
    of_replicas = self._strategy.run(self._train_replica, args=(rows,))
    return {
      tag: self._strategy.reduce(_reduction(tag), values, axis=None)
      for tag, values in of_replicas.items()
    }

  def _train_replica(self, rows):
    rows = tf.nest.map_structure(agent_parts.share_of_replica, rows)
    info = self._parts.agent.train(self._parts.to_experience(rows))
    return {'Losses/total_loss': info.loss, **self._parts.scalars(info)}


class RolloutLearner(Learner):
  """The same for PPO: a call trains on a whole rollout, in several epochs."""

  def __init__(self, parts, config, observation):
    """Compiles the functions.

    Args:
      parts: AgentParts with `rollouts`.
      config: a Config.
      observation: see Learner.
    """
    super().__init__(
      parts,
      config.batch_size,
      tf.TensorSpec([parts.rollouts.row_size]),
      observation,
      config.jit_compile,
    )
    self._num_epochs = config.num_epochs
    self._snapshot = None  # Of the policy, until it changes.

  def _train_and_act(self, rows, observations, noise):
    # It acts when all epochs are over.
    return observations, self._train_once(rows)

  def act(self, observations, noise):
    """See Learner; with the policy as it was when training had ended."""
    if self._snapshot is None:
      self._snapshot = self._parts.rollouts.snapshot()
    return self._snapshot(observations, noise)

  def draw(self, buffer, rng):
    """See Learner; `buffer` is a Rollout that is full."""
    rows = self._parts.rollouts.prepare(buffer.latest())
    return rows[rng.permutation(len(rows))[: self._batch_size]]

  def train_and_act(self, buffer, rng, observations, noise):
    """Trains on a rollout, batch by batch; see Learner.

    Args:
      buffer: a Rollout that is full.
      rng: NumPy generator, of the order in each epoch.
      observations: see Learner.
      noise: see Learner.

    Returns:
      See Learner; scalars are of the last batch.

    Raises:
      FloatingPointError: if a loss is NaN or infinite.
    """
    collected = buffer.latest()
    rows = self._parts.rollouts.prepare(collected)
    for _ in range(self._num_epochs):
      order = rng.permutation(len(rows)).reshape(-1, self._batch_size)
      for batch in order:
        _, scalars = self.train_on(rows[batch], observations, noise)
    self._parts.rollouts.learn_scales(collected)
    self._snapshot = None
    return self.act(observations, noise), scalars


def make(config, parts, buffer):
  """The learner of an agent.

  Args:
    config: a Config.
    parts: AgentParts.
    buffer: what it will train on, see `replay.make`.

  Returns:
    A Learner.
  """
  observation = parts.agent.time_step_spec.observation
  if parts.rollouts is not None:
    return RolloutLearner(parts, config, observation)
  flat = observation.shape.rank == 1
  row = tf.TensorSpec([buffer.row_size]) if flat else _row(observation)
  return Learner(parts, config.batch_size, row, observation, config.jit_compile)


def _row(observation):
  """Specs of a transition as a FrameReplay has it."""
  scalar = tf.TensorSpec([])
  return replay.Transitions(
    observation, tf.TensorSpec([], tf.int32), scalar, scalar, observation
  )


def _reduction(tag):
  """How a scalar of all replicas is made of those of each."""
  # TF-Agents divides the losses of a share by the size of the whole batch.
  is_loss = tag.startswith('Losses/')
  return tf.distribute.ReduceOp.SUM if is_loss else tf.distribute.ReduceOp.MEAN


def _many(size, spec):
  """Spec of `size` of something."""
  return tf.TensorSpec([size, *spec.shape], spec.dtype)


class _DueTrainSteps:
  """The train steps at which some optimizer changes masks, found in blocks."""

  _BLOCK = 4096

  def __init__(self, optimizers):
    self._optimizers = optimizers
    self._block, self._due = None, ()

  def __contains__(self, train_step):
    block, index = divmod(train_step, self._BLOCK)
    if block != self._block:
      steps = tf.range(self._BLOCK, dtype=tf.int64) + block * self._BLOCK
      due = [o.updater.is_due(steps).numpy() for o in self._optimizers]
      self._block, self._due = block, np.any(due, axis=0)
    return bool(self._due[index]) if self._optimizers else False
