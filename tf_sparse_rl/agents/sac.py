"""Sparse SAC: the algorithm, and its networks."""

import functools

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.sac import sac_agent
from tf_agents.trajectories import time_step as ts

from tf_sparse_rl import seeds
from tf_sparse_rl.agents import (
  base,
  experience,
  losses,
  replicas,
  sizing,
  sparse,
  steps,
)
from tf_sparse_rl.networks import dense, heads, stack

_CRITIC_LOSS_WEIGHT = 0.5  # Haarnoja et al. 2018b, equation 5.


class SacAgent(sac_agent.SacAgent):
  """TF-Agents' SacAgent, its train step written out.

  The same but for this:

  * actions are sampled from a seed and the train step; TF-Agents' random
    operations have a state of their own, which no checkpoint holds;
  * the temperature is updated on the actions of the actor's loss, as in
    Haarnoja et al. 2018b; TF-Agents asks the just updated actor for others;
  * targets are exactly sparse (`sparse.update_target`).

  The actor's last layer must be a `heads.TanhGaussian`.

  Reference: Haarnoja et al. 2018b (arXiv 1812.05905), algorithm 1.
  """

  def __init__(
    self, *args, critic_optimizer, actor_optimizer, seed=0, **kwargs
  ):
    """See TF-Agents; `seed` is that of the actions in the losses."""
    super().__init__(
      *args,
      critic_optimizer=critic_optimizer,
      actor_optimizer=actor_optimizer,
      **kwargs,
    )
    # As given: TF-Agents would train by copies of Keras' legacy generation.
    self._critic_optimizer = critic_optimizer
    self._actor_optimizer = actor_optimizer
    self._seed = seed
    self._critics = [self._critic_network_1, self._critic_network_2]
    self._targets = [
      self._target_critic_network_1,
      self._target_critic_network_2,
    ]

  def _train(self, experience, weights=None, masks_may_change=True):
    transition = self._as_transition(experience)
    observations = transition.time_step.observation
    actions, alpha = transition.action_step.action, self.alpha
    mean_loss = functools.partial(steps.mean_loss, weights=weights)
    descend = functools.partial(
      steps.descend, masks_may_change=masks_may_change
    )

    targets = self.td_targets(transition)
    with tf.GradientTape() as tape:
      q_values = self.q_values(observations, actions)
      td_losses = [self._td_errors_loss_fn(targets, q) for q in q_values]
      loss = mean_loss(tf.add_n(td_losses), self._critics)
      critic_loss = self._critic_loss_weight * loss
    args = self._critic_optimizer, tape, critic_loss, self._critics
    descend(*args, name='Critic loss')

    with tf.GradientTape() as tape:  # By the critics just updated.
      new_actions, log_pi = self.sample(observations, 1)
      new_q_values = self.q_values(observations, new_actions)
      actor_losses = losses.actor_losses(log_pi, new_q_values, alpha)
      loss = mean_loss(actor_losses, [self._actor_network])
      actor_loss = self._actor_loss_weight * loss
    args = self._actor_optimizer, tape, actor_loss, [self._actor_network]
    descend(*args, name='Actor loss')

    with tf.GradientTape() as tape:
      loss = mean_loss(self.temperature_losses(log_pi), [])
      alpha_loss = self._alpha_loss_weight * loss
    args = self._alpha_optimizer, tape, alpha_loss, [self._log_alpha]
    descend(*args, name='Alpha loss')

    self.train_step_counter.assign_add(1)
    self.move_targets(masks_may_change)
    total = critic_loss, actor_loss, alpha_loss
    return _loss_info(*total, alpha, log_pi, q_values)

  @property
  def alpha(self):
    """The temperature, a scalar."""
    return tf.exp(self._log_alpha)

  def td_targets(self, transition):
    """Targets of the critics for a transition, `[batch]`."""
    following = transition.next_time_step
    actions, log_pi = self.sample(following.observation, 0)
    q_values = _q_values(self._targets, following.observation, actions)
    return losses.td_targets(
      self._reward_scale_factor * following.reward,
      self._gamma * following.discount,
      losses.soft_values(q_values, log_pi, self.alpha),
    )

  def q_values(self, observations, actions):
    """The Q-values of actions by each critic, a list of `[batch]`."""
    return _q_values(self._critics, observations, actions)

  def temperature_losses(self, log_pi):
    """See `losses.temperature_losses`; `[batch]` each."""
    temperature = self._log_alpha
    if not self._use_log_alpha_in_alpha_loss:
      temperature = self.alpha
    return losses.temperature_losses(temperature, log_pi, self._target_entropy)

  def sample(self, observations, draw):
    """Actions of the policy and their log probabilities; see `sample_by`."""
    outputs = stack.call(self._actor_network.layers[:-1], observations)
    return self.sample_by(outputs, draw)

  def sample_by(self, outputs, draw):
    """Actions by the outputs of the actor, and their log probabilities.

    Args:
      outputs: `[batch, 2 * action_size]`.
      draw: number of the draw in this train step, an int; each has random
        numbers of its own.

    Returns:
      (actions `[batch, action_size]`, log probabilities `[batch]`).
    """
    head = self._actor_network.layers[-1]
    seed = seeds.derive(self._seed, seeds.Stream.TRAIN_NOISE, draw)
    # For the whole batch, so that it does not depend on how this is shared.
    noise = tf.random.stateless_normal(
      [replicas.num_replicas() * outputs.shape[0], head.noise_size],
      seed=tf.stack([tf.constant(seed, tf.int64), self.train_step_counter]),
    )
    return head.sample(outputs, replicas.share_of_replica(noise))

  def move_targets(self, masks_may_change):
    """Soft update of both targets, if one is due."""
    period = self._target_update_period
    # A target that is behind may have masks to catch up with.
    may_differ = period > 1 or masks_may_change

    def move():
      tau = self._target_update_tau
      for online, target in zip(self._critics, self._targets):
        sparse.update_target(online, target, tau, may_differ)
      return tf.no_op()

    steps.every(period, self.train_step_counter, move)


def _q_values(critics, observations, actions):
  """The Q-values of actions by each critic, a list of `[batch]`."""
  return [critic((observations, actions))[0] for critic in critics]


def _loss_info(critic_loss, actor_loss, alpha_loss, alpha, log_pi, q_values):
  return tf_agent.LossInfo(
    critic_loss + actor_loss + alpha_loss,
    {
      'Losses/critic_loss': critic_loss,
      'Losses/actor_loss': actor_loss,
      'Losses/alpha_loss': alpha_loss,
      'Agent/alpha': alpha,
      'Agent/entropy': -tf.reduce_mean(log_pi),
      'Agent/q_value_1': tf.reduce_mean(q_values[0]),
      'Agent/q_value_2': tf.reduce_mean(q_values[1]),
    },
  )


class Sac(base.ActorAgent):
  """SAC with sparse networks; masks are drawn before the targets' copies.

  Both critics have masks of their own. One optimizer trains both, as TF-Agents
  has it.
  """

  # The actor: the next actions, its loss, the temperature's loss. A critic:
  # its target, its loss, and the actor's loss without the weights' gradient.
  train_passes = {'actor': 1 + 3 + 1, 'critic_1': 6, 'critic_2': 6}

  def __init__(self, config, env_spec):
    """Builds the agent.

    Args:
      config: a Config.
      env_spec: an EnvSpec with continuous actions.

    Raises:
      ValueError: for an actor_parameter_share that the networks cannot meet.
    """
    self._env_spec = env_spec
    self.head = heads.TanhGaussian(env_spec)
    actor, *critics = self._make_networks(config)
    self.networks = dict(
      zip(('actor', 'critic_1', 'critic_2'), (actor, *critics))
    )
    actor_optimizer = sparse.optimizer(
      config, actor, config.actor_learning_rate
    )
    critic_optimizer = sparse.optimizer(
      config, critics, config.critic_learning_rate
    )
    self.optimizers = sparse.sparse_optimizers(
      actor=actor_optimizer,
      critic_1=critic_optimizer,
      critic_2=critic_optimizer,
    )
    self.tf_agent = self._make_agent(config, actor_optimizer, critic_optimizer)
    self.tf_agent.initialize()

  def _make_networks(self, config):
    """The actor and both critics."""
    sparse.seed_initializers(config)
    actor_plan, critic_plan = plan_networks(config, self._env_spec)
    observation_spec = experience.observation_spec(self._env_spec)
    self.policy_layers = _layers(config, actor_plan, 0, 'actor')
    actor = stack.Network(
      [*self.policy_layers, self.head], observation_spec, name='Actor'
    )
    critics = [
      _critic(
        _layers(config, critic_plan, index, 'critic'),
        (observation_spec, self.head.action_spec),
        name=f'Critic{index}',
      )
      for index in (1, 2)
    ]
    return actor, *critics

  def _make_agent(self, config, actor_optimizer, critic_optimizer):
    adam = tf.keras.optimizers.legacy.Adam
    action_size = self._env_spec.action_size
    return SacAgent(
      ts.time_step_spec(experience.observation_spec(self._env_spec)),
      self.head.action_spec,
      actor_network=self.networks['actor'],
      critic_network=self.networks['critic_1'],
      critic_network_2=self.networks['critic_2'],
      actor_optimizer=actor_optimizer,
      critic_optimizer=critic_optimizer,
      critic_loss_weight=_CRITIC_LOSS_WEIGHT,
      td_errors_loss_fn=losses.squared_errors,
      alpha_optimizer=adam(config.alpha_learning_rate),
      target_update_tau=config.target_update_tau,
      target_update_period=config.target_update_period,
      gamma=config.gamma,
      reward_scale_factor=config.reward_scale,
      initial_log_alpha=config.initial_log_alpha,
      target_entropy=config.target_entropy_per_action * action_size,
      train_step_counter=replicas.train_step_counter(),
      seed=config.seed,
    )

  def experience(self, rows):
    """See Agent."""
    return experience.transition(self._env_spec, rows)

  def probes(self, rows):
    """See Agent.

    With the actions that the next train step will draw. The actor's loss is
    by the critics as they are, and not, as in a train step, just updated.
    """
    agent, transition = self.tf_agent, self.experience(rows)
    observations = transition.time_step.observation
    actions = transition.action_step.action
    targets = agent.td_targets(transition)

    def actor_losses(outputs):
      chosen, log_pi = agent.sample_by(outputs, 1)
      q_values = agent.q_values(observations, chosen)
      return losses.actor_losses(log_pi, q_values, agent.alpha)

    def values(outputs):
      return outputs[:, 0]

    def critic_losses(outputs):
      errors = losses.squared_errors(targets, values(outputs))
      return _CRITIC_LOSS_WEIGHT * errors

    critic = base.Probe(
      tf.concat([observations, actions], axis=-1), critic_losses, values
    )
    return {
      'actor': base.Probe(observations, actor_losses),
      'critic_1': critic,
      'critic_2': critic,
    }


def plan_networks(config, env_spec):
  """Sizes and sparsities of the actor and of each of two critics.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    [Plan, Plan].

  Raises:
    ValueError: for an actor_parameter_share that the networks cannot meet.
  """
  size, action_size = env_spec.observation_size, env_spec.action_size
  return sizing.plan(
    config,
    ends=[(size, 2 * action_size), (size + action_size, 1)],
    widths=[config.actor_width, config.critic_width],
    sparsities=[config.actor_sparsity, config.critic_sparsity],
    copies=[1, 2],
  )


def _layers(config, plan, index, network):
  with sparse.precision(config):
    layers = dense.glorot_layers(plan.units, plan.outputs, config.weight_decay)
  return sparse.sparse_layers(
    config,
    layers,
    [plan.inputs],
    plan.sparsity,
    seed=seeds.derive(config.seed, seeds.Stream.NETWORK, index),
    network=network,
  )


def _critic(layers, input_spec, name):
  """A network from (observations, actions) to Q-values `[batch]`."""
  join = tf.keras.layers.Lambda(lambda inputs: tf.concat(inputs, axis=-1))
  flatten = tf.keras.layers.Lambda(lambda q: tf.squeeze(q, axis=-1))
  return stack.Network([join, *layers, flatten], input_spec, name=name)
