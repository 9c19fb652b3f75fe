"""The fused train steps of agents, where everything fits; see `native.fused`.

Each does what its agent's `_train` defines.
"""

import tensorflow as tf

from tf_sparse_rl import seeds, sparsity
from tf_sparse_rl.agents import losses
from tf_sparse_rl.native import backend, fused, library

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
_DQN_TAGS = ('Losses/total_loss', 'Losses/td_loss')


def sac(agent, head, batch_size):
  """The fused train step of SAC.

  Args:
    agent: a SacAgent.
    head: the actor's TanhGaussian.
    batch_size: transitions of a batch.

  Returns:
    A fused.TrainStep, or None if TensorFlow has to train.
  """
  actor, critics = agent._actor_network, agent._critics
  is_squared = agent._td_errors_loss_fn is losses.squared_errors
  if not (is_squared and _may_be_fused([actor, *critics], batch_size)):
    return None
  alpha_optimizer, log_alpha = agent._alpha_optimizer, agent._log_alpha
  adams = [
    _adam(agent._critic_optimizer, critics),
    _adam(agent._actor_optimizer, [actor]),
    fused.adam(alpha_optimizer, [log_alpha]),
  ]
  if None in adams:
    return None
  scalars = [log_alpha, *_slots(alpha_optimizer)(log_alpha)]
  step = library.load().tf_sparse_rl_make_sac(
    [
      _network(actor, agent._actor_optimizer),
      *(_network(critic, agent._critic_optimizer) for critic in critics),
      *(_network(target) for target in agent._targets),
    ],
    [handle for adam in adams for handle in adam.handles],
    [v.handle for v in (agent.train_step_counter, *scalars)],
    epsilons=[adam.epsilon for adam in adams],
    middle=fused.floats(head.middle),
    scale=fused.floats(head.scale),
    **_sac_numbers(agent),
  )
  return fused.TrainStep(step, tf.float32, _SAC_TAGS)


def _sac_numbers(agent):
  """The constants of SAC's train step."""
  return {
    'critic_weight': agent._critic_loss_weight,
    'actor_weight': agent._actor_loss_weight,
    'alpha_weight': agent._alpha_loss_weight,
    'seeds': [
      seeds.derive(agent._seed, seeds.Stream.TRAIN_NOISE, draw)
      for draw in (0, 1)
    ],
    'reward_scale': agent._reward_scale_factor,
    'gamma': agent._gamma,
    'target_entropy': agent._target_entropy,
    'tau': agent._target_update_tau,
    'target_update_period': agent._target_update_period,
    'loss_of_log_alpha': agent._use_log_alpha_in_alpha_loss,
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
  if not _may_be_fused([network], batch_size):
    return None
  adam = _adam(optimizer, [network])
  if adam is None:
    return None
  step = library.load().tf_sparse_rl_make_dqn(
    [_network(network, optimizer), _network(agent._target_q_network)],
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
  return fused.TrainStep(step, tf.int32, _DQN_TAGS)


def _may_be_fused(networks, batch_size):
  return backend.may_be_fused() and all(
    fused.may_be_fused(_layers(network), batch_size)
    # There is nothing to train in it but these.
    and len(network.trainable_variables) == 2 * len(_layers(network))
    for network in networks
  )


def _layers(network):
  return [layer.operand for layer in sparsity.sparse_layers(network)]


def _adam(optimizer, networks):
  """The Adam of networks, whose slots are made if need be; or None."""
  variables = [v for network in networks for v in network.trainable_variables]
  if isinstance(optimizer, sparsity.SparseOptimizer):
    optimizer.build(variables)
    optimizer = optimizer.inner_optimizer
  return fused.adam(optimizer, variables)


def _network(network, optimizer=None):
  slots = None if optimizer is None else _slots(optimizer)
  return fused.network(_layers(network), slots)


def _slots(optimizer):
  """Function of a variable to Adam's m and v of it."""
  adam = getattr(optimizer, 'inner_optimizer', optimizer)
  return lambda variable: [adam.get_slot(variable, name) for name in 'mv']
