"""Sparse DQN: TF-Agents' own agent around sparse layers."""

import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from tf_sparse_rl import seeds
from tf_sparse_rl.agents import parts, sparse
from tf_sparse_rl.networks import conv, dense, sizes

_TD_LOSSES = {
  'squared': common.element_wise_squared_loss,
  'huber': common.element_wise_huber_loss,
}
_CONVOLUTIONAL = {
  'nature_cnn': conv.nature_cnn,
  'impala_resnet': conv.impala_resnet,
}


class _OnePassDqnAgent(dqn_agent.DqnAgent):
  """TF-Agents' DqnAgent with one pass through the target network, not two.

  Why a subclass: TF-Agents asks the target network once for its Q-values and
  once more, through a policy, for the greedy action to pick among them. What
  comes out is the maximum. The second pass was a fifth of the train step. And
  the target is exactly sparse (`sparse.update_target`).
  """

  def __init__(self, *args, double_dqn, **kwargs):
    super().__init__(*args, **kwargs)
    self._double_dqn = double_dqn

  def _get_target_updater(self, tau=1.0, period=1):
    def update():
      # Masks may have changed since the update before.
      return sparse.update_target(
        self._q_network, self._target_q_network, tau, masks_may_differ=True
      )

    return common.Periodically(update, period, 'periodic_update_targets')

  def _compute_next_q_values(self, next_time_steps, info):
    del info
    q_values, _ = self._target_q_network(
      next_time_steps.observation, step_type=next_time_steps.step_type
    )
    if not self._double_dqn:
      return tf.reduce_max(q_values, -1)
    online, _ = self._q_network(
      next_time_steps.observation, step_type=next_time_steps.step_type
    )
    return tf.gather(q_values, _argmax(online), batch_dims=1)

  def probe(self, transition):
    """What the Q-network learns from each sample; see `parts.Probe`."""
    time_steps, (actions, _, _), next_time_steps = transition
    targets = dqn_agent.compute_td_targets(
      self._compute_next_q_values(next_time_steps, None),
      self._reward_scale_factor * next_time_steps.reward,
      self._gamma * next_time_steps.discount,
    )

    def values(outputs):
      return tf.gather(outputs, actions, batch_dims=1)

    return parts.Probe(
      time_steps.observation,
      lambda outputs: self._td_errors_loss_fn(targets, values(outputs)),
      values,
    )


def build_dqn(config, env_spec):
  """Builds a DQN agent; masks are drawn before the target is copied.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    AgentParts around an initialised `DqnAgent`.

  Raises:
    ValueError: for a network that does not fit the observations.
  """
  layers = q_network_layers(config, env_spec)
  observation_spec = _observation_spec(env_spec)
  network = sequential.Sequential(layers, observation_spec, name='QNetwork')
  optimizer = sparse.optimizer(
    config, network, config.learning_rate, epsilon=config.adam_epsilon
  )
  train_step = parts.train_step_counter()
  epsilon = _epsilon(config, train_step)
  agent = _OnePassDqnAgent(
    ts.time_step_spec(observation_spec),
    tensor_spec.BoundedTensorSpec(
      [], tf.int32, 0, env_spec.num_actions - 1, 'action'
    ),
    q_network=network,
    optimizer=optimizer,
    epsilon_greedy=epsilon,
    target_update_tau=config.target_update_tau,
    target_update_period=config.target_update_period,
    td_errors_loss_fn=_TD_LOSSES[config.td_loss],
    gamma=config.gamma,
    reward_scale_factor=config.reward_scale,
    train_step_counter=train_step,
    double_dqn=config.double_dqn,
  )
  agent.initialize()
  to_experience = parts.to_transition(env_spec)
  return parts.AgentParts(
    agent=agent,
    networks={'q_network': network},
    optimizers=sparse.sparse_optimizers(q_network=optimizer),
    policy_layers=layers,
    # The target, forward and backward online, and what picks the next action.
    train_passes={'q_network': 1 + 3 + config.double_dqn},
    noise_size=2,
    explore=_epsilon_greedy(network, epsilon, env_spec.num_actions),
    greedy_action=_argmax,
    to_experience=to_experience,
    scalars=lambda info: {
      'Losses/td_loss': tf.nn.compute_average_loss(info.extra.td_loss)
    },
    # TF-Agents' random policy has a state that no checkpoint holds.
    sample_noise=lambda rng, num_envs: rng.random((num_envs, 2), 'float32'),
    probes=lambda rows: {'q_network': agent.probe(to_experience(rows))},
  )


def q_network_layers(config, env_spec):
  """The built layers of the Q-network, sparse as the config says.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    List of layers.

  Raises:
    ValueError: for a network that does not fit the observations.
  """
  shape = _input_shape(env_spec)
  if (config.network == 'mlp') != (len(shape) == 1):
    raise ValueError(
      'Expected network=mlp with flat observations, and '
      f'{" or ".join(_CONVOLUTIONAL)} with images. Received: '
      f'network={config.network}, observations of shape {list(shape)}.'
    )

  def make_layers(width):
    units = sizes.hidden_sizes(config.hidden_units, width)
    end = env_spec.num_actions, config.weight_decay
    with sparse.precision(config):
      if config.network == 'mlp':
        return dense.q_layers(units, *end)
      channels = sizes.hidden_sizes(conv.CHANNELS, width)
      return _CONVOLUTIONAL[config.network](channels, units, *end)

  width = sparse.matched_width(config, make_layers, shape)
  # Keras takes the seed of its initialisers from here.
  tf.keras.utils.set_random_seed(
    seeds.derive(config.seed, seeds.Stream.INITIAL_WEIGHTS)
  )
  return sparse.sparse_layers(
    config,
    make_layers(width),
    shape,
    config.sparsity,
    seed=seeds.derive(config.seed, seeds.Stream.NETWORK, 0),
    network='q_network',
  )


def _input_shape(env_spec):
  return env_spec.observation_shape or (env_spec.observation_size,)


def _observation_spec(env_spec):
  shape = _input_shape(env_spec)
  if not env_spec.observation_shape:
    return tf.TensorSpec(shape, tf.float32, 'observation')
  # A list, for TF-Agents adds 1 to a bare 255, and NumPy 2 has that as 0.
  return tensor_spec.BoundedTensorSpec(shape, tf.uint8, 0, [255], 'observation')


def _argmax(q_values):
  return tf.argmax(q_values, -1, output_type=tf.int32)


def _epsilon(config, train_step):
  """The share of random actions: a number, or a function if it changes.

  It falls linearly from 1, and by train steps, which checkpoints hold: each of
  them stands for train_period env steps.
  """
  if not config.epsilon_decay_env_steps:
    return config.epsilon

  def epsilon():
    env_steps = config.train_period * tf.cast(train_step, tf.float32)
    left = tf.maximum(0.0, 1 - env_steps / config.epsilon_decay_env_steps)
    return config.epsilon + (1 - config.epsilon) * left

  return epsilon


def _epsilon_greedy(network, epsilon, num_actions):
  """Acts at random with probability epsilon; noise is uniform `[envs, 2]`."""

  def explore(observations, noise):
    greedy = _argmax(network(observations)[0])
    random = tf.cast(noise[:, 1] * num_actions, tf.int32)
    share = epsilon() if callable(epsilon) else epsilon
    return tf.where(noise[:, 0] < share, random, greedy)

  return explore
