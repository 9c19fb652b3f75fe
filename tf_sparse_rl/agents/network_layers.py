"""The built layers of each agent's networks; no TF-Agents."""

import functools

import tensorflow as tf

from tf_sparse_rl.agents import sizing, sparse
from tf_sparse_rl.networks import (
  atoms,
  conv,
  dense,
  normalizer,
  residual,
  simba,
  sizes,
)

_CLIP_OBSERVATION = 5.0  # Standard deviations; the paper's.
_CONVOLUTIONAL = {
  'nature_cnn': conv.nature_cnn,
  'impala_resnet': conv.impala_resnet,
}


def of_q_network(config, env_spec):
  """Builds the layers of the Q-network.

  Raises:
    ValueError: for a network that does not fit the observations.
  """
  shape = env_spec.observation_shape or (env_spec.observation_size,)
  config.check_observation(env_spec)

  def make_layers(width):
    units = sizes.hidden_sizes(config.hidden_units, width)
    end = env_spec.num_actions * config.num_atoms, config.weight_decay
    if not config.is_convolutional:
      return dense.q_layers(units, *end, config.layer_norm)
    channels = sizes.hidden_sizes(conv.CHANNELS, width)
    return _CONVOLUTIONAL[config.network](channels, units, *end)

  width = sizing.matched_width(config, make_layers, shape)
  sparse.seed_initializers(config)
  layers = sparse.make_layers(
    *(config, env_spec, lambda: make_layers(width)),
    *(shape, config.sparsity, 'q_network', 0),
  )
  if config.num_atoms > 1:
    layers.append(_expected_values(config, env_spec.num_actions))
  return layers


def _expected_values(config, num_actions):
  """Builds the layer from the logits of C51 to Q-values."""
  layer = atoms.ExpectedValues(
    *(num_actions, config.num_atoms, config.min_q_value, config.max_q_value),
    dtype='float32',
    name='q_values',
  )
  layer.build([None, num_actions * config.num_atoms])
  return layer


def plan_actor_critic(config, env_spec, num_outputs):
  """Plans the actor and each of the two critics; see `sizing.plan`.

  Args:
    config: a Config.
    env_spec: an EnvSpec.
    num_outputs: outputs of the actor before its head.

  Returns:
    List of two `sizing.Plan`.
  """
  size, action_size = env_spec.observation_size, env_spec.action_size
  return sizing.plan(
    config,
    ends=[(size, num_outputs), (size + action_size, 1)],
    units=[config.units_of_actor, config.hidden_units],
    widths=[config.actor_width, config.critic_width],
    sparsities=[config.actor_sparsity, config.critic_sparsity],
    copies=[1, 2],
  )


def of_actor_critic(config, env_spec, plan, index, network):
  """Builds the layers of an actor or a critic.

  With images each network has an encoder of its own, so that masks and
  sparsities belong to one network, as in the paper. Yarats et al. 2021 (arXiv
  1910.01741) share one encoder, which only the critics train.
  """
  shape = env_spec.observation_shape
  is_critic = network == 'critic'

  def make():
    end = plan.outputs, config.weight_decay
    if config.network == 'simba':
      return simba.simba_layers(plan.units, *end)
    layers = dense.glorot_layers(plan.units, *end, config.layer_norm)
    if not config.is_convolutional:
      return layers
    width = config.critic_width if is_critic else config.actor_width
    torso = conv.torso(config.network, width, config.weight_decay)
    if is_critic:
      torso = [residual.Encoder(torso, name='encoder')]
    return [*torso, *layers]

  input_shape = shape or [plan.inputs]
  if shape and is_critic:
    input_shape = [shape, [env_spec.action_size]]
  return sparse.make_layers(
    *(config, env_spec, make, input_shape),
    *(plan.sparsity, network, index),
  )


def of_actor_and_value(config, env_spec, head):
  """Builds the layers of PPO's actor, without head, and value network."""
  size, shape = env_spec.observation_size, env_spec.observation_shape
  actor_plan, value_plan = sizing.plan(
    config,
    ends=[(size, head.num_outputs), (size, 1)],
    units=[config.hidden_units] * 2,
    widths=[config.actor_width, config.value_width],
    sparsities=[config.actor_sparsity, config.value_sparsity],
    copies=[1, 1],
  )
  sparse.seed_initializers(config)
  initializers = tf.keras.initializers
  kinds = [
    ('actor', actor_plan, 'tanh', initializers.VarianceScaling(0.1)),
    ('value', value_plan, 'relu', initializers.RandomUniform(-0.03, 0.03)),
  ]
  widths = {'actor': config.actor_width, 'value': config.value_width}

  def make(name, plan, *last):
    layers = dense.orthogonal_layers(
      plan.units, plan.outputs, *last, config.layer_norm
    )
    if not config.is_convolutional:
      return layers
    # The L2 loss is `PpoAgent.l2_loss`.
    return [*conv.torso(config.network, widths[name]), *layers]

  return [
    sparse.make_layers(
      *(config, env_spec, functools.partial(make, name, plan, *last)),
      *(shape or [size], plan.sparsity, name, index),
    )
    for index, (name, plan, *last) in enumerate(kinds)
  ]


def scaling(env_spec):
  """Makes the layers that normalize PPO's observations.

  There are none for images, which the networks rescale.
  """
  if env_spec.observation_shape:
    return []
  return [_normalizer(env_spec, clip=_CLIP_OBSERVATION)]


def scaling_of_actor_critic(config, env_spec):
  """Makes the layers that normalize SAC's and TD3's observations, if any.

  Reference: Lee et al. 2024 (arXiv 2410.09754) and its code.
  """
  if not config.normalize_observations:
    return []
  return [_normalizer(env_spec, epsilon=1e-8)]


def _normalizer(env_spec, **options):
  layer = normalizer.Normalizer(**options, name='observations')
  layer.build([None, env_spec.observation_size])
  return layer
