"""From a collected rollout to the rows that PPO trains on."""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from tf_sparse_rl.networks import normalizer, stack
from tf_sparse_rl.replay import rows as rows_lib

_CLIP_OBSERVATION, _CLIP_REWARD = 5.0, 10.0  # Standard deviations; the paper's.


class Rollouts(tf.Module):
  """Scales of observations and rewards, advantages and returns."""

  def __init__(self, config, env_spec, actor_layers, head, value_layers):
    """Takes the built layers of both networks; the actor's, without its head.

    The head is a `heads.Gaussian` or a `heads.Categorical`.
    """
    super().__init__(name='rollouts')
    self._config = config
    self._actor_layers, self._value_layers = actor_layers, value_layers
    self._head = head
    self._is_discrete = env_spec.num_actions is not None
    self._collected = rows_lib.rollout(env_spec)
    self._prepared = rows_lib.prepared_rollout(env_spec, head.num_parameters)
    size = env_spec.observation_size
    self.normalizer = normalizer.Normalizer(
      _CLIP_OBSERVATION, name='observations'
    )
    self.normalizer.build([None, size])
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

  @property
  def row_size(self):
    """Entries of a row of `prepare`."""
    return self._prepared.size

  def prepare(self, rows):
    """The rows that one rollout trains on, see `rows.prepared_rollout`.

    Args:
      rows: as `Rollout.latest` returned them, `[env steps, ...]`, those of
        `num_envs` environments in turn.

    Returns:
      float32 `[env steps, row_size]`.
    """
    config, columns = self._config, self._collected.split(rows)
    scaled, rewards, values, next_values, parameters = (
      tensor.numpy()
      for tensor in self._predict(
        columns['observation'],
        columns['next_observation'],
        columns['reward'][:, 0],
      )
    )
    discounts, over = columns['discount'][:, 0], columns['over'][:, 0]
    errors = rewards + config.gamma * discounts * next_values - values
    decays = config.gamma * config.gae_lambda * (1 - over)
    # In each environment by itself.
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
    """The policy as it is now, in NumPy, to collect a rollout with.

    For networks as small as these a call of a graph takes many times longer
    than their arithmetic.

    Returns:
      Function of observations and noise to actions; see `Agent.act`.
    """
    scale = self.normalizer.snapshot()
    layers = [_snapshot(layer) for layer in self._actor_layers]
    act = self._head.snapshot()

    def explore(observations, noise):
      outputs = scale(observations)
      for kernel, bias, activation in layers:
        outputs = activation(outputs @ kernel + bias)
      return act(outputs, noise)

    return explore

  def learn_scales(self, rows):
    """Updates the scales by a rollout, rows as `prepare` takes them."""
    columns = self._collected.split(rows)
    self._learn(columns['observation'], columns['reward'][:, 0])

  def to_experience(self, rows):
    """A TF-Agents Trajectory `[batch, 1, ...]` of rows of `prepare`."""
    columns = self._prepared.split(rows[:, tf.newaxis])
    action = columns['action']
    if self._is_discrete:
      action = tf.cast(action[..., 0], tf.int32)
    middle = tf.fill([rows.shape[0], 1], ts.StepType.MID)
    ones = tf.ones([rows.shape[0], 1])
    info = {
      'dist_params': self._head.as_policy_info(columns['parameters']),
      'value_prediction': columns['value'][..., 0],
      'return': columns['returns'][..., 0],
      'advantage': columns['advantage'][..., 0],
    }
    return trajectory.Trajectory(
      middle, columns['observation'], action, info, middle, ones, ones
    )

  def _predictions(self, observations, following, rewards):
    scaled = self.normalizer(observations)
    values = stack.call(self._value_layers, scaled)[:, 0]
    next_values = stack.call(self._value_layers, self.normalizer(following))
    parameters = self._head.parameters(stack.call(self._actor_layers, scaled))
    rewards = self.reward_normalizer(rewards)
    return scaled, rewards, values, next_values[:, 0], parameters

  def _learn_scales(self, observations, rewards):
    self.normalizer.learn(observations)
    self.reward_normalizer.learn(rewards)


def _snapshot(layer):
  """Kernel, bias and activation of a Dense layer, sparse or not, in NumPy."""
  plain = getattr(layer, 'layer', layer)
  activations = {
    tf.keras.activations.tanh: np.tanh,
    tf.keras.activations.linear: lambda outputs: outputs,
  }
  activation = activations[plain.activation]
  return plain.kernel.numpy(), plain.bias.numpy(), activation


def generalized_advantages(errors, decays):
  """`A[t] = errors[t] + decays[t] * A[t + 1]`, from the end.

  TF-Agents would take an episode that was cut off for one that ended, and at
  the end of a rollout the value of the observation before the last.

  Args:
    errors: TD errors `[time, ...]`, each with the value of the observation
      that its env step led to.
    decays: `gamma * lambda` `[time, ...]`, 0 where an episode is over.

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
