"""Sparse TD3: the algorithm, and how it is built."""

import functools

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.td3 import td3_agent
from tf_agents.trajectories import time_step as ts

from tf_sparse_rl.agents import (
  actor_critic,
  base,
  experience,
  fused,
  losses,
  replicas,
  sparse,
  steps,
)
from tf_sparse_rl.agents.actor_critic import values_of
from tf_sparse_rl.networks import heads


class Td3Agent(td3_agent.Td3Agent):
  """TF-Agents' Td3Agent, its train step written out.

  The same but for this:

  * noise is drawn from a seed and the train step, is in units of half the range
    of an action, and target actions are clipped to the bounds, as in the
    paper's code;
  * the actor and the targets move at the same train steps, multiples of their
    periods counted from 1, as in the paper;
  * targets are exactly sparse (`sparse.update_target`).

  The actor's last layer must be a `heads.Deterministic`.

  Reference: Fujimoto et al. 2018 (arXiv 1802.09477), algorithm 1.
  """

  def __init__(
    self, *args, critic_optimizer, actor_optimizer, seed=0, **kwargs
  ):
    """Takes TF-Agents' arguments; `seed` is that of the target noise."""
    super().__init__(
      *args,
      critic_optimizer=critic_optimizer,
      actor_optimizer=actor_optimizer,
      **kwargs,
    )
    self._seed = seed
    self._critics = [self._critic_network_1, self._critic_network_2]
    self._targets = [
      self._target_critic_network_1,
      self._target_critic_network_2,
    ]

  def _train(self, experience, weights=None, masks_may_change=True):
    transition = self._as_transition(experience)
    observations = transition.time_step.observation
    critics, actor = self._critics, self._actor_network
    mean_loss = functools.partial(steps.mean_loss, weights=weights)
    descend = functools.partial(
      steps.descend, masks_may_change=masks_may_change
    )

    targets = self.td_targets(transition)
    with tf.GradientTape() as tape:
      q_values = values_of(critics, observations, transition.action_step.action)
      td_losses = tf.add_n(
        [self._td_errors_loss_fn(targets, q) for q in q_values]
      )
      critic_loss = mean_loss(td_losses, critics)
    descend(self._critic_optimizer, tape, critic_loss, critics, 'Critic loss')
    self.train_step_counter.assign_add(1)

    with tf.GradientTape() as tape:  # By the critic just updated.
      actions, _ = actor(observations)
      [new_q_values] = values_of(critics[:1], observations, actions)
      actor_losses = losses.deterministic_actor_losses(new_q_values)
      actor_loss = mean_loss(actor_losses, [actor])

    def update_actor():
      descend(self._actor_optimizer, tape, actor_loss, [actor], 'Actor loss')
      return tf.no_op()

    step, period = self.train_step_counter, self._actor_update_period
    tf.cond(tf.equal(step % period, 0), update_actor, tf.no_op)
    if masks_may_change:
      self.copy_masks()
    steps.every(self._target_update_period, step, self.move_targets)
    return _loss_info(critic_loss, actor_loss, q_values)

  def td_targets(self, transition):
    """Targets of the critics for a transition, `[batch]`."""
    following = transition.next_time_step
    actions = self.target_actions(following.observation)
    q_values = values_of(self._targets, following.observation, actions)
    return losses.td_targets(
      self._reward_scale_factor * following.reward,
      self._gamma * following.discount,
      losses.clipped_double_q(q_values),
    )

  def target_actions(self, observations):
    """Smoothed actions of the target policy, `[batch, action_size]`.

    Reference: Fujimoto et al. 2018, equation 14.
    """
    actions, _ = self._target_actor_network(observations)
    noise = self._target_policy_noise * actor_critic.train_noise(
      self._seed, 0, self.train_step_counter, actions.shape
    )
    clip = self._target_policy_noise_clip
    head = self._actor_network.layers[-1]
    return head.perturbed(actions, tf.clip_by_value(noise, -clip, clip))

  def copy_masks(self):
    """Gives the targets the masks of the networks that are trained."""
    for online, target in self._pairs:
      sparse.copy_masks(online, target)

  def move_targets(self):
    """Soft update of the three targets."""
    tau = self._target_update_tau
    for online, target in self._pairs:
      sparse.update_target(online, target, tau, masks_may_differ=False)
    return tf.no_op()

  @property
  def _pairs(self):
    """(network, its target) of all three."""
    return [
      (self._actor_network, self._target_actor_network),
      *zip(self._critics, self._targets),
    ]


def _loss_info(critic_loss, actor_loss, q_values):
  return tf_agent.LossInfo(
    critic_loss + actor_loss,
    {
      'Losses/critic_loss': critic_loss,
      'Losses/actor_loss': actor_loss,
      'Agent/q_value_1': tf.reduce_mean(q_values[0]),
      'Agent/q_value_2': tf.reduce_mean(q_values[1]),
    },
  )


class Td3(actor_critic.ActorCritic):
  """TD3 with sparse networks."""

  def __init__(self, config, env_spec):
    """Builds the agent; see `ActorCritic`.

    Raises:
      ValueError: also under a `tf.distribute` strategy of several replicas.
    """
    self.actor_period = period = config.actor_update_period
    # The actor: the next actions, its target, its loss. A critic: its target
    # and its loss; the first also the actor's loss, without the gradient of
    # its weights. Nothing goes back from the actor's loss where it is not
    # updated.
    self.train_passes = {
      'actor': 1 + 1 + 1 + 2 / period,
      'critic_1': 1 + 3 + 1 + 1 / period,
      'critic_2': 1 + 3,
    }
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
      raise ValueError(
        'Expected num_gpus of at most 1 with agent=td3: its actor is not '
        'updated at every train step, which replicas cannot do together. '
        f'Received: num_gpus={config.num_gpus}.'
      )
    head = heads.Deterministic(env_spec, config.exploration_noise)
    super().__init__(config, env_spec, head)
    # They cannot be made where it is decided whether the actor is updated.
    steps.build_slots(self.descents)

  def _make_agent(self, config, actor_optimizer, critic_optimizer):
    return Td3Agent(
      ts.time_step_spec(experience.observation_spec(self.env_spec)),
      self.head.action_spec,
      actor_network=self.networks['actor'],
      critic_network=self.networks['critic_1'],
      critic_network_2=self.networks['critic_2'],
      target_actor_network=self._make_target('actor', 'TargetActorNetwork'),
      target_critic_network=self._make_target(
        'critic_1', 'TargetCriticNetwork1'
      ),
      target_critic_network_2=self._make_target(
        'critic_2', 'TargetCriticNetwork2'
      ),
      actor_optimizer=actor_optimizer,
      critic_optimizer=critic_optimizer,
      exploration_noise_std=config.exploration_noise,
      target_update_tau=config.target_update_tau,
      target_update_period=config.target_update_period,
      actor_update_period=config.actor_update_period,
      td_errors_loss_fn=losses.squared_errors,
      gamma=config.gamma,
      reward_scale_factor=config.reward_scale,
      target_policy_noise=config.target_noise,
      target_policy_noise_clip=config.target_noise_clip,
      train_step_counter=replicas.train_step_counter(),
      seed=config.seed,
    )

  @property
  def targets(self):
    agent = self.tf_agent
    return dict(
      zip(self.networks, (agent._target_actor_network, *agent._targets))
    )

  def _is_at(self, name, train_steps, condition):
    if name != 'actor':
      return condition(train_steps)
    # Its optimizer's step is the one after so many of the agent's.
    after = train_steps + 1
    own = condition(after // self.actor_period - 1)
    return (after % self.actor_period == 0) & own

  def fused_step(self, batch_size):
    if type(self.tf_agent) is not Td3Agent or self.scales:
      return None  # Its train step is another.
    return fused.td3(self.tf_agent, self.head, batch_size)

  def probes(self, rows):
    """Targets are those of the next train step.

    The actor's loss is by the critic as it is, and not, as in a train step,
    just updated.
    """
    agent, transition = self.tf_agent, self.experience(rows)
    observations = transition.time_step.observation
    targets = agent.td_targets(transition)

    def actor_losses(outputs):
      actions, critic = self.head(outputs), self.networks['critic_1']
      [q_values] = values_of([critic], observations, actions)
      return losses.deterministic_actor_losses(q_values)

    critic = self.critic_probe(
      transition, lambda q: losses.squared_errors(targets, q)
    )
    return {
      'actor': base.Probe(observations, actor_losses),
      'critic_1': critic,
      'critic_2': critic,
    }
