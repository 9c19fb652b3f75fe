"""Sparse SAC, trained for real: TF-Agents' agent, exact zeros, schedules."""

import hashlib
import math
import os
import pathlib
import subprocess
import sys
import types
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.sac import sac_agent
from tf_agents.policies import greedy_policy
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from tf_sparse_rl import envs, flags, seeds, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.networks import heads
from tf_sparse_rl.sparsity import counting
from tf_sparse_rl.training import learner

_SPEC = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_MIDDLE, _SCALE = np.array([0.0, -0.75]), np.array([1.0, 1.25])  # Of _SPEC.
_METHODS = ('dense', 'static', 'set', 'rigl', 'prune')
_CRITICS = ('critic_1', 'critic_2')
_NETWORKS = ('actor', *_CRITICS)
_SHAPES = {  # Kernels, in the order of the layers.
  'actor': [(5, 24), (24, 16), (16, 4)],
  **dict.fromkeys(_CRITICS, [(7, 24), (24, 16), (16, 1)]),
}
_BATCH, _ROW = 16, 5 + 2 + 1 + 1 + 5
_PERIOD, _END = 5, 20  # Train steps: masks change at 0, 5, 10, 15.
_TAU = 0.1


def _config(**changes):
  values = {
    'agent': 'sac',
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'hidden_units': (24, 16),
    'batch_size': _BATCH,
    'mask_update_period': _PERIOD,
    'mask_update_end_train_step': _END,
    'prune_begin_train_step': 5,
    'prune_end_train_step': 20,
    'target_update_tau': _TAU,
    'sparsity': 0.8,
    'weight_decay': 1e-3,
  }
  return flags.make_config({**values, **changes})


def _learner(agent):
  return learner.ReplayLearner(
    agent,
    _BATCH,
    tf.TensorSpec([_ROW]),
    tf.TensorSpec([_SPEC.observation_size]),
  )


def _rows(rng):
  """A batch as the replay stores it: observation, action, reward, ..."""
  rows = rng.normal(size=(_BATCH, _ROW)).astype(np.float32)
  rows[:, 5:7] = _MIDDLE + _SCALE * rng.uniform(-1, 1, (_BATCH, 2))
  rows[:, 8] = rng.random(_BATCH) < 0.7  # Discount: 0 if terminated.
  return rows


def _train(agent, learn, num_train_steps, after=lambda scalars: None):
  rng = np.random.default_rng(0)
  observation = np.zeros((1, _SPEC.observation_size), np.float32)
  for _ in range(num_train_steps):
    noise = agent.noise(rng, 1)
    _, scalars = learn.train_on(_rows(rng), observation, noise)
    after({tag: float(value) for tag, value in scalars.items()})


class _State(NamedTuple):
  """Arrays of a network, one for each layer."""

  kernels: list
  biases: list
  masks: list
  slots: list  # [m, v] of Adam for each kernel.


def _state(network, optimizer=None):
  """A _State, with the slots if an optimizer is given."""
  kernels = network.trainable_variables[::2]
  inner = getattr(optimizer, 'inner_optimizer', optimizer)
  return _State(
    [v.numpy() for v in kernels],
    [v.numpy() for v in network.trainable_variables[1::2]],
    [layer.mask.numpy() for layer in sparsity.sparse_layers(network)],
    [[inner.get_slot(v, s).numpy() for s in 'mv'] for v in kernels if inner],
  )


def _targets(tf_agent):
  targets = tf_agent._target_critic_network_1, tf_agent._target_critic_network_2
  return dict(zip(_CRITICS, targets))


class _Trained:
  """An agent after some train steps, and what it was after each of them."""

  def __init__(self, config, num_train_steps):
    self.agent = registry.build(config, _SPEC)
    self.scalars, self.online, self.target = [], [], []
    learn = _learner(self.agent)  # Tracing creates the slots.
    self._remember()
    _train(self.agent, learn, num_train_steps, self._remember)

  def _remember(self, scalars=None):
    tf_agent = self.agent.tf_agent
    optimizers = dict.fromkeys(_CRITICS, tf_agent._critic_optimizer)
    optimizers['actor'] = tf_agent._actor_optimizer
    self.scalars += [scalars] if scalars else []
    networks = self.agent.networks.items()
    self.online.append({k: _state(v, optimizers[k]) for k, v in networks})
    self.target.append({k: _state(v) for k, v in _targets(tf_agent).items()})


@pytest.fixture(scope='module', name='trained')
def trained_fixture():
  """Function: method -> _Trained, each trained once."""
  cache = {}

  def trained(method):
    if method not in cache:
      cache[method] = _Trained(_config(method=method), num_train_steps=28)
    return cache[method]

  return trained


def _assert_equal(a, b):
  """Bit by bit, of nests of arrays."""
  tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def _ones(masks):
  return [int(mask.sum()) for mask in masks]


@pytest.mark.parametrize('method', _METHODS)
def test_it_is_tf_agents_own_agent_and_learns(trained, method):
  run = trained(method)
  assert isinstance(run.agent.tf_agent, sac_agent.SacAgent)
  assert int(run.agent.tf_agent.train_step_counter) == 28
  assert len(run.scalars) == 28
  for tag in ('total_loss', 'critic_loss', 'actor_loss', 'alpha_loss'):
    losses = [scalars[f'Losses/{tag}'] for scalars in run.scalars]
    assert np.all(np.isfinite(losses))
    assert len(set(losses)) == 28, tag


def test_dense_has_no_sparse_layer(trained):
  run = trained('dense')
  assert run.agent.optimizers == {}
  assert tuple(run.agent.networks) == _NETWORKS
  for name in _NETWORKS:
    assert run.online[0][name].masks == []
    shapes = [kernel.shape for kernel in run.online[0][name].kernels]
    assert shapes == _SHAPES[name]


@pytest.mark.parametrize('method', _METHODS[1:])
def test_weights_and_slots_are_0_outside_the_mask_at_every_step(
  trained, method
):
  for state in trained(method).online:
    for network in state.values():
      kernels, _, masks, slots = network
      for kernel, mask, (m, v) in zip(kernels, masks, slots):
        assert set(np.unique(mask)) <= {0.0, 1.0}
        for array in (kernel, m, v):
          assert not array[mask == 0].any()
    if state is not trained(method).online[0]:
      assert m.any() and v.any()


@pytest.mark.parametrize('method', ['static', 'set', 'rigl'])
def test_the_number_of_connections_never_changes(trained, method):
  for name in _NETWORKS:
    shapes = {f'layer_{i}': shape for i, shape in enumerate(_SHAPES[name])}
    layers = sparsity.distributions.layer_sparsities(shapes, 0.8)
    expected = [
      math.prod(shape) - math.floor(layers[layer] * math.prod(shape))
      for layer, shape in shapes.items()
    ]
    total = sum(math.prod(shape) for shape in shapes.values())
    assert sum(expected) == pytest.approx(0.2 * total, abs=3)
    for state in trained(method).online:
      assert _ones(state[name].masks) == expected


@pytest.mark.parametrize('method', ['static', 'set', 'rigl'])
def test_the_critics_have_masks_of_their_own(trained, method):
  for state in trained(method).online:
    one, other = (state[name].masks[1] for name in _CRITICS)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize('network', _NETWORKS)
@pytest.mark.parametrize(
  'method, expected',
  [
    ('static', []),
    ('set', [0, 5, 10, 15]),  # At 20 the drop fraction has come down to 0.
    ('rigl', [0, 5, 10, 15]),
    ('prune', [10, 15, 20]),  # At 5 the ramp starts, at sparsity 0.
  ],
)
def test_schedules_count_train_steps(trained, method, expected, network):
  masks = [state[network].masks for state in trained(method).online]
  changed = [
    step
    for step, (before, after) in enumerate(zip(masks, masks[1:]))
    if not all(map(np.array_equal, before, after))
  ]
  assert changed == expected


@pytest.mark.parametrize('network', _NETWORKS)
def test_pruning_starts_dense_and_meets_its_budget_for_good(trained, network):
  masks = [state[network].masks for state in trained('prune').online]
  total = sum(mask.size for mask in masks[0])
  counts = [sum(_ones(m)) for m in masks]
  assert counts[0] == total
  assert counts == sorted(counts, reverse=True)
  assert counts[20] > counts[21] == pytest.approx(0.2 * total, abs=3)
  assert counts[21:] == [counts[21]] * 8


@pytest.mark.parametrize('method', _METHODS)
@pytest.mark.parametrize('critic', _CRITICS)
def test_targets_are_soft_averages_with_the_masks_of_now(
  trained, critic, method
):
  run = trained(method)
  _assert_equal(run.target[0][critic][:3], run.online[0][critic][:3])
  for step in range(28):
    before, after = run.target[step][critic], run.target[step + 1][critic]
    online = run.online[step + 1][critic]
    _assert_equal(after.masks, online.masks)
    masks = [*(online.masks or [1, 1, 1]), 1, 1, 1]
    for old, new, now, mask in zip(
      *(state.kernels + state.biases for state in (before, after, online)),
      masks,
    ):
      # What is dropped online is dropped here, not averaged away.
      expected = ((1 - _TAU) * old + _TAU * now) * mask
      np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-8)


def test_targets_are_updated_in_their_own_period():
  config = _config(method='set', target_update_period=3)
  run = _Trained(config, num_train_steps=12)
  for step in range(1, 13):
    target = run.target[step]['critic_1']
    if step % 3:
      _assert_equal(target, run.target[step - 1]['critic_1'])
    else:
      _assert_equal(target.masks, run.online[step]['critic_1'].masks)


def test_what_is_traced_without_mask_updates_agrees(trained):
  agent = registry.build(_config(method='set'), _SPEC)
  learn, scalars = _learner(agent), []
  compiled = learn._train_step._compiled
  assert compiled[False] is not compiled[True]
  compiled[False] = compiled[True]
  _train(agent, learn, 12, scalars.append)
  assert scalars == trained('set').scalars[:12]
  for name in _NETWORKS:
    expected = trained('set').online[12][name]
    _assert_equal(_state(agent.networks[name])[:3], expected[:3])


def _squash_inputs(num_actions=64):
  rng = np.random.default_rng(3)
  mean, log_std, noise = rng.normal(size=(3, num_actions, 2))
  parameters = np.concatenate([0.5 * mean, 0.3 * log_std - 0.5], axis=1)
  return np.float32(parameters), np.float32(noise)


def test_squashed_actions_are_those_of_tf_agents_distribution():
  head = heads.TanhGaussian(_SPEC)
  parameters, noise = _squash_inputs()
  actions, log_pi = head.sample(parameters, noise)
  distribution = head(parameters)
  expected = common.log_probability(distribution, actions, head.action_spec)
  np.testing.assert_allclose(log_pi, expected, rtol=1e-4, atol=1e-4)
  np.testing.assert_array_equal(head.act(parameters, noise), actions)
  mode = head.mode(parameters)
  np.testing.assert_allclose(mode, distribution.mode(), rtol=1e-6)
  np.testing.assert_array_equal(head.act(parameters, 0 * noise), mode)
  assert np.all(np.abs((actions - _MIDDLE) / _SCALE) < 1)


@pytest.mark.parametrize('mean', [-20.0, 20.0])
@pytest.mark.parametrize('log_std', [-5.0, 2.0])
def test_saturated_actions_keep_a_finite_probability(mean, log_std):
  head = heads.TanhGaussian(_SPEC)
  parameters = np.repeat(np.float32([[mean, mean, log_std, log_std]]), 64, 0)
  actions, log_pi = head.sample(parameters, _squash_inputs()[1])
  assert np.all(np.isfinite(log_pi))
  assert np.all(actions >= np.float32(_SPEC.action_low))
  assert np.all(actions <= np.float32(_SPEC.action_high))


def _output(state, inputs):
  """A network of Dense layers by hand, in float64."""
  x = np.float64(inputs)
  for kernel, bias in zip(state.kernels[:-1], state.biases[:-1]):
    x = np.maximum(x @ np.float64(kernel) + bias, 0)
  return x @ np.float64(state.kernels[-1]) + state.biases[-1]


def _sample(actor, observations, noise):
  """Actions and their log probabilities by hand."""
  mean, log_std = np.split(_output(actor, observations), 2, axis=1)
  squashed = np.tanh(mean + np.exp(log_std) * noise)
  density = -0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi)
  slope = np.log(_SCALE * (1 - squashed**2))
  return _MIDDLE + _SCALE * squashed, np.sum(density - slope, axis=1)


def _q_values(critics, observations, actions):
  """`[critic, batch]` by hand."""
  inputs = np.concatenate([observations, actions], axis=1)
  return np.array([_output(critic, inputs)[:, 0] for critic in critics])


def _l2(*networks):
  return 1e-3 * sum(np.sum(k**2) for state in networks for k in state.kernels)


@pytest.mark.parametrize('method', ['dense', 'static'])
def test_the_losses_of_a_batch_by_hand(method):
  config = _config(
    method=method, gamma=0.9, reward_scale=2.0, initial_log_alpha=-0.5
  )
  agent = registry.build(config, _SPEC)
  tf_agent, learn = agent.tf_agent, _learner(agent)
  _train(agent, learn, 3)  # Until online and target differ.
  log_alpha = float(tf_agent._log_alpha)
  actor, *critics = [_state(agent.networks[name]) for name in _NETWORKS]
  targets = [_state(network) for network in _targets(tf_agent).values()]
  rng = np.random.default_rng(1)
  rows, noise = _rows(rng), agent.noise(rng, 1)
  _, found = learn.train_on(rows, np.zeros((1, 5), np.float32), noise)
  # The actor's loss is that of the critics just updated.
  updated = [_state(agent.networks[name]) for name in _CRITICS]

  now, action, reward, discount, following = np.split(rows, [5, 7, 8, 9], 1)
  first, second = (
    tf.random.stateless_normal(
      [_BATCH, 2],
      [seeds.derive(config.seed, seeds.Stream.TRAIN_NOISE, draw), 3],
    ).numpy()
    for draw in (0, 1)
  )
  next_action, next_log_pi = _sample(actor, following, first)
  next_q = _q_values(targets, following, next_action).min(axis=0)
  value = next_q - np.exp(log_alpha) * next_log_pi
  q = _q_values(critics, now, action)
  error = 2.0 * reward[:, 0] + 0.9 * discount[:, 0] * value - q
  critic_loss = 0.5 * (np.mean(np.sum(error**2, axis=0)) + _l2(*critics))
  new_action, log_pi = _sample(actor, now, second)
  new_q = _q_values(updated, now, new_action).min(axis=0)
  actor_loss = np.mean(np.exp(log_alpha) * log_pi - new_q) + _l2(actor)
  target_entropy = -0.5 * 2
  alpha_loss = log_alpha * np.mean(-log_pi - target_entropy)
  expected = {
    'Losses/critic_loss': critic_loss,
    'Losses/actor_loss': actor_loss,
    'Losses/alpha_loss': alpha_loss,
    'Losses/total_loss': critic_loss + actor_loss + alpha_loss,
    'Agent/alpha': np.exp(log_alpha),
    'Agent/entropy': -np.mean(log_pi),
    'Agent/q_value_1': np.mean(q[0]),
    'Agent/q_value_2': np.mean(q[1]),
  }
  assert set(found) == set(expected)
  for tag, value in expected.items():
    np.testing.assert_allclose(found[tag], value, rtol=2e-5, err_msg=tag)


def test_the_seed_decides_everything(trained, monkeypatch):
  # TF-Agents has the critics' variables in a set ordered by their addresses,
  # another one in each process. So here is another order.
  sets = types.SimpleNamespace(ObjectIdentitySet=reversed)
  monkeypatch.setattr(sac_agent, 'object_identity', sets)
  again, run = _Trained(_config(method='set'), 12), trained('set')
  assert again.scalars == run.scalars[:12]
  _assert_equal(again.online, run.online[:13])
  _assert_equal(again.target, run.target[:13])


def test_another_seed_decides_otherwise(trained):
  run, config = trained('set'), _config(method='set', seed=6)
  other = registry.build(config, _SPEC)
  for name in _NETWORKS:
    start, changed = run.online[0][name], _state(other.networks[name])
    assert not np.array_equal(start.masks[1], changed.masks[1])
    assert not np.array_equal(start.kernels[2], changed.kernels[2])


def digest(run, num_train_steps):
  """A digest of all that a run was until then."""
  states = [h[: num_train_steps + 1] for h in (run.online, run.target)]
  content = repr(run.scalars[:num_train_steps]).encode()
  content += b''.join(array.tobytes() for array in tf.nest.flatten(states))
  return hashlib.sha256(content).hexdigest()


def print_digest():
  """Another process calls this."""
  print(digest(_Trained(_config(method='set'), num_train_steps=6), 6))


@pytest.mark.slow
def test_another_process_does_the_same(trained):
  here = pathlib.Path(__file__)
  path = os.pathsep.join([str(here.parents[2]), str(here.parent)])
  # Strings, and so sets of them, are hashed another way there.
  seed = '1' if os.environ.get('PYTHONHASHSEED') != '1' else '2'
  process = subprocess.run(
    [sys.executable, '-c', 'import sac_test; sac_test.print_digest()'],
    env={**os.environ, 'PYTHONPATH': path, 'PYTHONHASHSEED': seed},
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  assert process.stdout.strip() == digest(trained('set'), 6)


@pytest.mark.parametrize(
  'actor, critic', [(0.0, 0.8), (0.8, 0.0), (0.5, 0.9), (0.0, 0.0)]
)
def test_actor_and_critics_have_sparsities_of_their_own(actor, critic):
  config = _config(method='rigl', actor_sparsity=actor, critic_sparsity=critic)
  agent = registry.build(config, _SPEC)
  _train(agent, _learner(agent), 1)
  for name, expected in zip(_NETWORKS, (actor, critic, critic)):
    total = counting.total(counting.count(agent.networks[name]))
    assert total.sparsity == pytest.approx(expected, abs=0.01)
    sparse = bool(sparsity.sparse_layers(agent.networks[name]))
    assert sparse == (name in agent.optimizers) == (expected > 0)


def _zeros(agent, network, layer):
  layers = sparsity.sparse_layers(agent.networks[network])
  [mask] = [x.mask.numpy() for x in layers if x.layer.name == layer]
  return np.count_nonzero(mask == 0)


def test_a_custom_sparsity_reaches_the_network_that_it_names():
  custom = 'actor/output=0.5,hidden_1=0.25'
  config = _config(method='static', custom_sparsity=custom)
  agent = registry.build(config, _SPEC)
  assert [_zeros(agent, name, 'hidden_1') for name in _NETWORKS] == [96] * 3
  assert _zeros(agent, 'actor', 'output') == 16 * 4 // 2
  # ERK leaves 38 of 184 weights to the others: a density of 0.84 to 16 x 1.
  assert [_zeros(agent, name, 'output') for name in _CRITICS] == [2, 2]


def test_greedy_actions_are_those_of_tf_agents_greedy_policy(trained):
  agent = trained('rigl').agent
  learn, rng = _learner(agent), np.random.default_rng(2)
  observations = rng.normal(size=(32, 5)).astype(np.float32)
  noise = agent.noise(rng, 32)
  assert noise.shape == (32, agent.noise_size) == (32, 2)
  found = learn.act_greedily(observations)
  policy = greedy_policy.GreedyPolicy(agent.tf_agent.policy)
  expected = policy.action(ts.restart(observations, batch_size=32)).action
  for actions in (found, learn.act(observations, 0 * noise)):
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-6)
  by_hand, _ = _sample(_state(agent.networks['actor']), observations, noise)
  explored = learn.act(observations, noise)
  np.testing.assert_allclose(explored, by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  'inner, updater',
  [
    (tf.keras.optimizers.Adam, sparsity.RigL),
    (tf.keras.optimizers.legacy.Adam, sparsity.SET),
  ],
)
def test_tf_agents_unmodified_agent_trains_sparsely(inner, updater):
  ours = registry.build(_config(method='rigl'), _SPEC)
  actor, *critics = ours.networks.values()

  def optimizer(network):
    moving = updater(0.3, _PERIOD, _END)
    return sparsity.SparseOptimizer(inner(1e-3), moving, network)

  agent = sac_agent.SacAgent(
    ours.tf_agent.time_step_spec,
    ours.tf_agent.action_spec,
    critic_network=critics[0],
    critic_network_2=critics[1],
    actor_network=actor,
    actor_optimizer=optimizer(actor),
    critic_optimizer=optimizer(critics),
    alpha_optimizer=tf.keras.optimizers.Adam(1e-3),
    target_update_tau=_TAU,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  agent.initialize()
  networks = [actor, *critics]
  masks = [_state(network).masks for network in networks]
  train, rng = (
    tf.function(agent.train, autograph=False),
    np.random.default_rng(0),
  )
  for step in range(7):
    train(ours.experience(tf.constant(_rows(rng))))
    states = [_state(network) for network in networks]
    for state, before in zip(states, masks):
      for kernel, mask in zip(state.kernels, state.masks):
        assert not kernel[mask == 0].any()
      assert _ones(state.masks) == _ones(before)
      changed = not all(map(np.array_equal, state.masks, before))
      assert changed == (step in (0, 5))
    masks = [state.masks for state in states]


def test_nan_in_a_batch_names_the_loss():
  rng = np.random.default_rng(0)
  agent = registry.build(_config(method='static'), _SPEC)
  rows, noise = _rows(rng), agent.noise(rng, 1)
  rows[3, 7] = np.nan  # A reward.
  with pytest.raises(FloatingPointError, match='Critic loss is inf or nan'):
    _learner(agent).train_on(rows, np.zeros((1, 5), np.float32), noise)


def test_a_custom_sparsity_of_no_network_is_refused():
  config = _config(custom_sparsity='critic_1/output=0.5', method='static')
  with pytest.raises(ValueError, match="'critic_1'.*critic"):
    registry.build(config, _SPEC)
