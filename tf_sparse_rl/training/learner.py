"""The compiled functions of a run: act, and train then act."""

import math

import tensorflow as tf


class Learner:
  """Calls an agent through as few graph calls as possible.

  In an env step with training, one call updates the agent on a batch and
  picks the next action with the updated network.
  """

  def __init__(self, parts, batch_size, row_size, observation_size, jit=False):
    """Compiles the functions.

    Args:
      parts: AgentParts.
      batch_size: transitions of a batch.
      row_size: entries of a replay row.
      observation_size: entries of an observation.
      jit: whether XLA compiles them.
    """
    self._parts = parts
    observations = tf.TensorSpec([None, observation_size], tf.float32)
    noise = tf.TensorSpec([None, parts.noise_size], tf.float32)
    rows = tf.TensorSpec([batch_size, row_size], tf.float32)

    def function(f):
      return tf.function(f, autograph=False, jit_compile=jit)

    self._act = function(parts.explore).get_concrete_function(
      observations, noise
    )
    self._greedy = function(self._greedy_action).get_concrete_function(
      observations
    )
    self._train = function(self._train_and_act).get_concrete_function(
      rows, observations, noise
    )

  def act(self, observations, noise):
    """Actions for collection.

    Args:
      observations: float32 `[num_envs, observation_size]`.
      noise: float32 `[num_envs, noise_size]`.

    Returns:
      NumPy array, `[num_envs, ...]`.
    """
    return self._act(tf.constant(observations), tf.constant(noise)).numpy()

  def act_greedily(self, observations):
    """The best actions as the network sees it; see `act`."""
    return self._greedy(tf.constant(observations)).numpy()

  def train_and_act(self, rows, observations, noise):
    """One train step, then actions for collection by the new weights.

    Args:
      rows: float32 `[batch_size, row_size]`.
      observations: see `act`.
      noise: see `act`.

    Returns:
      (actions, losses): see `act`; `{name: float32 scalar tensor}`.

    Raises:
      FloatingPointError: if the loss is NaN or infinite.
    """
    try:
      actions, losses = self._train(
        tf.constant(rows), tf.constant(observations), tf.constant(noise)
      )
    except tf.errors.InvalidArgumentError as error:
      # TF-Agents' own check, before weights change. XLA leaves it out.
      if 'Loss is inf or nan' not in error.message:
        raise
      raise FloatingPointError('total_loss is inf or nan') from error
    if not math.isfinite(float(losses['total_loss'])):
      raise FloatingPointError(f'total_loss is {float(losses["total_loss"])}')
    return actions.numpy(), losses

  def _greedy_action(self, observations):
    output = observations
    for layer in self._parts.policy_layers:
      output = layer(output)
    return self._parts.greedy_action(output)

  def _train_and_act(self, rows, observations, noise):
    info = self._parts.agent.train(self._parts.to_experience(rows))
    losses = {'total_loss': info.loss, **self._parts.losses(info)}
    return self._parts.explore(observations, noise), losses
