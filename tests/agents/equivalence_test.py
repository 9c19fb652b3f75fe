"""One train step of our agents is that of TF-Agents' own, unmodified.

Same networks, same batch, same noise: the weights, the targets and the losses
that come out agree, wherever the mathematics is the same.
"""

import ast
import inspect
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.categorical_dqn import categorical_dqn_agent
from tf_agents.agents.dqn import dqn_agent
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.agents.sac import sac_agent
from tf_agents.agents.td3 import td3_agent
from tf_agents.trajectories import trajectory
from tf_agents.utils import common

from tf_sparse_rl import envs, flags, seeds
from tf_sparse_rl.agents import dqn, ppo, registry, sac, sparse, td3
from tf_sparse_rl.networks import heads, stack

_BATCH = 16
_DISCRETE = envs.EnvSpec('CartPole-v1', 4, 3, 500)
_BOX = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_METHODS = ('dense', 'static')


def _config(agent, **changes):
  values = {
    'agent': agent,
    'num_env_steps': 4096,
    'hidden_units': (24, 16),
    'batch_size': _BATCH,
    'sparsity': 0.8,
    'weight_decay': 1e-3,
  }
  if agent != 'ppo':
    values['initial_collect_env_steps'] = 100
  return flags.make_config({**values, **changes})


def _rows(spec, rng):
  size, action_size = spec.observation_size, spec.action_size
  rows = rng.normal(size=(_BATCH, 2 * size + action_size + 2))
  action = rows[:, size : size + action_size]
  if spec.num_actions:
    action[:] = rng.integers(spec.num_actions, size=(_BATCH, 1))
  else:
    low, high = np.array(spec.action_low), np.array(spec.action_high)
    action[:] = rng.uniform(low, high, action.shape)
  rows[:, size + action_size + 1] = rng.random(_BATCH) < 0.7
  return tf.constant(np.float32(rows))


def _assert_close(ours, theirs):
  """Variables of networks, up to rounding."""
  assert len(ours.variables) == len(theirs.variables) > 0
  for a, b in zip(ours.variables, theirs.variables):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def _assert_moved(network, before):
  assert any(np.abs(v - b).max() > 1e-5 for v, b in zip(network, before))


# All pairs of values.
@pytest.mark.parametrize(
  ('method', 'td_loss', 'double_dqn'),
  [
    ('dense', 'squared', True),
    ('dense', 'huber', False),
    ('static', 'squared', False),
    ('static', 'huber', True),
  ],
)
def test_dqn(method, td_loss, double_dqn):
  config = _config(
    'dqn',
    method=method,
    td_loss=td_loss,
    double_dqn=double_dqn,
    target_update_period=2,
    target_update_tau=0.3,
    reward_scale=2.0,
  )
  ours, other = (registry.build(config, _DISCRETE) for _ in range(2))
  network = other.networks['q_network']
  kind = dqn_agent.DdqnAgent if double_dqn else dqn_agent.DqnAgent
  losses = {
    'squared': common.element_wise_squared_loss,
    'huber': common.element_wise_huber_loss,
  }
  theirs = kind(
    ours.tf_agent.time_step_spec,
    ours.tf_agent.action_spec,
    q_network=network,
    optimizer=sparse.optimizer(config, network, config.learning_rate),
    target_update_tau=0.3,
    target_update_period=2,
    td_errors_loss_fn=losses[td_loss],
    gamma=config.gamma,
    reward_scale_factor=2.0,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  theirs.initialize()
  rng = np.random.default_rng(0)
  before = [v.numpy() for v in network.trainable_variables]
  for _ in range(4):
    rows = _rows(_DISCRETE, rng)
    found = ours.train(rows)
    expected = theirs.train(ours.experience(rows))
    np.testing.assert_allclose(
      found['Losses/total_loss'], expected.loss, rtol=1e-5
    )
    np.testing.assert_allclose(
      found['Losses/td_loss'],
      tf.reduce_mean(expected.extra.td_loss),
      rtol=1e-5,
    )
    _assert_close(ours.networks['q_network'], network)
    _assert_close(ours.tf_agent._target_q_network, theirs._target_q_network)
  _assert_moved(network.trainable_variables, before)


class _Of11Atoms(stack.Network):
  num_atoms = 11


@pytest.mark.parametrize('method', _METHODS)
def test_c51(method):
  config = _config(
    'dqn',
    method=method,
    num_atoms=11,
    min_q_value=-2.0,
    max_q_value=3.0,
    target_update_period=2,
    target_update_tau=0.3,
    reward_scale=2.0,
  )
  ours, other = (registry.build(config, _DISCRETE) for _ in range(2))
  spec = ours.tf_agent.time_step_spec.observation
  logits = tf.keras.layers.Reshape([3, 11])
  network = _Of11Atoms([*other.policy_layers[:-1], logits], spec)
  theirs = categorical_dqn_agent.CategoricalDqnAgent(
    ours.tf_agent.time_step_spec,
    ours.tf_agent.action_spec,
    categorical_q_network=network,
    optimizer=sparse.optimizer(config, network, config.learning_rate),
    min_q_value=-2.0,
    max_q_value=3.0,
    target_update_tau=0.3,
    target_update_period=2,
    gamma=config.gamma,
    reward_scale_factor=2.0,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  theirs.initialize()
  rng = np.random.default_rng(0)
  before = [v.numpy() for v in network.trainable_variables]
  for _ in range(4):
    rows = _rows(_DISCRETE, rng)
    found = ours.train(rows)
    expected = theirs.train(_trajectory(ours.experience(rows)))
    np.testing.assert_allclose(
      found['Losses/total_loss'], expected.loss, rtol=1e-5
    )
    _assert_close(ours.networks['q_network'], network)
    _assert_close(ours.tf_agent._target_q_network, theirs._target_q_network)
  _assert_moved(network.trainable_variables, before)
  # Two policies of the same network, by Q-values and by logits.
  time_step = ours.experience(rows).time_step
  np.testing.assert_array_equal(
    ours.act_greedily(time_step.observation),
    theirs.policy.action(time_step).action,
  )


def _trajectory(transition):
  """A Transition as a Trajectory of two env steps."""
  now, acted, following = transition

  def both(a, b):
    return tf.stack([a, b], axis=1)

  return trajectory.Trajectory(
    both(now.step_type, following.step_type),
    both(now.observation, following.observation),
    both(acted.action, acted.action),
    (),
    both(following.step_type, following.step_type),
    both(following.reward, following.reward),
    both(following.discount, following.discount),
  )


class _TanhGaussianOfGivenNoise(heads.TanhGaussian):
  """Its distribution samples by noise that is given beforehand, in order."""

  given = ()

  def call(self, outputs):
    distribution = super().call(outputs)

    def sample(*args, **kwargs):
      del args, kwargs
      return self.sample(outputs, self.given.pop(0))[0]

    distribution.sample = sample
    return distribution


@pytest.mark.parametrize('method', _METHODS)
def test_sac(method):
  config = _config(
    'sac', method=method, target_update_tau=0.3, initial_log_alpha=-0.5
  )
  ours, other = (registry.build(config, _BOX) for _ in range(2))
  head = _TanhGaussianOfGivenNoise(_BOX)
  spec = ours.tf_agent.time_step_spec.observation
  actor = stack.Network([*other.policy_layers, head], spec)
  critics = [other.networks['critic_1'], other.networks['critic_2']]
  theirs = sac_agent.SacAgent(
    ours.tf_agent.time_step_spec,
    ours.tf_agent.action_spec,
    critic_network=critics[0],
    critic_network_2=critics[1],
    actor_network=actor,
    actor_optimizer=sparse.optimizer(config, actor, 3e-4),
    critic_optimizer=sparse.optimizer(config, critics, 3e-4),
    alpha_optimizer=tf.keras.optimizers.legacy.Adam(3e-4),
    target_update_tau=0.3,
    gamma=config.gamma,
    reward_scale_factor=config.reward_scale,
    initial_log_alpha=-0.5,
    target_entropy=-1.0,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  theirs.initialize()
  before = [v.numpy() for v in actor.trainable_variables]
  rows = _rows(_BOX, np.random.default_rng(0))
  # The third is for the temperature, which TF-Agents updates on other actions.
  head.given = [
    tf.random.stateless_normal(
      [_BATCH, 2],
      [seeds.derive(config.seed, seeds.Stream.TRAIN_NOISE, draw), 0],
    )
    for draw in (0, 1, 1)
  ]
  found = ours.train(rows)
  expected = theirs.train(ours.experience(rows))
  assert head.given == []
  for name in ('critic_loss', 'actor_loss'):
    np.testing.assert_allclose(
      found[f'Losses/{name}'], getattr(expected.extra, name), rtol=1e-4
    )
  _assert_close(ours.networks['actor'], actor)
  for i in (1, 2):
    _assert_close(ours.networks[f'critic_{i}'], critics[i - 1])
    name = f'_target_critic_network_{i}'
    _assert_close(getattr(ours.tf_agent, name), getattr(theirs, name))
  _assert_moved(actor.trainable_variables, before)


@pytest.mark.parametrize('method', _METHODS)
def test_td3(method):
  # TF-Agents' actor and targets move at other train steps, if not at all.
  config = _config(
    'td3',
    method=method,
    target_update_tau=0.3,
    actor_update_period=1,
    target_update_period=1,
    target_noise=0.0,
    reward_scale=2.0,
    weight_decay=0.0,  # TF-Agents' has none.
  )
  ours, other = (registry.build(config, _BOX) for _ in range(2))
  actor, *critics = other.networks.values()
  theirs = td3_agent.Td3Agent(
    ours.tf_agent.time_step_spec,
    ours.tf_agent.action_spec,
    actor_network=actor,
    critic_network=critics[0],
    critic_network_2=critics[1],
    actor_optimizer=sparse.optimizer(config, actor, 3e-4),
    critic_optimizer=sparse.optimizer(config, critics, 3e-4),
    target_update_tau=0.3,
    td_errors_loss_fn=common.element_wise_squared_loss,
    gamma=config.gamma,
    reward_scale_factor=2.0,
    target_policy_noise=0.0,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  theirs.initialize()
  before = [v.numpy() for v in actor.trainable_variables]
  rng = np.random.default_rng(0)
  for _ in range(3):
    rows = _rows(_BOX, rng)
    found = ours.train(rows)
    expected = theirs.train(ours.experience(rows))
    for name in ('critic_loss', 'actor_loss'):
      np.testing.assert_allclose(
        found[f'Losses/{name}'], getattr(expected.extra, name), rtol=1e-4
      )
    for name, network in other.networks.items():
      _assert_close(ours.networks[name], network)
    for name in ('actor_network', 'critic_network_1', 'critic_network_2'):
      pair = (getattr(a, f'_target_{name}') for a in (ours.tf_agent, theirs))
      _assert_close(*pair)
  _assert_moved(actor.trainable_variables, before)


# All pairs of values.
@pytest.mark.parametrize(
  ('method', 'spec', 'entropy_weight'),
  [
    ('dense', _BOX, 0.02),
    ('dense', _DISCRETE, 0.0),
    ('static', _BOX, 0.0),
    ('static', _DISCRETE, 0.02),
  ],
)
def test_ppo(method, spec, entropy_weight):
  config = _config(
    'ppo', method=method, max_gradient_norm=0.1, entropy_weight=entropy_weight
  )
  ours, other = (registry.build(config, spec) for _ in range(2))
  networks = list(other.networks.values())
  theirs = ppo_clip_agent.PPOClipAgent(
    ours.tf_agent.time_step_spec,
    ours.tf_agent.action_spec,
    optimizer=sparse.optimizer(
      config, networks, 3e-4, epsilon=1e-5, global_clipnorm=0.1
    ),
    actor_net=networks[0],
    value_net=networks[1],
    importance_ratio_clipping=config.clip_ratio,
    entropy_regularization=entropy_weight,
    policy_l2_reg=1e-3,
    value_function_l2_reg=1e-3,
    value_pred_loss_coef=0.5,
    num_epochs=1,
    normalize_rewards=False,
    normalize_observations=False,
    compute_value_and_advantage_in_train=False,
    update_normalizers_in_train=False,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  theirs.initialize()
  rng = np.random.default_rng(0)
  before = [v.numpy() for v in networks[0].trainable_variables]
  for _ in range(3):
    rows = rng.normal(size=(_BATCH, ours.rollouts.row_size))
    size = spec.observation_size
    if spec.num_actions:
      rows[:, size] = rng.integers(spec.num_actions, size=_BATCH)
    else:
      rows[:, -2:] = rng.uniform(0.3, 0.5, size=(_BATCH, 2))
    rows = tf.constant(np.float32(rows))
    found = ours.train(rows)
    expected = theirs.train(ours.experience(rows))
    for name, other_name in (
      ('Losses/policy_gradient_loss', 'policy_gradient_loss'),
      ('Losses/value_loss', 'value_estimation_loss'),
      ('Losses/l2_loss', 'l2_regularization_loss'),
      ('Agent/clip_fraction', 'clip_fraction'),
    ):
      np.testing.assert_allclose(
        found[name], getattr(expected.extra, other_name), rtol=1e-4, atol=1e-6
      )
    np.testing.assert_allclose(
      found['Losses/total_loss'], expected.loss, rtol=1e-4
    )
    for name, network in zip(('actor', 'value'), networks):
      _assert_close(ours.networks[name], network)
  _assert_moved(networks[0].trainable_variables, before)


@pytest.mark.parametrize(
  'ours',
  [dqn.DqnAgent, sac.SacAgent, td3.Td3Agent, ppo.PpoAgent],
  ids=lambda c: c.__name__,
)
def test_of_tf_agents_methods_train_alone_is_overridden(ours):
  bases = [c for c in ours.__mro__[1:] if c.__module__.startswith('tf_agents')]
  assert bases[0].__module__.split('.')[1] == 'agents'
  theirs = {name for base in bases for name in vars(base)}
  overridden = theirs & {
    name
    for name, value in vars(ours).items()
    if inspect.isfunction(value) or isinstance(value, property)
  }
  assert overridden == {'__init__', '_train'}


def _functions(path):
  """(name, lines) of the functions of a file, docstrings included."""
  tree = ast.parse(path.read_text('utf-8'))
  for node in ast.walk(tree):
    if isinstance(node, ast.FunctionDef):
      yield node.name, node.end_lineno - node.lineno + 1


def test_functions_of_agents_have_at_most_40_lines():
  for path in pathlib.Path(dqn.__file__).parent.glob('*.py'):
    for name, lines in _functions(path):
      assert lines <= 40, (path.name, name, lines)
