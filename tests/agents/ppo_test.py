"""Sparse PPO, trained for real: TF-Agents' agent, exact zeros, rollouts."""

import types

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.ppo import ppo_clip_agent

from tf_sparse_rl import envs, flags, replay, sparsity
from tf_sparse_rl.agents import registry, rollouts
from tf_sparse_rl.sparsity import counting
from tf_sparse_rl.training import learner

_BOX = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_DISCRETE = envs.EnvSpec('CartPole-v1', 5, 3, 500)
_MULTI = envs.EnvSpec('x', 5, None, None, action_counts=(2, 4))
_ROLLOUT, _BATCH, _EPOCHS = 32, 8, 2
_STEPS = _EPOCHS * _ROLLOUT // _BATCH  # Train steps of a rollout.


def _config(**changes):
  values = {
    'agent': 'ppo',
    'num_env_steps': 5 * _ROLLOUT,
    'rollout_env_steps': _ROLLOUT,
    'batch_size': _BATCH,
    'num_epochs': _EPOCHS,
    'hidden_units': (24, 16),
    'mask_update_period': 5,
    'mask_update_end_train_step': 30,
    'prune_begin_train_step': 5,
    'prune_end_train_step': 20,
    'sparsity': 0.8,
    'weight_decay': 1e-3,
  }
  return flags.make_config({**values, **changes})


def _collect(agent, spec, rng, num_env_steps=_ROLLOUT):
  """A full Rollout of a made-up environment, acted in by the policy."""
  buffer = replay.Rollout(_ROLLOUT, spec)
  observation = rng.normal(size=5).astype(np.float32)
  for _ in range(num_env_steps):
    action = agent.act(
      tf.constant(observation[np.newaxis]), agent.noise(rng, 1)
    )
    step = types.SimpleNamespace(
      observation=rng.normal(size=5).astype(np.float32),
      reward=float(rng.normal()),
      terminated=bool(rng.random() < 0.1),
      truncated=bool(rng.random() < 0.2),
    )
    buffer.add(observation, action.numpy()[0], step)
    observation = step.observation
  return buffer


def _train(agent, config, spec, num_rollouts, after=lambda scalars: None):
  learn = learner.RolloutLearner(
    agent, config, tf.TensorSpec([spec.observation_size])
  )
  rng = np.random.default_rng(0)
  observation = np.zeros((1, 5), np.float32)
  for _ in range(num_rollouts):
    buffer = _collect(agent, spec, rng)
    noise = agent.noise(rng, 1)
    _, scalars = learn.train_and_act(buffer, rng, observation, noise)
    after({tag: float(value) for tag, value in scalars.items()})
  return learn


def _kernels(agent):
  return [
    (layer.kernel.numpy(), layer.mask.numpy())
    for network in agent.networks.values()
    for layer in sparsity.sparse_layers(network)
  ]


@pytest.mark.parametrize(
  'spec', [_BOX, _DISCRETE, _MULTI], ids=['box', 'discrete', 'multi']
)
@pytest.mark.parametrize('method', ['dense', 'static', 'set', 'rigl', 'prune'])
def test_masks_hold_for_every_method(method, spec):
  config = _config(method=method)
  agent = registry.build(config, spec)
  before = _kernels(agent)
  learn = _train(agent, config, spec, num_rollouts=5)
  assert (
    learn.train_step == int(agent.tf_agent.train_step_counter) == 5 * _STEPS
  )
  assert config.num_train_steps == 5 * _STEPS
  after = _kernels(agent)
  assert len(after) == (0 if method == 'dense' else 6)
  for (_, old), (kernel, mask) in zip(before, after):
    assert not kernel[mask == 0].any()
    if method == 'prune':
      assert old.all()
    else:
      assert mask.sum() == old.sum()
  changed = any((old != new).any() for (_, old), (_, new) in zip(before, after))
  assert changed == (method in ('set', 'rigl', 'prune'))
  if method == 'prune':
    total = counting.total(
      [c for n in agent.networks.values() for c in counting.count(n)]
    )
    assert total.sparsity == pytest.approx(0.8, abs=0.02)


def test_networks_of_the_paper():
  spec = envs.EnvSpec('HalfCheetah-v5', 17, None, 1000, (-1.0,) * 6, (1.0,) * 6)
  # Parameters by sparsity, and the layers' sparsities at 0.9.
  for level, expected in ((0.0, 11_085), (0.5, 5_679), (0.9, 1_354)):
    method = 'static' if level else 'dense'
    config = flags.make_config(
      {'agent': 'ppo', 'method': method, 'sparsity': level}
    )
    agent = registry.build(config, spec)
    counts = [c for n in agent.networks.values() for c in counting.count(n)]
    # Zeros of a layer are rounded down.
    assert abs(counting.total(counts).parameters - expected) <= 3
  layers = [c.sparsity for c in counts if c.size]
  np.testing.assert_allclose(
    layers, [0.851, 0.938, 0.635, 0.835, 0.931, 0], atol=1e-3
  )
  [std] = [c for c in counts if not c.size]
  assert (std.name, std.parameters) == ('gaussian', 6)


@pytest.mark.parametrize(
  ('dense', 'sparse'), [('actor', 'value'), ('value', 'actor')]
)
def test_either_network_may_be_dense_alone(dense, sparse):
  config = _config(**{f'{dense}_sparsity': 0.0})
  agent = registry.build(config, _BOX)
  assert sparsity.sparse_layers(agent.networks[dense]) == []
  _train(agent, config, _BOX, num_rollouts=1)
  layers = sparsity.sparse_layers(agent.networks[sparse])
  assert len(layers) == 3
  assert not any(x.kernel.numpy()[x.mask.numpy() == 0].any() for x in layers)


@pytest.mark.parametrize(
  'spec', [_BOX, _DISCRETE, _MULTI], ids=['box', 'discrete', 'multi']
)
def test_rollouts_are_collected_with_the_policy(spec):
  config = _config()
  agent = registry.build(config, spec)
  learn = learner.RolloutLearner(agent, config, tf.TensorSpec([5]))
  rng = np.random.default_rng(6)
  for _ in range(3):
    observations = rng.normal(size=(200, 5)).astype(np.float32)
    noise = agent.noise(rng, 200)
    actions = learn.act(observations, noise)
    expected = agent.act(observations, noise).numpy()
    assert actions.dtype == expected.dtype
    if spec is _DISCRETE:
      assert len(set(actions)) == 3
      # All but where two actions are as good to the last digit.
      assert np.mean(actions == expected) > 0.98
    else:
      np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-5)
    learn.train_and_act(_collect(agent, spec, rng), rng, observations, noise)


def test_advantages_by_hand():
  errors = np.float32([1, 2, 3, 4])
  found = rollouts.generalized_advantages(
    errors, np.float32([0.5, 0, 0.5, 0.5])
  )
  np.testing.assert_allclose(found, [2, 2, 5, 4])


@pytest.mark.parametrize(
  'spec, num_envs',
  [(_BOX, 1), (_DISCRETE, 1), (_BOX, 4)],
  ids=['box', 'discrete', 'four environments'],
)
def test_a_rollout_is_prepared_as_the_definitions_say(spec, num_envs):
  config = _config(num_envs=num_envs)
  agent = registry.build(config, spec)
  rng = np.random.default_rng(3)
  _train(agent, config, spec, num_rollouts=1)  # So that the scales are known.
  # More than it holds: the oldest env steps are gone.
  buffer = _collect(agent, spec, rng, num_env_steps=_ROLLOUT + 5)
  rows = buffer.latest()
  prepared = agent.rollouts.prepare(rows)
  assert prepared.shape == (_ROLLOUT, agent.rollouts.row_size)
  size = spec.action_size
  observation, action = rows[:, :5], rows[:, 5 : 5 + size]
  reward, discount = rows[:, 5 + size], rows[:, 6 + size]
  following, over = rows[:, 7 + size : -1], rows[:, -1]
  assert 0 < discount.sum() < _ROLLOUT and over.sum() > (discount == 0).sum()

  def scale(x):
    layer = agent.rollouts.normalizer
    scaled = (x - layer.mean) / np.sqrt(layer.variance + 1e-3)
    return np.clip(scaled, -5, 5)

  def value(x):
    return agent.networks['value'](scale(x))[0].numpy()

  variance = float(agent.rollouts.reward_normalizer.variance)
  reward = np.clip(reward / np.sqrt(variance + 1e-3), -10, 10)
  advantages = np.zeros(_ROLLOUT)
  for i in range(_ROLLOUT):
    factor = 1.0
    for j in range(i, _ROLLOUT, num_envs):
      target = reward[j] + 0.99 * discount[j] * value(following[j : j + 1])[0]
      error = target - value(observation[j : j + 1])[0]
      advantages[i] += factor * error
      factor *= 0.99 * 0.95
      if over[j]:
        break
  values = value(observation)
  expected = [
    *(scale(observation), action),
    np.stack([advantages + values, advantages, values], axis=1),
  ]
  found = prepared[:, : 5 + size + 3]
  np.testing.assert_allclose(
    found, np.concatenate(expected, axis=1), rtol=1e-3, atol=1e-4
  )
  distribution, _ = agent.networks['actor'](np.float32(scale(observation)))
  kept = agent.rollouts.to_experience(tf.constant(prepared)).policy_info
  for name, parameter in kept['dist_params'].items():
    np.testing.assert_allclose(
      parameter[:, 0], distribution.parameters[name], rtol=1e-4, atol=1e-5
    )


def test_loss_and_gradient_are_those_of_tf_agents():
  config = _config(method='static', max_gradient_norm=0.0)
  agent = registry.build(config, _BOX)
  ours = agent.tf_agent
  theirs = ppo_clip_agent.PPOClipAgent(
    ours.time_step_spec,
    ours.action_spec,
    optimizer=tf.keras.optimizers.legacy.SGD(1.0),
    actor_net=ours.actor_net,
    value_net=agent.networks['value'],
    importance_ratio_clipping=0.2,
    policy_l2_reg=1e-3,
    value_function_l2_reg=1e-3,
    num_epochs=1,
    normalize_rewards=False,
    normalize_observations=False,
    compute_value_and_advantage_in_train=False,
    update_normalizers_in_train=False,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  theirs.initialize()
  buffer = _collect(agent, _BOX, np.random.default_rng(1))
  rows = agent.rollouts.prepare(buffer.latest())
  experience = agent.experience(tf.constant(rows))
  variables = [
    v for n in agent.networks.values() for v in n.trainable_variables
  ]
  # Other than when it collected: ratios of probabilities are not all 1.
  before = [1.2 * v.numpy() for v in variables]
  for variable, value in zip(variables, before):
    variable.assign(value)
  found = ours.train(experience)
  adam = agent.optimizers['actor'].inner_optimizer
  gradients = [adam.get_slot(v, 'm').numpy() / 0.1 for v in variables]
  for variable, value in zip(variables, before):
    variable.assign(value)
  expected = theirs.train(experience)
  for name, theirs in (
    ('policy_gradient_loss', 'policy_gradient_loss'),
    ('value_loss', 'value_estimation_loss'),
    ('l2_loss', 'l2_regularization_loss'),
  ):
    loss = found.extra[f'Losses/{name}']
    other = getattr(expected.extra, theirs)
    assert abs(float(loss)) > 1e-6
    np.testing.assert_allclose(loss, other, rtol=1e-5, atol=1e-7)
  # SGD at rate 1 goes by the gradient, and constraints mask what comes out.
  for variable, value, gradient in zip(variables, before, gradients):
    np.testing.assert_allclose(value - variable, gradient, rtol=1e-3, atol=1e-6)


def test_clipping_sees_masked_gradients_of_both_networks():
  config = _config(method='static', max_gradient_norm=1e-3)
  agent = registry.build(config, _BOX)
  optimizer = agent.optimizers['actor']
  assert agent.optimizers['value'] is optimizer
  buffer = _collect(agent, _BOX, np.random.default_rng(1))
  rows = agent.rollouts.prepare(buffer.latest())
  agent.tf_agent.train(agent.experience(tf.constant(rows)))
  # After one step Adam's first moments are a tenth of what it was given.
  moments = [
    optimizer.inner_optimizer.get_slot(v, 'm').numpy() / 0.1
    for network in agent.networks.values()
    for v in network.trainable_variables
  ]
  norm = np.sqrt(sum(np.sum(m**2) for m in moments))
  # Had dense gradients been clipped, what is left of them would be shorter.
  assert norm == pytest.approx(1e-3, rel=1e-4)


def test_the_learning_rate_falls_rollout_by_rollout():
  config = _config()
  agent = registry.build(config, _BOX)
  rates = []
  _train(
    agent,
    config,
    _BOX,
    num_rollouts=5,
    after=lambda scalars: rates.append(scalars['Agent/learning_rate']),
  )
  expected = 3e-4 * np.array([1, 0.8, 0.6, 0.4, 0.2])
  np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_each_epoch_has_every_env_step_once(monkeypatch):
  config = _config(method='dense')
  agent = registry.build(config, _BOX)
  learn = learner.RolloutLearner(agent, config, tf.TensorSpec([5]))
  buffer = _collect(agent, _BOX, np.random.default_rng(1))
  seen = []
  train = learn._train_step.on_batches

  def spy(rows, batches):
    seen.extend(rows[batch] for batch in batches)
    return train(rows, batches)

  monkeypatch.setattr(learn._train_step, 'on_batches', spy)
  expected = agent.rollouts.prepare(buffer.latest())
  noise = np.zeros((1, 2), np.float32)
  rng = np.random.default_rng(0)
  learn.train_and_act(buffer, rng, np.zeros((1, 5), np.float32), noise)
  assert [rows.shape[0] for rows in seen] == [_BATCH] * _STEPS
  epochs = np.reshape(seen, (_EPOCHS, _ROLLOUT, -1))
  for rows in epochs:
    order = np.lexsort(rows.T)
    np.testing.assert_array_equal(rows[order], expected[np.lexsort(expected.T)])
  assert (epochs[0] != epochs[1]).any()
  # The scales change when all is over, for the next rollout.
  assert float(agent.rollouts.normalizer.count) == _ROLLOUT


@pytest.mark.parametrize('spec', [_BOX, _DISCRETE], ids=['box', 'discrete'])
def test_actions_follow_the_distribution(spec):
  agent = registry.build(_config(), spec)
  rng = np.random.default_rng(0)
  observations = np.tile(rng.normal(size=(1, 5)), (20_000, 1))
  observations = tf.constant(np.float32(observations))
  actions = agent.act(observations, agent.noise(rng, 20_000))
  distribution, _ = agent.networks['actor'](
    agent.rollouts.normalizer(observations[:1])
  )
  if spec is _BOX:
    mean, std = distribution.mean()[0], distribution.stddev()[0]
    np.testing.assert_allclose(np.mean(actions, axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.std(actions, axis=0), std, atol=0.02)
    np.testing.assert_allclose(std, 0.35, rtol=1e-5)
  else:
    shares = np.bincount(actions, minlength=3) / 20_000
    expected = distribution.probs_parameter()[0]
    np.testing.assert_allclose(shares, expected, atol=0.02)


def test_greedy_actions_are_within_the_bounds():
  agent = registry.build(_config(), _BOX)
  outputs = tf.constant([[100.0, 100.0], [-100.0, -100.0]])
  np.testing.assert_allclose(
    agent.greedy_action(outputs), [[1, 0.5], [-1, -2]], atol=1e-6
  )
