"""Prepares collected rollouts for the training of PPO."""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from tf_sparse_rl.agents import network_layers
from tf_sparse_rl.networks import normalizer, stack
from tf_sparse_rl.replay import rows as rows_lib

_CLIP_REWARD = 10.0  # Standard deviations; the paper's.
_IMAGES_AT_ONCE = 256


class Rollouts(tf.Module):
  """Normalizes observations and rewards; computes advantages and returns."""

  def __init__(self, config, env_spec, actor_layers, head, value_layers):
    """Takes the built layers of the actor, without its head, and of the value.

    The head is a `heads.Gaussian` or a `heads.Categorical`.
    """
    super().__init__(name='rollouts')
    self._config = config
    self._actor_layers, self._value_layers = actor_layers, value_layers
    self._head = head
    self._collected = rows_lib.rollout(env_spec)
    self._prepared = rows_lib.prepared_rollout(env_spec, head.num_parameters)
    size, self._shape = env_spec.observation_size, env_spec.observation_shape
    self.scaling = network_layers.scaling(env_spec)
    if self.scaling:  # Its name in checkpoints.
      [self.normalizer] = self.scaling
    self.reward_normalizer = normalizer.Normalizer(
      _CLIP_REWARD, center=False, name='rewards'
    )
    self.reward_normalizer.build([None])
    observations = tf.TensorSpec([None, size], tf.float32)
    rewards = tf.TensorSpec([None], tf.float32)
    self._predict = tf.function(
      self._predictions, [observations, observations, rewards], autograph=False
    )
    self._learn = tf.function(
      self._learn_scales, [observations, rewards], autograph=False
    )
    scaled = tf.TensorSpec([None, *self._shape], tf.uint8)
    self._actor_outputs = tf.function(
      lambda scaled: stack.call(actor_layers, scaled),
      [scaled if self._shape else observations],
      autograph=False,
    )

  @property
  def row_size(self):
    """Number of entries of a row of `prepare`."""
    return self._prepared.size

  def prepare(self, rows):
    """Computes the rows to train on, see `rows.prepared_rollout`.

    Args:
      rows: result of `Rollout.latest`, `[env steps, ...]`, of `num_envs`
        environments in turn.

    Returns:
      float32 `[env steps, row_size]`.
    """
    config, columns = self._config, self._collected.split(rows)
    # Convolutions of a whole rollout at once may not fit into memory.
    block = _IMAGES_AT_ONCE if self._shape else len(rows)
    predictions = [
      self._predict(
        columns['observation'][i : i + block],
        columns['next_observation'][i : i + block],
        columns['reward'][i : i + block, 0],
      )
      for i in range(0, len(rows), block)
    ]
    scaled, rewards, values, next_values, parameters = (
      np.concatenate(parts) for parts in zip(*predictions)
    )
    discounts, over = columns['discount'][:, 0], columns['over'][:, 0]
    errors = rewards + config.gamma * discounts * next_values - values
    decays = config.gamma * config.gae_lambda * (1 - over)
    # Each environment by itself.
    advantages = generalized_advantages(
      errors.reshape(-1, config.num_envs), decays.reshape(-1, config.num_envs)
    ).ravel()
    return self._prepared.join(
      observation=scaled,
      action=columns['action'],
      returns=(advantages + values)[:, np.newaxis],
      advantage=advantages[:, np.newaxis],
      value=values[:, np.newaxis],
      parameters=parameters,
    )

  def snapshot(self):
    """Copies the current policy to NumPy, for the collection of a rollout.

    For small networks the call of a graph takes many times longer than their
    arithmetic. Custom layers are called in a graph; they do not change while a
    rollout is collected.

    Returns:
      Function of observations and noise to actions; see `Agent.act`.
    """
    act = self._head.snapshot()
    scales = [scale.snapshot() for scale in self.scaling]
    layers = [_snapshot(layer) for layer in self._actor_layers]

    def explore(observations, noise):
      outputs = observations
      for scale in scales:
        outputs = scale(outputs)
      if None in layers:
        return act(self._actor_outputs(tf.constant(outputs)).numpy(), noise)
      for kernel, bias, activation in layers:
        # Faster than `@` for few observations.
        outputs = activation(outputs.dot(kernel) + bias)
      return act(outputs, noise)

    return explore

  def learn_scales(self, rows):
    """Updates the normalization by a rollout, see `prepare`."""
    columns = self._collected.split(rows)
    self._learn(columns['observation'], columns['reward'][:, 0])

  def to_experience(self, rows):
    """Converts rows of `prepare` to a Trajectory `[batch, 1, ...]`."""
    columns = self._prepared.split(rows[:, tf.newaxis])
    action = columns['action']
    spec = self._head.action_spec
    if spec.dtype.is_integer:
      action = tf.cast(action, spec.dtype)
    if spec.shape.rank == 0:
      action = action[..., 0]
    middle = tf.fill([rows.shape[0], 1], ts.StepType.MID)
    ones = tf.ones([rows.shape[0], 1])
    info = {
      'dist_params': self._head.as_policy_info(columns['parameters']),
      'value_prediction': columns['value'][..., 0],
      'return': columns['returns'][..., 0],
      'advantage': columns['advantage'][..., 0],
    }
    observations = columns['observation']
    if self._shape:
      observations = tf.reshape(observations, [-1, 1, *self._shape])
      observations = tf.cast(observations, tf.uint8)
    return trajectory.Trajectory(
      middle, observations, action, info, middle, ones, ones
    )

  def _predictions(self, observations, following, rewards):
    scaled = stack.call(self.scaling, observations)
    inputs = self._as_inputs(scaled)
    values = stack.call(self._value_layers, inputs)[:, 0]
    following = self._as_inputs(stack.call(self.scaling, following))
    next_values = stack.call(self._value_layers, following)
    parameters = self._head.parameters(stack.call(self._actor_layers, inputs))
    rewards = self.reward_normalizer(rewards)
    return scaled, rewards, values, next_values[:, 0], parameters

  def _as_inputs(self, observations):
    """Reshapes observations `[batch, size]` to the networks' inputs."""
    if not self._shape:
      return observations
    return tf.reshape(observations, [-1, *self._shape])

  def _learn_scales(self, observations, rewards):
    for scale in self.scaling:
      scale.learn(observations)
    self.reward_normalizer.learn(rewards)


def _snapshot(layer):
  """Copies kernel, bias and activation of a Dense layer to NumPy.

  None for other layers and for activations that the built-in networks lack.
  """
  plain = getattr(layer, 'layer', layer)
  activations = {
    tf.keras.activations.tanh: np.tanh,
    tf.keras.activations.linear: lambda outputs: outputs,
  }
  if type(plain) is not tf.keras.layers.Dense or not plain.use_bias:
    return None
  if plain.activation not in activations:
    return None
  activation = activations[plain.activation]
  return plain.kernel.numpy(), plain.bias.numpy(), activation


def generalized_advantages(errors, decays):
  """Generalized advantages, `A[t] = errors[t] + decays[t] * A[t + 1]`.

  TF-Agents treats truncated episodes as terminated, and at the end of a rollout
  uses the value of the last observation but one.

  Args:
    errors: TD errors `[time, ...]`, with the value of the next observation.
    decays: `gamma * lambda` `[time, ...]`, 0 at the end of an episode.

  Returns:
    float32 `[time, ...]`.

  Reference: Schulman et al. 2016, equation 16.
  """
  advantages = np.empty_like(errors)
  advantage = 0.0
  for i in reversed(range(len(errors))):
    advantage = errors[i] + decays[i] * advantage
    advantages[i] = advantage
  return advantages
