"""Sparse PPO: TF-Agents' own agent around sparse layers."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from tf_sparse_rl import seeds
from tf_sparse_rl.agents import parts, sparse
from tf_sparse_rl.networks import dense, normalizer
from tf_sparse_rl.networks import sizes as sizes_lib

# Each network has a seed of its own, derived from the run's.
_ACTOR, _VALUE = range(2)
_INITIAL_STD = 0.35  # paper's code, and TF-Agents
_CLIP_OBSERVATION, _CLIP_REWARD = 5.0, 10.0  # standard deviations; the same


class _PpoAgent(ppo_clip_agent.PPOClipAgent):
  """TF-Agents' PPOClipAgent for single env steps, with a falling rate.

  Why a subclass:

  * TF-Agents passes `[batch, time, ...]` through its networks; here batches
    are of single env steps, and networks and losses see `[batch, ...]`, as
    its losses ask for and native kernels need;
  * the learning rate follows the train step, so that it is resumed with it;
  * the entropy, computed on the way, is handed out instead of thrown away.
  """

  def __init__(self, *args, learning_rate, schedule, **kwargs):
    super().__init__(*args, **kwargs)
    self._learning_rate = learning_rate
    self._schedule = schedule
    self.entropy = None

  def _train(self, experience, weights):
    self._learning_rate.assign(self._schedule(self.train_step_counter))
    return super()._train(experience, weights)

  def get_loss(self, *args, **kwargs):
    """See PPOAgent; takes away the time dimension, which is 1."""

    def squeeze(value):
      is_batch = tf.is_tensor(value) and value.shape.rank > 1
      return tf.squeeze(value, axis=1) if is_batch else value

    args = tf.nest.map_structure(squeeze, args)
    kwargs = tf.nest.map_structure(squeeze, kwargs)
    return super().get_loss(*args, **kwargs)

  def policy_gradient_loss(
    self, time_steps, actions, log_probs, advantages, distribution, *args, **kw
  ):
    """See PPOAgent."""
    self.entropy = tf.reduce_mean(distribution.entropy())
    return super().policy_gradient_loss(
      time_steps, actions, log_probs, advantages, distribution, *args, **kw
    )


class _GaussianHead(tf.keras.layers.Layer):
  """A Gaussian around the squashed mean; its width is learned by itself."""

  def __init__(self, env_spec):
    super().__init__(name='gaussian')
    low, high = np.array([env_spec.action_low, env_spec.action_high], 'float32')
    self._middle, self._scale = (high + low) / 2, (high - low) / 2
    self.noise_size = env_spec.action_size
    self.action_spec = tensor_spec.BoundedTensorSpec(
      [env_spec.action_size], tf.float32, low, high, 'action'
    )

  def build(self, input_shape):
    self.std_bias = self.add_weight(
      'std_bias',
      [self.noise_size],
      tf.float32,
      tf.keras.initializers.Constant(math.log(math.exp(_INITIAL_STD) - 1)),
    )
    super().build(input_shape)

  def call(self, outputs):
    mean = self.mode(outputs)
    scale = tf.zeros_like(mean) + tf.nn.softplus(self.std_bias)
    return tfp.distributions.MultivariateNormalDiag(mean, scale)

  def mode(self, outputs):
    return self._middle + self._scale * tf.tanh(outputs)

  def act(self, outputs, noise):
    """Actions from standard normal noise; they may exceed the bounds."""
    return self.mode(outputs) + tf.nn.softplus(self.std_bias) * noise

  def snapshot(self):
    """`act` as it is now, in NumPy."""
    std = tf.nn.softplus(self.std_bias).numpy()
    middle, scale = self._middle, self._scale
    return lambda outputs, noise: (
      middle + scale * np.tanh(outputs) + std * noise
    )

  def sample_noise(self, rng, num_envs):
    return rng.standard_normal((num_envs, self.noise_size), 'float32')

  def parameters(self, outputs):
    """What a distribution is kept as, `[batch, parameters]`."""
    distribution = self(outputs)
    return tf.concat([distribution.mean(), distribution.stddev()], axis=-1)

  def from_parameters(self, parameters):
    """The same as TF-Agents has it in its policy info."""
    loc, scale = tf.split(parameters, 2, axis=-1)
    return {'loc': loc, 'scale_diag': scale}

  def from_kept(self, kept):
    """The distribution of what `from_parameters` returned."""
    return tfp.distributions.MultivariateNormalDiag(**kept)


class _CategoricalHead(tf.keras.layers.Layer):
  """One probability an action."""

  def __init__(self, env_spec):
    super().__init__(name='categorical')
    self.noise_size = env_spec.num_actions
    self.action_spec = tensor_spec.BoundedTensorSpec(
      [], tf.int32, 0, env_spec.num_actions - 1, 'action'
    )

  def call(self, outputs):
    return tfp.distributions.Categorical(logits=outputs, dtype=tf.int32)

  def mode(self, outputs):
    return tf.argmax(outputs, -1, output_type=tf.int32)

  def act(self, outputs, noise):
    """Actions from Gumbel noise."""
    return self.mode(outputs + noise)

  def snapshot(self):
    """See _GaussianHead."""
    return lambda outputs, noise: np.int32(np.argmax(outputs + noise, axis=-1))

  def sample_noise(self, rng, num_envs):
    return np.float32(rng.gumbel(size=(num_envs, self.noise_size)))

  def parameters(self, outputs):
    """See _GaussianHead."""
    return outputs

  def from_parameters(self, parameters):
    """See _GaussianHead."""
    return {'logits': parameters}

  def from_kept(self, kept):
    """See _GaussianHead."""
    return tfp.distributions.Categorical(**kept, dtype=tf.int32)


class _Rollouts(tf.Module):
  """From what was collected to what is trained on, and the scales of both."""

  def __init__(self, config, env_spec, actor_layers, head, value_layers):
    super().__init__(name='rollouts')
    self._config = config
    size = env_spec.observation_size
    self.normalizer = normalizer.Normalizer(
      _CLIP_OBSERVATION, name='observations'
    )
    self.normalizer.build([None, size])
    self.reward_normalizer = normalizer.Normalizer(
      _CLIP_REWARD, center=False, name='rewards'
    )
    self.reward_normalizer.build([None])
    self._actor_layers, self._value_layers = actor_layers, value_layers
    self._head = head
    self._discrete = env_spec.num_actions is not None
    self._columns = (size, env_spec.action_size, 1, 1, size, 1)
    num_parameters = head.noise_size * (1 if self._discrete else 2)
    self._sizes = (size, env_spec.action_size, 1, 1, 1, num_parameters)
    self.row_size = sum(self._sizes)
    observations = tf.TensorSpec([None, size], tf.float32)
    self._predict = tf.function(
      self._predictions, autograph=False
    ).get_concrete_function(
      observations, observations, tf.TensorSpec([None], tf.float32)
    )
    self._learn = tf.function(
      self._learn_scales, autograph=False
    ).get_concrete_function(observations, tf.TensorSpec([None], tf.float32))

  def prepare(self, rows):
    """What one rollout trains on.

    Args:
      rows: as `Rollout.latest` returned them, `[env steps, ...]`, those of
        `num_envs` environments in turn.

    Returns:
      float32 `[env steps, row_size]`: normalised observation, action, return,
      advantage, value, parameters of the policy's distribution then.
    """
    config = self._config
    observation, action, reward, discount, following, over = np.split(
      rows, np.cumsum(self._columns)[:-1], axis=1
    )
    scaled, rewards, values, next_values, parameters = (
      tensor.numpy()
      for tensor in self._predict(observation, following, reward[:, 0])
    )
    errors = rewards + config.gamma * discount[:, 0] * next_values - values
    decays = config.gamma * config.gae_lambda * (1 - over[:, 0])
    # In each environment by itself.
    advantages = generalized_advantages(
      errors.reshape(-1, config.num_envs), decays.reshape(-1, config.num_envs)
    ).ravel()
    columns = (advantages + values, advantages, values)
    return np.concatenate(
      [scaled, action, np.stack(columns, axis=1), parameters], axis=1
    )

  def snapshot(self):
    """The policy as it is now, in NumPy, to collect a rollout with.

    For networks as small as these a call of a graph takes many times longer
    than their arithmetic.

    Returns:
      Function of observations and noise to actions; see `AgentParts.explore`.
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
    """Takes a rollout into the statistics; see `prepare`."""
    size, action_size = self._columns[:2]
    self._learn(rows[:, :size], rows[:, size + action_size])

  def to_experience(self, rows):
    """A TF-Agents Trajectory `[batch, 1, ...]` of rows of `prepare`."""
    observation, action, returns, advantage, value, parameters = tf.split(
      rows[:, tf.newaxis], self._sizes, axis=-1
    )
    if self._discrete:
      action = tf.cast(action[..., 0], tf.int32)
    middle = tf.fill([rows.shape[0], 1], ts.StepType.MID)
    ones = tf.ones([rows.shape[0], 1])
    info = {
      'dist_params': self._head.from_parameters(parameters),
      'value_prediction': value[..., 0],
      'return': returns[..., 0],
      'advantage': advantage[..., 0],
    }
    return trajectory.Trajectory(
      middle, observation, action, info, middle, ones, ones
    )

  def _predictions(self, observations, following, rewards):
    scaled = self.normalizer(observations)
    values = _call(self._value_layers, scaled)[:, 0]
    next_values = _call(self._value_layers, self.normalizer(following))[:, 0]
    parameters = self._head.parameters(_call(self._actor_layers, scaled))
    rewards = self.reward_normalizer(rewards)
    return scaled, rewards, values, next_values, parameters

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
  return (
    plain.kernel.numpy(),
    plain.bias.numpy(),
    activations[plain.activation],
  )


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


def build_ppo(config, env_spec):
  """Builds a PPO agent with an actor and a value network.

  One optimizer trains both, as TF-Agents has it; it clips the masked
  gradients of both together, where the paper's code clipped dense ones.

  Args:
    config: a Config.
    env_spec: an EnvSpec, of discrete or continuous actions.

  Returns:
    AgentParts around an initialised `PPOClipAgent`.
  """
  # Keras takes the seed of its initialisers from here.
  tf.keras.utils.set_random_seed(
    seeds.derive(config.seed, seeds.Stream.INITIAL_WEIGHTS)
  )
  size = env_spec.observation_size
  observation_spec = tf.TensorSpec([size], tf.float32, 'observation')
  discrete = env_spec.num_actions is not None
  head = _CategoricalHead(env_spec) if discrete else _GaussianHead(env_spec)
  actor_layers, value_layers = _layers(config, env_spec)
  actor = sequential.Sequential(
    [*actor_layers, head], observation_spec, name='Actor'
  )
  flatten = tf.keras.layers.Lambda(lambda value: tf.squeeze(value, axis=-1))
  value = sequential.Sequential(
    [*value_layers, flatten], observation_spec, name='Value'
  )
  learning_rate = tf.Variable(
    config.learning_rate, trainable=False, name='learning_rate'
  )
  optimizer = sparse.optimizer(
    config,
    [actor, value],
    learning_rate,
    epsilon=1e-5,  # paper's code
    global_clipnorm=config.max_gradient_norm or None,
  )
  agent = _PpoAgent(
    ts.time_step_spec(observation_spec),
    head.action_spec,
    optimizer=optimizer,
    actor_net=actor,
    value_net=value,
    importance_ratio_clipping=config.clip_ratio,
    discount_factor=config.gamma,
    lambda_value=config.gae_lambda,
    entropy_regularization=config.entropy_weight,
    policy_l2_reg=config.weight_decay,
    value_function_l2_reg=config.weight_decay,
    value_pred_loss_coef=config.value_loss_weight,
    num_epochs=1,
    # What follows is done by _Rollouts, once a rollout.
    use_gae=True,
    use_td_lambda_return=True,
    normalize_rewards=False,
    normalize_observations=False,
    compute_value_and_advantage_in_train=False,
    update_normalizers_in_train=False,
    train_step_counter=tf.Variable(0, dtype=tf.int64, name='train_step'),
    learning_rate=learning_rate,
    schedule=_falling(config),
  )
  agent.initialize()
  rollouts = _Rollouts(config, env_spec, actor_layers, head, value_layers)
  agent.rollouts = rollouts  # Its statistics belong into checkpoints.
  policy_layers = [rollouts.normalizer, *actor_layers]
  return parts.AgentParts(
    agent=agent,
    networks={'actor': actor, 'value': value},
    optimizers=sparse.sparse_optimizers(actor=optimizer, value=optimizer),
    policy_layers=policy_layers,
    # Forward and backward, in each epoch; before these, forward once.
    train_passes={'actor': 3, 'value': 3},
    noise_size=head.noise_size,
    explore=lambda observations, noise: head.act(
      _call(policy_layers, observations), noise
    ),
    greedy_action=head.mode,
    to_experience=rollouts.to_experience,
    scalars=lambda info: _scalars(agent, info),
    sample_noise=head.sample_noise,
    probes=lambda rows: _probes(config, rollouts, head, rows),
    rollouts=rollouts,
  )


def _layers(config, env_spec):
  """The built layers of the actor and of the value network."""
  size = env_spec.observation_size
  outputs = env_spec.num_actions or env_spec.action_size
  units = [
    sizes_lib.hidden_sizes(config.hidden_units, width)
    for width in (config.actor_width, config.value_width)
  ]
  if config.match_sparsity:
    matched = sparse.matched_units(
      config, units[0], [(size, outputs), (size, 1)]
    )
    units = [matched, matched]
  initializers = tf.keras.initializers
  plans = (
    (
      *(units[0], outputs, 'tanh', initializers.VarianceScaling(0.1)),
      *(config.actor_sparsity, _ACTOR, 'actor'),
    ),
    (
      *(units[1], 1, 'relu', initializers.RandomUniform(-0.03, 0.03)),
      *(config.value_sparsity, _VALUE, 'value'),
    ),
  )
  networks = []
  for *plan, sparsity, index, name in plans:
    with sparse.precision(config):
      layers = dense.orthogonal_layers(*plan)
    # TF-Agents orders the variables of both networks by name, and those of
    # one name by their address: clipping would not add up the same twice.
    with tf.name_scope(name):
      networks.append(
        sparse.sparse_layers(
          config,
          layers,
          [size],
          sparsity,
          seed=seeds.derive(config.seed, seeds.Stream.NETWORK, index),
          network=name,
        )
      )
  return networks


def _falling(config):
  """Learning rate by train step: falls to 0, rollout by rollout."""
  in_rollout = config.num_epochs * (
    config.rollout_env_steps // config.batch_size
  )
  rollouts = config.num_train_steps // in_rollout

  def schedule(train_step):
    done = tf.cast(train_step // in_rollout, tf.float32)
    return config.learning_rate * (1 - done / rollouts)

  return schedule


def _probes(config, rollouts, head, rows):
  """What each network learns from each sample; see `parts.Probe`."""
  experience = rollouts.to_experience(rows)
  info = tf.nest.map_structure(lambda x: x[:, 0], experience.policy_info)
  action = experience.action[:, 0]
  old = head.from_kept(info['dist_params']).log_prob(action)
  mean, variance = tf.nn.moments(info['advantage'], axes=[0])
  advantages = (info['advantage'] - mean) * tf.math.rsqrt(variance + 1e-8)

  def actor_losses(outputs):
    distribution = head(outputs)
    ratio = tf.exp(distribution.log_prob(action) - old)
    low, high = 1 - config.clip_ratio, 1 + config.clip_ratio
    clipped = tf.clip_by_value(ratio, low, high)
    gain = tf.minimum(ratio * advantages, clipped * advantages)
    return -gain - config.entropy_weight * distribution.entropy()

  def values(outputs):
    return outputs[:, 0]

  def value_losses(outputs):
    errors = info['return'] - values(outputs)
    return config.value_loss_weight * tf.square(errors)

  observation = experience.observation[:, 0]
  return {
    'actor': parts.Probe(observation, actor_losses),
    'value': parts.Probe(observation, value_losses, values),
  }


def _scalars(agent, info):
  losses = info.extra
  return {
    'Losses/policy_gradient_loss': losses.policy_gradient_loss,
    'Losses/value_loss': losses.value_estimation_loss,
    'Losses/l2_loss': losses.l2_regularization_loss,
    'Agent/clip_fraction': losses.clip_fraction,
    'Agent/entropy': agent.entropy,
    'Agent/learning_rate': agent._learning_rate,  # pylint: disable=protected-access
  }


def _call(layers, inputs):
  for layer in layers:
    inputs = layer(inputs)
  return inputs
