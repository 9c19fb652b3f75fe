"""The fused train steps of agents, where everything fits; see `native.fused`.

Each does what its agent's `_train` defines.
"""

import tensorflow as tf

from tf_sparse_rl import seeds, sparsity
from tf_sparse_rl.agents import fused_masks, losses
from tf_sparse_rl.native import backend, conv, fused, library, stacks
from tf_sparse_rl.networks import heads
from tf_sparse_rl.sparsity import layers as layers_lib

_SAC_TAGS = (
  'Losses/total_loss',
  'Losses/critic_loss',
  'Losses/actor_loss',
  'Losses/alpha_loss',
  'Agent/alpha',
  'Agent/entropy',
  'Agent/q_value_1',
  'Agent/q_value_2',
)
_TD3_TAGS = (
  'Losses/total_loss',
  'Losses/critic_loss',
  'Losses/actor_loss',
  'Agent/q_value_1',
  'Agent/q_value_2',
)
_DQN_TAGS = ('Losses/total_loss', 'Losses/td_loss')
_PPO_TAGS = (
  'Losses/total_loss',
  'Losses/policy_gradient_loss',
  'Losses/value_loss',
  'Losses/l2_loss',
  'Agent/clip_fraction',
  'Agent/entropy',
)


def sac(agent, head, batch_size):
  """The fused train step of SAC.

  Args:
    agent: a SacAgent.
    head: the actor's TanhGaussian.
    batch_size: transitions of a batch.

  Returns:
    A fused.TrainStep, or None if TensorFlow has to train.
  """
  inner = _actor_and_critics(agent, batch_size)
  if inner is None:
    return None
  alpha_optimizer, log_alpha = agent._alpha_optimizer, agent._log_alpha
  adams = [
    *_adams_of(agent),
    fused.adam(alpha_optimizer, [log_alpha], sparsity.mask_of),
  ]
  if None in adams:
    return None
  scalars = [log_alpha, *_slots(alpha_optimizer)(log_alpha)]
  networks, masks = _networks_of(agent, inner)
  step = library.load().tf_sparse_rl_make_sac(
    networks,
    [handle for adam in adams for handle in adam.handles],
    [v.handle for v in (agent.train_step_counter, *scalars)],
    epsilons=[adam.epsilon for adam in adams],
    middle=fused.floats(head.middle),
    scale=fused.floats(head.scale),
    critic_weight=agent._critic_loss_weight,
    actor_weight=agent._actor_loss_weight,
    alpha_weight=agent._alpha_loss_weight,
    seeds=[_noise_seed(agent, draw) for draw in (0, 1)],
    target_entropy=agent._target_entropy,
    loss_of_log_alpha=agent._use_log_alpha_in_alpha_loss,
    **_numbers(agent),
  )
  return fused.TrainStep(step, _SAC_TAGS, tf.float32, masks)


def td3(agent, head, batch_size):
  """The fused train step of TD3; see `sac`. Its head is a Deterministic."""
  inner = _actor_and_critics(agent, batch_size)
  if inner is None:
    return None
  layers = inner[agent._actor_network]
  if stacks.activation_of(layers[-1]) != 'linear':
    return None  # The head's tanh takes its place.
  adams = _adams_of(agent)
  if None in adams:
    return None
  networks, masks = _networks_of(agent, inner, end='tanh')
  target_actor = _inner(agent._target_actor_network, 0, 1)
  step = library.load().tf_sparse_rl_make_td3(
    [*networks, _network(target_actor, end='tanh')],
    [handle for adam in adams for handle in adam.handles],
    [agent.train_step_counter.handle],
    epsilons=[adam.epsilon for adam in adams],
    middle=fused.floats(head.middle),
    scale=fused.floats(head.scale),
    low=fused.floats(head.low),
    high=fused.floats(head.high),
    exploration_noise=head.exploration_noise,
    target_noise=agent._target_policy_noise,
    target_noise_clip=agent._target_policy_noise_clip,
    seed=_noise_seed(agent, 0),
    actor_update_period=agent._actor_update_period,
    **_numbers(agent),
  )
  return fused.TrainStep(step, _TD3_TAGS, tf.float32, masks)


def _actor_and_critics(agent, batch_size):
  """`{network: what _inner returned}`, or None if TensorFlow has to train."""
  actor, critics = agent._actor_network, agent._critics
  inner = {actor: _inner(actor, 0, 1)}
  inner |= {critic: _inner(critic, 1, 1) for critic in critics}
  is_squared = agent._td_errors_loss_fn is losses.squared_errors
  return inner if is_squared and _may_be_fused(inner, batch_size) else None


def _adams_of(agent):
  """Adam of the critics and of the actor."""
  return [
    _adam(agent._critic_optimizer, agent._critics),
    _adam(agent._actor_optimizer, [agent._actor_network]),
  ]


def _networks_of(agent, inner, end=None):
  """Handles of an actor, of critics and of their targets, and the MaskUpdates.

  Args:
    agent: a SacAgent or Td3Agent.
    inner: what `_actor_and_critics` returned.
    end: name of an activation that the head puts on the actor's outputs.
  """
  of_actor, of_critic = agent._actor_optimizer, agent._critic_optimizer
  actor, *critics = inner.values()  # In the order of their layers' numbers.
  handles, first = [_network(actor, of_actor, end=end)], len(actor)
  for critic in critics:
    handles.append(_network(critic, of_critic, first=first))
    first += len(critic)
  handles += [_network(_inner(target, 1, 1)) for target in agent._targets]
  trained = [(of_actor, actor), *((of_critic, critic) for critic in critics)]
  return handles, fused_masks.MaskUpdates(trained)


def _noise_seed(agent, draw):
  """The seed of a draw of actor_critic.train_noise."""
  return seeds.derive(agent._seed, seeds.Stream.TRAIN_NOISE, draw)


def _numbers(agent):
  """The constants that the train steps of SAC and TD3 share."""
  return {
    'reward_scale': agent._reward_scale_factor,
    'gamma': agent._gamma,
    'tau': agent._target_update_tau,
    'target_update_period': agent._target_update_period,
  }


def dqn(agent, is_huber, epsilon, epsilon_decay_train_steps, batch_size):
  """The fused train step of DQN.

  Args:
    agent: a DqnAgent.
    is_huber: whether the loss is Huber's, not the square.
    epsilon: of the epsilon-greedy policy, in the end.
    epsilon_decay_train_steps: in which it falls from 1; 0: it does not.
    batch_size: transitions of a batch.

  Returns:
    A fused.TrainStep, or None if TensorFlow has to train.
  """
  network, optimizer = agent._q_network, agent._optimizer
  layers, scale = _q_layers(network)
  if not _may_be_fused({network: layers}, batch_size):
    return None
  adam = _adam(optimizer, [network])
  if adam is None:
    return None
  step = library.load().tf_sparse_rl_make_dqn(
    [
      _network(layers, optimizer, scale=scale),
      _network(_q_layers(agent._target_q_network)[0], scale=scale),
    ],
    adam.handles,
    [agent.train_step_counter.handle],
    adam_epsilon=adam.epsilon,
    reward_scale=agent._reward_scale_factor,
    gamma=agent._gamma,
    tau=agent._tau,
    epsilon=epsilon,
    epsilon_decay_train_steps=epsilon_decay_train_steps,
    target_update_period=agent._period,
    is_huber=is_huber,
    is_double=agent._double_dqn,
  )
  masks = fused_masks.MaskUpdates([(optimizer, layers)])
  return fused.TrainStep(step, _DQN_TAGS, tf.int32, masks)


def _q_layers(network):
  """The layers of a Q-network as stacks.Layer, and the scale of its images.

  It consists of Dense layers, or of a Rescaling layer, convolutions, Flatten
  and Dense layers. The layers are None if there are others.
  """
  layers = [_operand(layer) for layer in network.layers]
  flat = [
    i
    for i, layer in enumerate(layers)
    if type(layer.plain) is tf.keras.layers.Flatten
  ]
  convolutions, dense, scale = [], layers, 1.0
  if flat:
    convolutions, dense = layers[: flat[0]], layers[flat[0] + 1 :]
    if network.input_tensor_spec.dtype != tf.uint8:
      return None, scale
  if convolutions and conv.is_scale(convolutions[0]):
    scale = float(convolutions.pop(0).plain.scale)
  have_kernels = (
    bool(convolutions) == bool(flat)
    and all(map(conv.fits, convolutions))
    and bool(dense)
    and all(map(stacks.fits, dense))
  )
  return [*convolutions, *dense] if have_kernels else None, scale


def ppo(agent, batch_size):
  """The fused train steps of PPO.

  Args:
    agent: a PpoAgent.
    batch_size: env steps of a batch.

  Returns:
    A fused.TrainSteps, or None if TensorFlow has to train.
  """
  actor, value = agent._actor_net, agent._value_net
  head, optimizer = actor.layers[-1], agent._optimizer
  inner = {network: _inner(network, 0, 1) for network in (actor, value)}
  own, end = _of_head(head)
  if not _may_be_fused(inner, batch_size, num_own=len(own)):
    return None
  if end and stacks.activation_of(inner[actor][-1]) != 'linear':
    return None  # The head's tanh takes its place.
  adam = _adam(optimizer, [actor, value], may_clip=True)
  if adam is None:
    return None
  schedule = agent._schedule
  if schedule and adam.handles[0] is not agent._learning_rate.handle:
    return None  # It is not Adam's that falls.
  others = [v for x in own for v in (x, *_slots(optimizer)(x))]
  step = library.load().tf_sparse_rl_make_ppo(
    [
      _network(inner[actor], optimizer, l2=agent._policy_l2_reg, end=end),
      _network(inner[value], optimizer, l2=agent._value_function_l2_reg),
    ],
    adam.handles,
    [v.handle for v in (agent.train_step_counter, *others)],
    adam_epsilon=adam.epsilon,
    clip_norm=adam.clip_norm,
    **_ppo_numbers(agent),
    **_policy(head),
    **_falling(schedule),
  )
  tags = [*_PPO_TAGS, 'Agent/learning_rate'] if schedule else _PPO_TAGS
  return fused.TrainSteps(step, tags)


def _of_head(head):
  """(variables of a head, activation that it puts on the outputs or None)."""
  is_gaussian = type(head) is heads.Gaussian
  return ([head.std_bias], 'tanh') if is_gaussian else ([], None)


def _ppo_numbers(agent):
  """The constants of PPO's train step."""
  return {
    'clip_ratio': agent._importance_ratio_clipping,
    'value_weight': agent._value_pred_loss_coef,
    'entropy_weight': agent._entropy_regularization or 0.0,
  }


def _policy(head):
  """A head as PPO's step takes it."""
  if type(head) is heads.Gaussian:
    bounds = fused.floats(head.middle), fused.floats(head.scale)
    return {'middle': bounds[0], 'scale': bounds[1], 'counts': []}
  return {'middle': [], 'scale': [], 'counts': list(head.counts)}


def _falling(schedule):
  """The lines of a falling.Falling, or None, as PPO's step takes them."""
  lines = schedule.lines if schedule else []
  begins, rates, ends = ([line[i] for line in lines] for i in range(3))
  return {
    'begins': fused.floats(begins),
    'rates': fused.floats(rates),
    'ends': fused.floats(ends),
    'train_steps_of_rollout': schedule.train_steps_of_rollout if lines else 1,
  }


def _may_be_fused(inner, batch_size, num_own=0):
  """Whether a step of networks may be fused, and should.

  Args:
    inner: `{network: what _inner returned}`.
    batch_size: examples of a batch.
    num_own: variables beside those of the layers.
  """
  return (
    backend.may_be_fused()
    and fused.may_be_fused(list(inner.values()), batch_size)
    # There is nothing to train in them but these.
    and sum(len(network.trainable_variables) for network in inner)
    == 2 * sum(map(len, inner.values())) + num_own
  )


def layers_of(network):
  """The layers of a network with a kernel, sparse or not, as stacks.Layer."""
  kinds = sparsity.SparseLayer, tf.keras.layers.Dense
  return [
    _operand(layer)
    for layer in layers_lib.leaf_layers(network)
    if isinstance(layer, kinds)
  ]


def _inner(network, before, after):
  """The Dense layers that a network consists of.

  Args:
    network: a stack.Network.
    before: layers before them that join or split what goes in.
    after: layers after them likewise.

  Returns:
    List of stacks.Layer; None if there is another layer among them.
  """
  layers = network.layers[before : len(network.layers) - after]
  found = [_operand(layer) for layer in layers]
  return found if all(map(stacks.fits, found)) else None


def _operand(layer):
  if isinstance(layer, sparsity.SparseLayer):
    return layer.operand
  return stacks.Layer(layer, None, 0.0)


def _adam(optimizer, networks, may_clip=False):
  """The Adam of networks, whose slots are made if need be; or None."""
  variables = [v for network in networks for v in network.trainable_variables]
  inner = optimizer
  if isinstance(optimizer, sparsity.SparseOptimizer):
    inner = optimizer.inner_optimizer
  adam = fused.adam(inner, variables, sparsity.mask_of, may_clip)
  if adam is not None and inner is not optimizer:
    optimizer.build(variables)
  return adam


def _network(layers, optimizer=None, **options):
  slots = None if optimizer is None else _slots(optimizer)
  return fused.network(layers, slots, **options)


def _slots(optimizer):
  """Function of a variable to Adam's m and v of it."""
  adam = getattr(optimizer, 'inner_optimizer', optimizer)
  return lambda variable: [adam.get_slot(variable, name) for name in 'mv']
