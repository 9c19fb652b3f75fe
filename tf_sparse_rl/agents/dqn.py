"""Sparse DQN: the algorithm, and its networks."""

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.dqn import dqn_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from tf_sparse_rl.agents import (
  adaptive,
  base,
  experience,
  fused,
  losses,
  network_layers,
  replicas,
  sparse,
  steps,
)
from tf_sparse_rl.networks import heads, stack

_TD_LOSSES = {
  'squared': common.element_wise_squared_loss,
  'huber': common.element_wise_huber_loss,
}


class DqnAgent(dqn_agent.DqnAgent):
  """TF-Agents' DqnAgent, its train step written out.

  It differs in two ways: the target network is evaluated once, not twice, and
  stays exactly sparse (`sparse.update_target`).

  Reference: Mnih et al. 2015, algorithm 1; van Hasselt et al. 2016.
  """

  def __init__(
    self,
    *args,
    double_dqn=False,
    target_update_tau=1.0,
    target_update_period=1,
    candidates=(),
    **kwargs,
  ):
    """Takes TF-Agents' arguments.

    Args:
      *args: see TF-Agents.
      double_dqn: whether the online network selects the next action.
      target_update_tau: see TF-Agents.
      target_update_period: see TF-Agents.
      candidates: the `adaptive.Candidates` of the Q-network, for adaptive
        pruning.
      **kwargs: see TF-Agents.
    """
    super().__init__(*args, **kwargs)
    self._double_dqn = double_dqn
    self._tau, self._period = target_update_tau, target_update_period
    self._candidates = list(candidates)

  def _train(self, experience, weights=None, masks_may_change=True):
    transition = self._as_transition(experience)
    networks = adaptive.all_of([self._q_network], self._candidates)
    targets = self.td_targets(transition)
    with tf.GradientTape() as tape:
      td_losses = [self._td_losses(q, transition, targets) for q in networks]
      loss = steps.mean_loss(tf.add_n(td_losses), networks, weights)
    steps.descend(
      self._optimizer, tape, loss, networks, masks_may_change=masks_may_change
    )
    self.train_step_counter.assign_add(1)
    scalars = adaptive.select(  # Before the target becomes the best of them.
      *(self._candidates, td_losses, self.train_step_counter, masks_may_change)
    )
    steps.every(self._period, self.train_step_counter, self.copy_to_target)
    td_loss = tf.nn.compute_average_loss(td_losses[0])
    if weights is not None:
      scalars[base.PER_SAMPLE] = td_losses[0]
    return tf_agent.LossInfo(loss, {'Losses/td_loss': td_loss, **scalars})

  def _td_losses(self, network, transition, targets):
    """The losses of a Q-network, `[batch]`."""
    now = transition.time_step
    outputs = self.outputs(network, now)
    td_losses = self.losses_of(outputs, transition.action_step.action, targets)
    # No action follows an episode's last observation.
    return td_losses * tf.cast(~now.is_last(), tf.float32)

  def outputs(self, network, time_step):
    """The outputs of the last layer with a kernel of a Q-network."""
    inputs = {'step_type': time_step.step_type, 'training': True}
    return network(time_step.observation, **inputs)[0]

  def values_of(self, outputs, actions):
    """The Q-values of actions, `[batch]`, by `outputs`."""
    return common.index_with_actions(outputs, actions)

  def losses_of(self, outputs, actions, targets):
    """The loss of each sample, `[batch]`, by `outputs` and `td_targets`."""
    return self._td_errors_loss_fn(targets, self.values_of(outputs, actions))

  def td_targets(self, transition):
    """TD targets of a batch of transitions, `[batch]`."""
    following = transition.next_time_step
    inputs = {'step_type': following.step_type}
    next_values, _ = self._target_q_network(following.observation, **inputs)
    if self._double_dqn:
      online, _ = self._q_network(following.observation, **inputs)
      next_values = common.index_with_actions(next_values, heads.argmax(online))
    else:
      next_values = tf.reduce_max(next_values, -1)
    return losses.td_targets(
      self._reward_scale_factor * following.reward,
      self._gamma * following.discount,
      next_values,
    )

  def copy_to_target(self):
    """Moves the target network towards the online one."""
    # Masks may have changed since the last copy.
    return sparse.update_target(
      self._q_network, self._target_q_network, self._tau, masks_may_differ=True
    )


class Dqn(base.Agent):
  """DQN with a sparse Q-network.

  Masks are drawn before the target network is copied.
  """

  agent_class = DqnAgent

  def __init__(self, config, env_spec):
    """Builds the agent for an EnvSpec with discrete actions.

    Raises:
      ValueError: for a network that does not fit the observations.
    """
    self.env_spec, self._config = env_spec, config
    self._td_loss = _TD_LOSSES[config.td_loss]
    networks = adaptive.make_networks(config, self._make_network)
    self.policy_layers = networks[0].layers
    self.networks = {'q_network': networks[0]}
    train_step = replicas.train_step_counter()
    self._epsilon = _epsilon(config, train_step)
    optimizer = sparse.optimizer(
      config, networks, config.learning_rate, epsilon=config.adam_epsilon
    )
    self.optimizers = sparse.sparse_optimizers([('q_network', optimizer)])
    self.descents = [(optimizer, networks)]
    if networks[1:]:
      found = adaptive.Candidates(
        *(config, 'q_network', 0, networks, optimizer)
      )
      self.candidates = {'q_network': found}
    self.tf_agent = self._make_agent(config, optimizer, train_step)
    self.initialize()
    # Target, online forward and backward; Double DQN's choice of an action.
    self.train_passes = {'q_network': 1 + 3 + config.double_dqn}

  def _make_network(self):
    layers = network_layers.of_q_network(self._config, self.env_spec)
    spec = experience.observation_spec(self.env_spec)
    return stack.Network(layers, spec, name='QNetwork')

  def _make_agent(self, config, optimizer, train_step):
    num_actions = self.env_spec.num_actions
    return self.agent_class(
      ts.time_step_spec(experience.observation_spec(self.env_spec)),
      tensor_spec.BoundedTensorSpec([], tf.int32, 0, num_actions - 1, 'action'),
      q_network=self.networks['q_network'],
      optimizer=optimizer,
      epsilon_greedy=self._epsilon,
      target_update_tau=config.target_update_tau,
      target_update_period=config.target_update_period,
      td_errors_loss_fn=self._td_loss,
      gamma=config.gamma,
      reward_scale_factor=config.reward_scale,
      train_step_counter=train_step,
      double_dqn=config.double_dqn,
      candidates=self.candidates.values(),
    )

  @property
  def targets(self):
    return {'q_network': self.tf_agent._target_q_network}

  def act(self, observations, noise):
    """Epsilon-greedy actions from noise that is uniform in [0, 1)."""
    greedy = self.act_greedily(observations)
    for each in self.candidates.values():
      # One network acts in all environments; better ones more often.
      greedy = heads.argmax(each.outputs_of_one(observations, noise[0, 2]))
    random = tf.cast(noise[:, 1] * self.env_spec.num_actions, tf.int32)
    return tf.where(noise[:, 0] < self._epsilon(), random, greedy)

  def greedy_action(self, outputs):
    return heads.argmax(outputs)

  @property
  def noise_size(self):
    return 2 + len(self.candidates)

  def noise(self, rng, num_envs):
    # Checkpoints do not hold the state of TF-Agents' random policy.
    return rng.random((num_envs, self.noise_size), 'float32')

  def no_noise(self, num_envs):
    # Not below any epsilon.
    return np.ones((num_envs, self.noise_size), np.float32)

  def fused_step(self, batch_size):
    config = self._config
    is_own = type(self.tf_agent) is DqnAgent and not self.candidates
    if not is_own or config.priority_exponent:
      return None  # Another train step.
    decay = config.epsilon_decay_env_steps / config.train_period
    is_huber = config.td_loss == 'huber'
    return fused.dqn(self.tf_agent, is_huber, config.epsilon, decay, batch_size)

  def probes(self, rows):
    transition = self.experience(rows)
    actions, agent = transition.action_step.action, self.tf_agent
    targets = agent.td_targets(transition)

    def values(outputs):
      return agent.values_of(outputs, actions)

    def td_losses(outputs):
      return agent.losses_of(outputs, actions, targets)

    observations = transition.time_step.observation
    return {'q_network': base.Probe(observations, td_losses, values)}


def _epsilon(config, train_step):
  """Makes a function without arguments that returns the current epsilon.

  It decays linearly from 1. It is computed from the train step, which is part
  of checkpoints; a train step counts as train_period env steps.
  """

  def epsilon():
    if not config.epsilon_decay_env_steps:
      return config.epsilon
    env_steps = config.train_period * tf.cast(train_step, tf.float32)
    left = tf.maximum(0.0, 1 - env_steps / config.epsilon_decay_env_steps)
    return config.epsilon + (1 - config.epsilon) * left

  return epsilon
