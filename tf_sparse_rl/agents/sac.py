"""Sparse SAC: TF-Agents' own agent around sparse layers."""

import math
import threading
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents import tf_agent
from tf_agents.agents.sac import sac_agent
from tf_agents.distributions import utils as distribution_utils
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from tf_sparse_rl import seeds
from tf_sparse_rl.agents import parts, sparse
from tf_sparse_rl.networks import dense
from tf_sparse_rl.networks import sizes as sizes_lib

# Each network has a seed of its own, derived from the run's.
_ACTOR, _CRITIC_1, _CRITIC_2 = range(3)


class Network(NamedTuple):
  """Size of the actor or of a critic."""

  inputs: int
  units: tuple  # of each hidden layer
  outputs: int
  sparsity: float

  @property
  def sizes(self):
    """Units of the input and of each layer."""
    return (self.inputs, *self.units, self.outputs)


class _Trace(threading.local):
  """What the losses of one train step share; not part of any checkpoint.

  Each thread has its own, for replicas are traced in threads, side by side.
  """

  def __init__(self):
    self.begin()

  def begin(self):
    """Forgets the train step before."""
    self.draws = []  # (actions, log probabilities), in the order of use
    self.statistics = {}  # {tag: scalar}


class _SacAgent(sac_agent.SacAgent):
  """TF-Agents' SacAgent whose random numbers belong to the run's seed.

  Why a subclass: TF-Agents samples actions by operations that keep a state of
  their own, which no checkpoint holds. Here they follow from the seed and the
  train step. And for speed, with equal values unless it says otherwise:

  * the log probability of a squashed Gaussian is written out;
  * the temperature's loss takes the actions of the actor's, as Haarnoja et
    al. 2018 do, where TF-Agents asks the just updated actor for others;
  * masks go to the targets when they change, not at every update of these;
    targets are exactly sparse (`sparse.update_target`);
  * statistics computed on the way are handed out instead of thrown away.
  """

  def __init__(self, *args, squash, seed, **kwargs):
    self._squash = squash
    self._seed = seed
    self._trace = _Trace()
    super().__init__(*args, **kwargs)

  def _convert_optimizer_to_legacy(self, optimizer):
    return optimizer

  def _train(self, experience, weights):
    self._trace.begin()
    self._trace.statistics['Agent/alpha'] = tf.exp(self._log_alpha)
    info = super()._train(experience, weights)
    losses = {f'Losses/{k}': v for k, v in info.extra._asdict().items()}
    return tf_agent.LossInfo(info.loss, {**losses, **self._trace.statistics})

  def _loss(self, *args, **kwargs):
    self._trace.begin()
    return super()._loss(*args, **kwargs)

  def _actions_and_log_probs(self, time_steps, training=False):
    del training
    draws = self._trace.draws
    if len(draws) == 2:
      return draws[1]  # In the temperature's loss.
    parameters = _call(self._actor_network.layers[:-1], time_steps.observation)
    draws.append(self._sample(parameters, len(draws)))
    return draws[-1]

  def _sample(self, parameters, index):
    """The index-th actions and log probabilities of this train step."""
    # For the whole batch, so that it does not depend on how this is shared.
    seed = seeds.derive(self._seed, seeds.Stream.TRAIN_NOISE, index)
    noise = tf.random.stateless_normal(
      [parts.num_replicas() * parameters.shape[0], parameters.shape[1] // 2],
      seed=tf.stack([tf.constant(seed, tf.int64), self.train_step_counter]),
    )
    return self._squash.sample(parameters, parts.share_of_replica(noise))

  def probes(self, transition):
    """What each network learns from each sample; see `parts.Probe`.

    With the actions that the next train step will draw. The actor's loss is
    by the critics as they are, and not, as in a train step, just updated.
    """
    time_steps, (actions, _, _), next_time_steps = transition
    observations, following = (
      steps.observation for steps in (time_steps, next_time_steps)
    )
    alpha = tf.exp(self._log_alpha)

    def q_values(critics, observations, actions):
      return tf.reduce_min(
        [critic((observations, actions))[0] for critic in critics], axis=0
      )

    next_actions, next_log_pi = self._sample(
      _call(self._actor_network.layers[:-1], following), 0
    )
    next_q_values = q_values(
      (self._target_critic_network_1, self._target_critic_network_2),
      following,
      next_actions,
    )
    targets = (
      self._reward_scale_factor * next_time_steps.reward
      + self._gamma
      * next_time_steps.discount
      * (next_q_values - alpha * next_log_pi)
    )
    critics = (self._critic_network_1, self._critic_network_2)

    def actor_losses(parameters):
      chosen, log_pi = self._sample(parameters, 1)
      return alpha * log_pi - q_values(critics, observations, chosen)

    def critic_losses(outputs):
      return self._critic_loss_weight * self._td_errors_loss_fn(
        targets, outputs[:, 0]
      )

    critic = parts.Probe(
      tf.concat([observations, actions], axis=-1),
      critic_losses,
      lambda outputs: outputs[:, 0],
    )
    return {
      'actor': parts.Probe(observations, actor_losses),
      'critic_1': critic,
      'critic_2': critic,
    }

  def _get_target_updater(self, tau=1.0, period=1):
    pairs = (
      (self._critic_network_1, self._target_critic_network_1),
      (self._critic_network_2, self._target_critic_network_2),
    )

    def update():
      # A target that is behind may have masks to catch up with.
      may_differ = period > 1 or sparse.masks_may_change(self._critic_optimizer)
      for online, target in pairs:
        sparse.update_target(online, target, tau, may_differ)
      return tf.group()

    return common.Periodically(update, period, 'update_targets')

  def _critic_loss_debug_summaries(self, td_targets, q_values_1, q_values_2):
    del td_targets
    for name, values in {
      'q_value_1': q_values_1,
      'q_value_2': q_values_2,
    }.items():
      self._trace.statistics[f'Agent/{name}'] = tf.reduce_mean(values)

  def _actor_loss_debug_summaries(self, actor_loss, actions, log_pi, *args):
    del actor_loss, actions, args
    self._trace.statistics['Agent/entropy'] = -tf.reduce_mean(log_pi)


class _Squash:
  """Actions as tanh of a Gaussian, within the bounds of an environment.

  Parameters are what the actor says, `[batch, 2 * action_size]`: means, then
  logarithms of standard deviations.
  """

  def __init__(self, env_spec):
    low, high = np.array([env_spec.action_low, env_spec.action_high], 'float32')
    self._middle, self._scale = (high + low) / 2, (high - low) / 2
    self.spec = tensor_spec.BoundedTensorSpec(
      [env_spec.action_size], tf.float32, low, high, 'action'
    )

  def distribution(self, parameters):
    """The same as a TF-Agents distribution, for its policies."""
    mean, log_std = tf.split(parameters, 2, axis=-1)
    return distribution_utils.scale_distribution_to_spec(
      tfp.distributions.MultivariateNormalDiag(mean, tf.exp(log_std)), self.spec
    )

  def act(self, parameters, noise):
    """Actions from standard normal noise, both `[batch, action_size]`."""
    mean, log_std = tf.split(parameters, 2, axis=-1)
    return self._bound(tf.tanh(mean + tf.exp(log_std) * noise))

  def mode(self, parameters):
    """The action of the mean."""
    return self._bound(tf.tanh(tf.split(parameters, 2, axis=-1)[0]))

  def sample(self, parameters, noise):
    """Actions and their log probabilities `[batch]`."""
    mean, log_std = tf.split(parameters, 2, axis=-1)
    before = mean + tf.exp(log_std) * noise
    # log(1 - tanh(x)^2) without cancellation.
    log_slope = 2 * (math.log(2) - before - tf.nn.softplus(-2 * before))
    constants = np.log(self._scale) + 0.5 * math.log(2 * math.pi)
    log_pi = -tf.reduce_sum(
      0.5 * noise**2 + log_std + log_slope + constants, axis=-1
    )
    return self._bound(tf.tanh(before)), log_pi

  def _bound(self, squashed):
    return self._middle + self._scale * squashed


def build_sac(config, env_spec):
  """Builds a SAC agent; masks are drawn before the targets are copied.

  Both critics have masks of their own. One optimizer trains both, as
  TF-Agents has it.

  Args:
    config: a Config.
    env_spec: an EnvSpec with continuous actions.

  Returns:
    AgentParts around an initialised `SacAgent`.

  Raises:
    ValueError: for an actor_parameter_share that the networks cannot meet.
  """
  actor_plan, critic_plan = plan_networks(config, env_spec)
  # Keras takes the seed of its initialisers from here.
  tf.keras.utils.set_random_seed(
    seeds.derive(config.seed, seeds.Stream.INITIAL_WEIGHTS)
  )
  squash = _Squash(env_spec)
  observation_spec = tf.TensorSpec(
    [env_spec.observation_size], tf.float32, 'observation'
  )
  actor_layers = _layers(config, actor_plan, _ACTOR, 'actor')
  actor = sequential.Sequential(
    [*actor_layers, tf.keras.layers.Lambda(squash.distribution)],
    observation_spec,
    name='Actor',
  )
  critics = [
    _critic(
      _layers(config, critic_plan, index, 'critic'),
      (observation_spec, squash.spec),
      name=f'Critic{index}',
    )
    for index in (_CRITIC_1, _CRITIC_2)
  ]
  actor_optimizer = sparse.optimizer(config, actor, config.actor_learning_rate)
  critic_optimizer = sparse.optimizer(
    config, critics, config.critic_learning_rate
  )
  agent = _SacAgent(
    ts.time_step_spec(observation_spec),
    squash.spec,
    critic_network=critics[0],
    critic_network_2=critics[1],
    actor_network=actor,
    actor_optimizer=actor_optimizer,
    critic_optimizer=critic_optimizer,
    alpha_optimizer=tf.keras.optimizers.legacy.Adam(config.alpha_learning_rate),
    target_update_tau=config.target_update_tau,
    target_update_period=config.target_update_period,
    gamma=config.gamma,
    reward_scale_factor=config.reward_scale,
    initial_log_alpha=config.initial_log_alpha,
    target_entropy=config.target_entropy_per_action * env_spec.action_size,
    train_step_counter=parts.train_step_counter(),
    squash=squash,
    seed=config.seed,
  )
  agent.initialize()
  to_experience = parts.to_transition(env_spec)
  return parts.AgentParts(
    agent=agent,
    networks={'actor': actor, 'critic_1': critics[0], 'critic_2': critics[1]},
    optimizers=sparse.sparse_optimizers(
      actor=actor_optimizer,
      critic_1=critic_optimizer,
      critic_2=critic_optimizer,
    ),
    policy_layers=actor_layers,
    # The actor: the next actions, its loss, the temperature's loss. A critic:
    # its target, its loss, and the actor's loss without the weights' gradient.
    train_passes={'actor': 1 + 3 + 1, 'critic_1': 6, 'critic_2': 6},
    noise_size=env_spec.action_size,
    explore=lambda observations, noise: squash.act(
      _call(actor_layers, observations), noise
    ),
    greedy_action=squash.mode,
    to_experience=to_experience,
    scalars=lambda info: info.extra,
    sample_noise=lambda rng, num_envs: rng.standard_normal(
      (num_envs, env_spec.action_size), 'float32'
    ),
    probes=lambda rows: agent.probes(to_experience(rows)),
  )


def _critic(layers, input_spec, name):
  """A network from (observations, actions) to Q-values `[batch]`."""
  join = tf.keras.layers.Lambda(lambda inputs: tf.concat(inputs, axis=-1))
  flatten = tf.keras.layers.Lambda(lambda q: tf.squeeze(q, axis=-1))
  return sequential.Sequential([join, *layers, flatten], input_spec, name=name)


def plan_networks(config, env_spec):
  """Sizes and sparsities of the actor and of each critic.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    (Network, Network): of the actor, and of each of the two critics.

  Raises:
    ValueError: for an actor_parameter_share that the networks cannot meet.

  Reference: paper section 4, "different actor and critic sparsities".
  """
  actor_ends = (env_spec.observation_size, 2 * env_spec.action_size)
  critic_ends = (env_spec.observation_size + env_spec.action_size, 1)
  if config.actor_parameter_share:
    return _plan_by_share(config, actor_ends, critic_ends)
  units = [
    sizes_lib.hidden_sizes(config.hidden_units, width)
    for width in (config.actor_width, config.critic_width)
  ]
  if config.match_sparsity:
    matched = sparse.matched_units(
      config, units[0], [actor_ends, critic_ends, critic_ends]
    )
    units = [matched, matched]
  return (
    Network(actor_ends[0], units[0], actor_ends[1], config.actor_sparsity),
    Network(critic_ends[0], units[1], critic_ends[1], config.critic_sparsity),
  )


def _plan_by_share(config, actor_ends, critic_ends):
  """The pair of widths, if dense, or of sparsities that meets the budget."""
  plans = [
    Network(ends[0], config.hidden_units, ends[1], 0.0)
    for ends in (actor_ends, critic_ends)
  ]
  actor, critic = (sizes_lib.num_dense_parameters(p.sizes) for p in plans)
  budget = config.parameter_budget * (actor + 2 * critic)
  share = config.actor_parameter_share
  targets = (share * budget, (1 - share) * budget / 2)
  if config.method == 'dense':
    return tuple(map(_plan_dense, ('actor', 'critic'), plans, targets))
  return tuple(
    plan._replace(
      sparsity=sizes_lib.matching_sparsity(name, plan.sizes, target)
    )
    for name, plan, target in zip(('actor', 'critic'), plans, targets)
  )


def _plan_dense(name, plan, num_parameters):
  """The widths at which a dense network comes nearest to its share."""
  units = sizes_lib.matching_units(
    plan.units, [(plan.inputs, plan.outputs)], num_parameters
  )
  plan = plan._replace(units=units)
  count = sizes_lib.num_dense_parameters(plan.sizes)
  if set(units) == {1} and count > 1.05 * num_parameters:
    raise ValueError(
      f'Expected at least {count} parameters, those of one unit a layer, for '
      f'the {name}. Received: {num_parameters:.0f}. Choose another '
      'parameter_budget or actor_parameter_share.'
    )
  return plan


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


def _call(layers, inputs):
  for layer in layers:
    inputs = layer(inputs)
  return inputs
