"""Sparse SAC: the algorithm, and its networks."""

import functools

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.sac import sac_agent
from tf_agents.trajectories import time_step as ts

from tf_sparse_rl.agents import (
  actor_critic,
  adaptive,
  base,
  experience,
  fused,
  losses,
  replicas,
  sparse,
  steps,
)
from tf_sparse_rl.agents.actor_critic import values_of
from tf_sparse_rl.networks import heads, stack
from tf_sparse_rl.replay import rows as rows_lib

_CRITIC_LOSS_WEIGHT = 0.5  # Haarnoja et al. 2018b, equation 5.


class SacAgent(sac_agent.SacAgent):
  """TF-Agents' SacAgent, its train step written out.

  It differs in three ways:

  * actions are sampled from a seed and the train step; checkpoints do not hold
    the state of TF-Agents' random operations;
  * the temperature is updated with the actions of the actor's loss, as in
    Haarnoja et al. 2018b; TF-Agents samples others from the updated actor;
  * target networks are exactly sparse (`sparse.update_target`).

  The actor's last layer must be a `heads.TanhGaussian`.

  Reference: Haarnoja et al. 2018b (arXiv 1812.05905), algorithm 1.
  """

  def __init__(
    self,
    *args,
    critic_optimizer,
    actor_optimizer,
    seed=0,
    candidates=(),
    **kwargs,
  ):
    """Takes TF-Agents' arguments.

    Args:
      *args: see TF-Agents.
      critic_optimizer: see TF-Agents.
      actor_optimizer: see TF-Agents.
      seed: that of the actions in losses.
      candidates: an `adaptive.Candidates` for each critic, for adaptive
        pruning.
      **kwargs: see TF-Agents.
    """
    super().__init__(
      *args,
      critic_optimizer=critic_optimizer,
      actor_optimizer=actor_optimizer,
      **kwargs,
    )
    # TF-Agents would replace them by copies of Keras' legacy generation.
    self._critic_optimizer = critic_optimizer
    self._actor_optimizer = actor_optimizer
    self._seed, self._candidates = seed, list(candidates)
    self._critics = [self._critic_network_1, self._critic_network_2]
    self._targets = [
      self._target_critic_network_1,
      self._target_critic_network_2,
    ]

  def _train(self, experience, weights=None, masks_may_change=True):
    transition = self._as_transition(experience)
    observations = transition.time_step.observation
    critics, actor, alpha = self._critics, self._actor_network, self.alpha
    mean_loss = functools.partial(steps.mean_loss, weights=weights)
    descend = functools.partial(
      steps.descend, masks_may_change=masks_may_change
    )

    trained = adaptive.all_of(critics, self._candidates)
    targets = self.td_targets(transition)
    with tf.GradientTape() as tape:
      q_values = values_of(trained, observations, transition.action_step.action)
      td_losses = [self._td_errors_loss_fn(targets, q) for q in q_values]
      td_loss = mean_loss(tf.add_n(td_losses), trained)
      critic_loss = self._critic_loss_weight * td_loss
    descend(self._critic_optimizer, tape, critic_loss, trained, 'Critic loss')

    with tf.GradientTape() as tape:  # With the updated critics.
      actions, log_pi = self.sample(self.actor_outputs(observations), 1)
      new_q_values = values_of(critics, observations, actions)
      actor_losses = losses.actor_losses(log_pi, new_q_values, alpha)
      actor_loss = self._actor_loss_weight * mean_loss(actor_losses, [actor])
    descend(self._actor_optimizer, tape, actor_loss, [actor], 'Actor loss')

    with tf.GradientTape() as tape:
      alpha_losses = self._temperature_losses(log_pi)
      alpha_loss = self._alpha_loss_weight * mean_loss(alpha_losses, [])
    temperature = [self._log_alpha]
    descend(self._alpha_optimizer, tape, alpha_loss, temperature, 'Alpha loss')

    self.train_step_counter.assign_add(1)
    scalars = adaptive.select(
      *(self._candidates, td_losses, self.train_step_counter, masks_may_change)
    )
    self.move_targets(masks_may_change)
    info = _loss_info(
      critic_loss, actor_loss, alpha_loss, alpha, log_pi, q_values
    )
    return info._replace(extra=info.extra | scalars)

  def _temperature_losses(self, log_pi):
    """Losses of the temperature, `[batch]`."""
    log_alpha = self._log_alpha
    return losses.temperature_losses(
      log_alpha if self._use_log_alpha_in_alpha_loss else tf.exp(log_alpha),
      log_pi,
      self._target_entropy,
    )

  @property
  def temperature_descent(self):
    """The optimizer of the temperature, and the list of its variable."""
    return self._alpha_optimizer, [self._log_alpha]

  @property
  def alpha(self):
    """The temperature, a scalar."""
    return tf.exp(self._log_alpha)

  def td_targets(self, transition):
    """Targets of the critics for a transition, `[batch]`."""
    following = transition.next_time_step
    outputs = self.actor_outputs(following.observation)
    actions, log_pi = self.sample(outputs, 0)
    q_values = values_of(self._targets, following.observation, actions)
    return losses.td_targets(
      self._reward_scale_factor * following.reward,
      self._gamma * following.discount,
      losses.soft_values(q_values, log_pi, self.alpha),
    )

  def bonus_between(self, observations, weights):
    """Entropy bonus of an n-step return, `[batch]`, in units of rewards.

    Args:
      observations: of the steps between, `[batch * (n - 1), entries]`.
      weights: see `losses.entropy_between`, `[batch, n - 1]`.
    """
    _, log_pi = self.sample(self.actor_outputs(observations), 2)
    log_pi = tf.reshape(log_pi, weights.shape)
    bonus = losses.entropy_between(log_pi, weights, self.alpha)
    return tf.stop_gradient(bonus) / self._reward_scale_factor

  def actor_outputs(self, observations):
    """Outputs of the actor before its head, `[batch, 2 * action_size]`."""
    return stack.call(self._actor_network.layers[:-1], observations)

  def sample(self, outputs, draw):
    """Samples actions of the policy.

    Args:
      outputs: of the actor, `[batch, 2 * action_size]`.
      draw: number of the draw in this train step, an int; each has random
        numbers of its own.

    Returns:
      (actions `[batch, action_size]`, log probabilities `[batch]`).
    """
    head = self._actor_network.layers[-1]
    noise = actor_critic.train_noise(
      *(self._seed, draw, self.train_step_counter),
      shape=[outputs.shape[0], head.noise_size],
    )
    return head.sample(outputs, noise)

  def move_targets(self, masks_may_change):
    """Soft update of both targets, if one is due."""
    period = self._target_update_period
    # A target that is updated later may have older masks.
    may_differ = period > 1 or masks_may_change

    def move():
      tau = self._target_update_tau
      for online, target in zip(self._critics, self._targets):
        sparse.update_target(online, target, tau, may_differ)
      return tf.no_op()

    steps.every(period, self.train_step_counter, move)


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


class Sac(actor_critic.ActorCritic):
  """SAC with sparse networks."""

  # The actor: the next actions, its loss, the temperature's loss. A critic:
  # its target, its loss, and the actor's loss without the weights' gradient.
  train_passes = {'actor': 1 + 3 + 1, 'critic_1': 6, 'critic_2': 6}

  def __init__(self, config, env_spec):
    """Builds the agent; the EnvSpec is one with continuous actions.

    Raises:
      ValueError: for an actor_parameter_share that the networks cannot meet.
    """
    self._num_between = config.num_between
    super().__init__(config, env_spec, heads.TanhGaussian(env_spec))
    self.descents.append(self.tf_agent.temperature_descent)

  def _make_agent(self, config, actor_optimizer, critic_optimizer):
    return SacAgent(
      ts.time_step_spec(experience.observation_spec(self.env_spec)),
      self.head.action_spec,
      actor_network=self.networks['actor'],
      critic_network=self.networks['critic_1'],
      critic_network_2=self.networks['critic_2'],
      target_critic_network=self._make_target(
        'critic_1', 'TargetCriticNetwork1'
      ),
      target_critic_network_2=self._make_target(
        'critic_2', 'TargetCriticNetwork2'
      ),
      actor_optimizer=actor_optimizer,
      critic_optimizer=critic_optimizer,
      critic_loss_weight=_CRITIC_LOSS_WEIGHT,
      td_errors_loss_fn=losses.squared_errors,
      alpha_optimizer=tf.keras.optimizers.legacy.Adam(
        config.alpha_learning_rate
      ),
      target_update_tau=config.target_update_tau,
      target_update_period=config.target_update_period,
      gamma=config.gamma,
      reward_scale_factor=config.reward_scale,
      initial_log_alpha=config.initial_log_alpha,
      target_entropy=config.target_entropy_per_action
      * self.env_spec.action_size,
      train_step_counter=replicas.train_step_counter(),
      seed=config.seed,
      candidates=self.candidates.values(),
    )

  @property
  def targets(self):
    return dict(zip(('critic_1', 'critic_2'), self.tf_agent._targets))

  def experience(self, rows):
    """A Transition; its reward has the entropy bonus of the steps between."""
    if not self._num_between:
      return super().experience(rows)
    size = rows_lib.transition(self.env_spec).size
    transition = super().experience(rows[:, :size])
    layout = rows_lib.soft_transition(self.env_spec, self._num_between)
    columns = layout.split(rows)
    observations = tf.reshape(
      columns['between'], [-1, self.env_spec.observation_size]
    )
    observations = stack.call(self.scales, observations)
    bonus = self.tf_agent.bonus_between(observations, columns['weight'])
    following = transition.next_time_step
    following = following._replace(reward=following.reward + bonus)
    return transition._replace(next_time_step=following)

  def fused_step(self, batch_size):
    is_own = type(self.tf_agent) is SacAgent and not self.candidates
    if not is_own or self._num_between:
      return None  # Another train step.
    if self.scales:
      return None  # It does not normalize observations.
    return fused.sac(self.tf_agent, self.head, batch_size)

  def probes(self, rows):
    """The actions are those that the next train step will draw.

    The actor's loss is by the critics as they are, and not, as in a train
    step, just updated.
    """
    agent, transition = self.tf_agent, self.experience(rows)
    observations = transition.time_step.observation
    targets = agent.td_targets(transition)
    critics = self.networks['critic_1'], self.networks['critic_2']

    def actor_losses(outputs):
      actions, log_pi = agent.sample(outputs, 1)
      q_values = values_of(critics, observations, actions)
      return losses.actor_losses(log_pi, q_values, agent.alpha)

    critic = self.critic_probe(
      transition,
      lambda q: _CRITIC_LOSS_WEIGHT * losses.squared_errors(targets, q),
    )
    return {
      'actor': base.Probe(observations, actor_losses),
      'critic_1': critic,
      'critic_2': critic,
    }
