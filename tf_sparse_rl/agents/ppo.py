"""Sparse PPO: the algorithm and its networks."""

import functools

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.trajectories import time_step as ts

from tf_sparse_rl.agents import (
  base,
  experience,
  falling,
  fused,
  losses,
  network_layers,
  replicas,
  sparse,
  steps,
)
from tf_sparse_rl.agents import rollouts as rollouts_lib
from tf_sparse_rl.networks import heads, stack

_ADAM_EPSILON = 1e-5  # Paper's code.


class PpoAgent(ppo_clip_agent.PPOClipAgent):
  """TF-Agents' PPOClipAgent, its train step on one batch written out.

  It differs in two ways: it takes one step on a batch of single env steps whose
  advantages and returns are given, and its learning rate is a function of the
  train step.

  The actor's last layer must be one of `heads`.

  Reference: Schulman et al. 2017, equations 7 and 9.
  """

  def __init__(self, *args, learning_rate=None, schedule=None, **kwargs):
    """Takes TF-Agents' arguments, and the schedule of the learning rate.

    `schedule` is None or a Falling, whose learning rate is assigned to the
    variable `learning_rate`.
    """
    super().__init__(*args, **kwargs)
    self._learning_rate, self._schedule = learning_rate, schedule

  def _train(self, experience, weights=None, masks_may_change=True):
    batch = tf.nest.map_structure(_without_time, experience)
    info, networks = batch.policy_info, [self._actor_net, self._value_net]
    old_log_probs = _old_log_probs(self._actor_net.layers[-1], batch)
    advantages = losses.normalized(info['advantage'])
    mean = functools.partial(steps.mean_loss, networks=[], weights=weights)
    learning_rate = self.adapt_learning_rate()

    with tf.GradientTape() as tape:
      policy, _ = self._actor_net(batch.observation)
      values, _ = self._value_net(batch.observation)
      ratios = tf.exp(policy.log_prob(batch.action) - old_log_probs)
      clip_ratio = self._importance_ratio_clipping
      policy_loss = mean(
        losses.clipped_surrogate_losses(ratios, advantages, clip_ratio)
      )
      value_loss = self._value_pred_loss_coef * mean(
        losses.squared_errors(info['return'], values)
      )
      entropy = mean(policy.entropy())
      l2_loss = self.l2_loss()
      loss = policy_loss + value_loss + l2_loss
      if self._entropy_regularization:
        loss -= self._entropy_regularization * entropy
    steps.descend(
      self._optimizer, tape, loss, networks, masks_may_change=masks_may_change
    )
    self.train_step_counter.assign_add(1)
    is_clipped = tf.cast(tf.abs(ratios - 1) > clip_ratio, tf.float32)
    scalars = {
      'Losses/policy_gradient_loss': policy_loss,
      'Losses/value_loss': value_loss,
      'Losses/l2_loss': l2_loss,
      'Agent/clip_fraction': tf.reduce_mean(is_clipped),
      'Agent/entropy': entropy,
    }
    return tf_agent.LossInfo(loss, {**scalars, **learning_rate})

  def adapt_learning_rate(self):
    """Sets the learning rate of this train step; returns it as scalars."""
    if self._schedule is None:
      return {}
    self._learning_rate.assign(self._schedule(self.train_step_counter))
    return {'Agent/learning_rate': self._learning_rate}

  def l2_loss(self):
    """The L2 loss of the kernels of both networks, a scalar."""
    # TF-Agents adds them in an order that depends on memory addresses.
    factors = [
      (self._actor_net, self._policy_l2_reg),
      (self._value_net, self._value_function_l2_reg),
    ]
    terms = [
      factor * tf.reduce_sum(tf.square(weight))
      for network, factor in factors
      for weight in network.trainable_weights
      if factor and 'kernel' in weight.name
    ]
    return tf.add_n(terms) if terms else tf.zeros([])


def _without_time(tensor):
  """Reshapes `[batch, time, ...]` to `[batch * time, ...]`."""
  return tf.reshape(tensor, [-1, *tensor.shape[2:]])


def _old_log_probs(head, batch):
  """Log probabilities of the actions at collection, `[batch]`."""
  policy = head.from_policy_info(batch.policy_info['dist_params'])
  return policy.log_prob(batch.action)


class Ppo(base.ActorAgent):
  """PPO with a sparse actor and a sparse value network.

  They share no layers. One optimizer trains both, as in TF-Agents; it clips the
  global norm of the masked gradients, where the paper's code clips dense ones.
  """

  # Forward and backward in each epoch.
  train_passes = {'actor': 3, 'value': 3}

  def __init__(self, config, env_spec):
    """Builds the agent, for discrete or continuous actions."""
    config.check_observation(env_spec)
    self._config, self.env_spec = config, env_spec
    self.head = heads.of_policy(env_spec)
    actor_layers, value_layers = network_layers.of_actor_and_value(
      config, env_spec, self.head
    )
    flatten = tf.keras.layers.Lambda(lambda v: tf.squeeze(v, -1))
    spec = experience.observation_spec(env_spec)
    self.networks = {
      'actor': stack.Network([*actor_layers, self.head], spec, name='Actor'),
      'value': stack.Network([*value_layers, flatten], spec, name='Value'),
    }
    learning_rate = tf.Variable(
      config.learning_rate, trainable=False, name='learning_rate'
    )
    optimizer = sparse.optimizer(
      config,
      list(self.networks.values()),
      learning_rate,
      epsilon=_ADAM_EPSILON,
      global_clipnorm=config.max_gradient_norm or None,
    )
    self.optimizers = sparse.sparse_optimizers(
      (name, optimizer) for name in self.networks
    )
    self.descents = [(optimizer, list(self.networks.values()))]
    self.tf_agent = self._make_agent(spec, optimizer, learning_rate)
    self.tf_agent.initialize()
    self.rollouts = rollouts_lib.Rollouts(
      config, env_spec, actor_layers, self.head, value_layers
    )
    self.scales = (*self.rollouts.scaling, self.rollouts.reward_normalizer)
    self.policy_layers = [*self.rollouts.scaling, *actor_layers]

  def _make_agent(self, observation_spec, optimizer, learning_rate):
    config = self._config
    return PpoAgent(
      ts.time_step_spec(observation_spec),
      self.head.action_spec,
      optimizer=optimizer,
      actor_net=self.networks['actor'],
      value_net=self.networks['value'],
      importance_ratio_clipping=config.clip_ratio,
      discount_factor=config.gamma,
      lambda_value=config.gae_lambda,
      entropy_regularization=config.entropy_weight,
      policy_l2_reg=config.weight_decay,
      value_function_l2_reg=config.weight_decay,
      value_pred_loss_coef=config.value_loss_weight,
      num_epochs=1,
      # Rollouts does these, once per rollout.
      normalize_rewards=False,
      normalize_observations=False,
      compute_value_and_advantage_in_train=False,
      update_normalizers_in_train=False,
      train_step_counter=replicas.train_step_counter(),
      learning_rate=learning_rate,
      schedule=falling.Falling(config),
    )

  @property
  def saved(self):
    return {**super().saved, 'rollouts': self.rollouts}

  def experience(self, rows):
    return self.rollouts.to_experience(rows)

  def fused_step(self, batch_size):
    if type(self.tf_agent) is not PpoAgent:
      return None  # Another train step.
    return fused.ppo(self.tf_agent, batch_size)

  def probes(self, rows):
    batch = tf.nest.map_structure(_without_time, self.experience(rows))
    config, info = self._config, batch.policy_info
    old_log_probs = _old_log_probs(self.head, batch)
    advantages = losses.normalized(info['advantage'])

    def actor_losses(outputs):
      policy = self.head(outputs)
      ratios = tf.exp(policy.log_prob(batch.action) - old_log_probs)
      surrogate = losses.clipped_surrogate_losses(
        ratios, advantages, config.clip_ratio
      )
      return surrogate - config.entropy_weight * policy.entropy()

    def values(outputs):
      return outputs[:, 0]

    def value_losses(outputs):
      errors = losses.squared_errors(info['return'], values(outputs))
      return config.value_loss_weight * errors

    return {
      'actor': base.Probe(batch.observation, actor_losses),
      'value': base.Probe(batch.observation, value_losses, values),
    }
