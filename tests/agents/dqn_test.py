"""Sparse DQN, trained for real: TF-Agents' agent, exact zeros, schedules."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent

import tf_sparse_rl
from tf_sparse_rl import callbacks, envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.training import learner

_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_METHODS = ('dense', 'static', 'set', 'rigl', 'prune')
_BATCH = 16
_PERIOD, _END = 5, 20  # Train steps: masks change at 0, 5, 10, 15.


def _config(**changes):
  values = {
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'hidden_units': (32, 24),
    'batch_size': _BATCH,
    'mask_update_period': _PERIOD,
    'mask_update_end_train_step': _END,
    'prune_begin_train_step': 5,
    'prune_end_train_step': 20,
    'target_update_period': 7,
    'sparsity': 0.8,
    'weight_decay': 1e-3,
  }
  return flags.make_config({**values, **changes})


def _learner(agent, config, jit=False):
  return learner.ReplayLearner(
    agent, config.batch_size, tf.TensorSpec([11]), tf.TensorSpec([4]), jit
  )


def _rows(rng):
  """A batch as the replay stores it: observation, action, reward, ..."""
  rows = rng.normal(size=(_BATCH, 11)).astype(np.float32)
  rows[:, 4] = rng.integers(2, size=_BATCH)
  rows[:, 6] = rng.random(_BATCH) < 0.7  # Discount: 0 if terminated.
  return rows


class _Trained:
  """An agent after some train steps, and what it was after each of them."""

  def __init__(self, config, num_train_steps):
    self.agent = registry.build(config, _SPEC)
    self.network = self.agent.networks['q_network']
    self.target = self.agent.tf_agent._target_q_network
    self.layers = sparsity.sparse_layers(self.network)
    self.target_layers = sparsity.sparse_layers(self.target)
    self.history = [self._state()]  # Entry k is after k train steps.
    self.losses = []
    learn = _learner(self.agent, config)
    rng = np.random.default_rng(0)
    observation = np.zeros((1, 4), np.float32)
    for _ in range(num_train_steps):
      noise = self.agent.noise(rng, 1)
      _, scalars = learn.train_on(_rows(rng), observation, noise)
      self.losses.append(float(scalars['Losses/total_loss']))
      self.history.append(self._state())

  def _state(self):
    return {
      'kernels': [layer.kernel.numpy() for layer in self.layers],
      'masks': [layer.mask.numpy() for layer in self.layers],
      'target_kernels': [x.kernel.numpy() for x in self.target_layers],
      'target_masks': [x.mask.numpy() for x in self.target_layers],
    }


@pytest.fixture(scope='module', name='trained')
def trained_fixture():
  """Function: method -> _Trained, each trained once."""
  cache = {}

  def trained(method):
    if method not in cache:
      cache[method] = _Trained(_config(method=method), num_train_steps=28)
    return cache[method]

  return trained


def _ones(masks):
  return [int(mask.sum()) for mask in masks]


@pytest.mark.parametrize('method', _METHODS)
def test_it_is_tf_agents_own_agent_and_learns(trained, method):
  run = trained(method)
  assert isinstance(run.agent.tf_agent, dqn_agent.DqnAgent)
  assert int(run.agent.tf_agent.train_step_counter) == 28
  assert np.all(np.isfinite(run.losses))
  assert len(set(run.losses)) == 28


def test_dense_has_no_sparse_layer(trained):
  run = trained('dense')
  assert run.layers == run.target_layers == []
  assert run.agent.optimizers == {}
  assert [layer.name for layer in run.agent.policy_layers] == [
    'hidden_0',
    'hidden_1',
    'output',
  ]


@pytest.mark.parametrize('method', _METHODS[1:])
def test_kernels_are_exactly_0_outside_the_mask_at_every_step(trained, method):
  for state in trained(method).history:
    for kernel, mask in zip(state['kernels'], state['masks']):
      assert set(np.unique(mask)) <= {0.0, 1.0}
      assert not kernel[mask == 0].any()
      assert np.count_nonzero(kernel) <= mask.sum()


@pytest.mark.parametrize('method', ['static', 'set', 'rigl'])
def test_the_number_of_connections_never_changes(trained, method):
  run = trained(method)
  expected = [
    int(layer.kernel.shape.num_elements())
    - int(
      sparsity.distributions.num_zeros(
        layer.kernel.shape.as_list(), layer.target_sparsity
      )
    )
    for layer in run.layers
  ]
  for state in run.history:
    assert _ones(state['masks']) == expected
  total = sum(m.size for m in run.history[0]['masks'])
  assert sum(expected) == pytest.approx(0.2 * total, abs=3)


def _changes(run):
  """Train steps, counted from 0, in which some mask changed."""
  return [
    step
    for step, (before, after) in enumerate(zip(run.history, run.history[1:]))
    if any(
      not np.array_equal(b, a) for b, a in zip(before['masks'], after['masks'])
    )
  ]


@pytest.mark.parametrize(
  'method, expected',
  [
    ('static', []),
    ('set', [0, 5, 10, 15]),  # At 20 the drop fraction has come down to 0.
    ('rigl', [0, 5, 10, 15]),
    ('prune', [10, 15, 20]),  # At 5 the ramp starts, at sparsity 0.
  ],
)
def test_schedules_count_train_steps(trained, method, expected):
  assert _changes(trained(method)) == expected


def test_pruning_starts_dense_and_meets_its_budget_for_good(trained):
  run = trained('prune')
  sizes = [mask.size for mask in run.history[0]['masks']]
  assert _ones(run.history[0]['masks']) == sizes
  counts = [sum(_ones(state['masks'])) for state in run.history]
  assert counts == sorted(counts, reverse=True)
  assert counts[21] == pytest.approx(0.2 * sum(sizes), abs=3)
  assert counts[21:] == [counts[21]] * 8


@pytest.mark.parametrize('method', _METHODS[1:])
def test_the_target_starts_as_the_online_network(trained, method):
  start = trained(method).history[0]
  for online, target in (
    ('kernels', 'target_kernels'),
    ('masks', 'target_masks'),
  ):
    for a, b in zip(start[online], start[target]):
      np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('method', _METHODS[1:])
def test_a_target_update_copies_masks_and_weights(trained, method):
  run = trained(method)
  for step in (7, 14, 21, 28):
    state = run.history[step]
    for online, target in (
      ('kernels', 'target_kernels'),
      ('masks', 'target_masks'),
    ):
      for a, b in zip(state[online], state[target]):
        np.testing.assert_array_equal(a, b)
  # Between updates the target stands still while the online network moves.
  before, after = run.history[8], run.history[13]
  for a, b in zip(before['target_kernels'], after['target_kernels']):
    np.testing.assert_array_equal(a, b)
  assert not np.array_equal(before['kernels'][0], after['kernels'][0])


def _q_values(layers, observations):
  """The Q-network by hand."""
  x = observations
  for kernel, bias in layers[:-1]:
    x = np.maximum(x @ kernel + bias, 0)
  kernel, bias = layers[-1]
  return x @ kernel + bias


def _weights(network):
  values = [w.numpy() for w in network.trainable_weights]
  return list(zip(values[::2], values[1::2]))


def _huber(error):
  size = np.abs(error)
  return np.where(size <= 1, 0.5 * size**2, size - 0.5)


@pytest.mark.parametrize(
  'changes',
  [
    {'method': 'dense'},
    {'method': 'static'},
    {'method': 'dense', 'td_loss': 'huber'},
    {'method': 'static', 'double_dqn': True, 'learning_rate': 0.05},
  ],
)
def test_the_loss_of_a_batch_by_hand(changes):
  config = _config(gamma=0.9, reward_scale=2.0, **changes)
  agent = registry.build(config, _SPEC)
  learn = _learner(agent, config)
  rng = np.random.default_rng(1)
  observation = np.zeros((1, 4), np.float32)
  for _ in range(3):  # Until online and target differ.
    learn.train_on(_rows(rng), observation, agent.noise(rng, 1))
  online = _weights(agent.networks['q_network'])
  target = _weights(agent.tf_agent._target_q_network)
  assert not np.array_equal(online[0][0], target[0][0])
  rows = _rows(rng)
  rows[::2, 6] *= 0.9**2  # As over three env steps.
  noise = agent.noise(rng, 1)
  _, scalars = learn.train_on(rows, observation, noise)

  action = rows[:, 4].astype(int)
  q = _q_values(online, rows[:, :4])[np.arange(_BATCH), action]
  following = _q_values(target, rows[:, 7:])
  best = following.argmax(axis=1)
  if config.double_dqn:
    picked = _q_values(online, rows[:, 7:]).argmax(axis=1)
    assert (picked != best).any()
    best = picked
  following = following[np.arange(_BATCH), best]
  error = 2.0 * rows[:, 5] + 0.9 * rows[:, 6] * following - q
  assert np.abs(error).min() < 1 < np.abs(error).max()
  loss = _huber if config.td_loss == 'huber' else np.square
  td_loss = np.mean(loss(error))
  l2 = 1e-3 * sum(np.sum(kernel**2) for kernel, _ in online[:-1])
  assert set(scalars) == {'Losses/td_loss', 'Losses/total_loss'}
  for tag, expected in (('td_loss', td_loss), ('total_loss', td_loss + l2)):
    np.testing.assert_allclose(scalars[f'Losses/{tag}'], expected, rtol=1e-5)


@pytest.mark.parametrize('method', ['dense', 'rigl'])
def test_adam_epsilon_is_that_of_the_optimizer(method):
  epsilons = []
  for given in ({}, {'adam_epsilon': 0.25}):
    agent = registry.build(_config(method=method, **given), _SPEC)
    optimizer = agent.tf_agent._optimizer
    optimizer = getattr(optimizer, 'inner_optimizer', optimizer)
    epsilons.append(optimizer.epsilon)
  assert epsilons == [1e-7, 0.25]


@pytest.mark.parametrize('epsilon', [0.0, 0.3, 1.0])
def test_epsilon_is_the_share_of_random_actions(epsilon):
  config = _config(method='dense', epsilon=epsilon, seed=5)
  agent = registry.build(config, _SPEC)
  learn = _learner(agent, config)
  rng = np.random.default_rng(2)
  observations = rng.normal(size=(4000, 4)).astype(np.float32)
  noise = agent.noise(rng, 4000)
  actions = learn.act(observations, noise)
  greedy = learn.act_greedily(observations)
  by_hand = _q_values(_weights(agent.networks['q_network']), observations)
  np.testing.assert_array_equal(greedy, by_hand.argmax(axis=1))
  assert set(actions) == {0, 1}
  # Half of the random actions of two are the greedy ones by chance.
  share = np.mean(actions != greedy)
  deviation = np.sqrt(epsilon / 2 * (1 - epsilon / 2) / 4000)
  assert abs(share - epsilon / 2) <= 5 * deviation


def _share_of_random(agent, noise, observations, greedy):
  """The epsilon at which these actions were taken."""
  actions = agent.act(tf.constant(observations), tf.constant(noise)).numpy()
  other = noise[actions != greedy, 0]
  return other.max() if len(other) else 0.0


def test_epsilon_falls_from_1_by_train_steps():
  config = _config(
    method='dense',
    epsilon=0.2,
    epsilon_decay_env_steps=40,
    train_period=2,
    prune_end_train_step=9,
  )
  agent = registry.build(config, _SPEC)
  rng = np.random.default_rng(2)
  observations = rng.normal(size=(20_000, 4)).astype(np.float32)
  noise = agent.noise(rng, 20_000)
  q_values, _ = agent.networks['q_network'](observations)
  greedy = q_values.numpy().argmax(axis=1)
  # Two env steps a train step: 20 of these take it from 1 to 0.2.
  for train_step, expected in (
    (0, 1.0),
    (5, 0.8),
    (10, 0.6),
    (20, 0.2),
    (1000, 0.2),
  ):
    agent.tf_agent.train_step_counter.assign(train_step)
    found = _share_of_random(agent, noise, observations, greedy)
    assert expected - 1e-3 < found < expected + 1e-6


def test_epsilon_of_a_learner_falls_as_it_trains():
  config = _config(method='rigl', epsilon=0.0, epsilon_decay_env_steps=10)
  agent = registry.build(config, _SPEC)
  learn = _learner(agent, config)
  rng = np.random.default_rng(3)
  # Noise below which actions are random: the other of two actions is drawn.
  observation = rng.normal(size=(1, 4)).astype(np.float32)
  was_random = []
  for _ in range(10):
    noise = np.float32([[0.45, 0.0]])
    greedy = learn.act_greedily(observation)[0]
    noise[0, 1] = 0.25 if greedy else 0.75
    was_random.append(learn.act(observation, noise)[0] != greedy)
    learn.train_on(_rows(rng), observation, noise)
  # 1 - k / 10 after k train steps.
  assert was_random == [True] * 6 + [False] * 4


def test_erk_of_cartpole_at_90_percent():
  config = _config(hidden_units=(512, 512), sparsity=0.9, method='rigl')
  layers = sparsity.sparse_layers(
    registry.build(config, _SPEC).networks['q_network']
  )
  found = [1 - float(np.mean(layer.mask)) for layer in layers]
  assert found == pytest.approx([0, 0.9105, 0], abs=5e-5)  # the paper's ERK


def test_custom_sparsities_are_kept_as_given():
  config = _config(custom_sparsity='hidden_1=0.5', method='static')
  layers = sparsity.sparse_layers(
    registry.build(config, _SPEC).networks['q_network']
  )
  found = {layer.layer.name: layer.mask.numpy() for layer in layers}
  assert np.count_nonzero(found['hidden_1'] == 0) == 32 * 24 // 2


def test_a_custom_sparsity_of_no_layer_is_refused():
  config = _config(custom_sparsity='hidden_9=0.5', method='static')
  with pytest.raises(ValueError, match='hidden_9'):
    registry.build(config, _SPEC)


def test_sparsity_0_is_dense_whatever_the_method():
  agent = registry.build(_config(sparsity=0, method='rigl'), _SPEC)
  assert sparsity.sparse_layers(agent.networks['q_network']) == []
  assert agent.optimizers == {}


def test_the_seed_decides_everything(trained):
  run = trained('set')
  again = _Trained(_config(method='set', seed=0), num_train_steps=12)
  assert again.losses == run.losses[:12]
  for name, arrays in again.history[12].items():
    for a, b in zip(arrays, run.history[12][name]):
      np.testing.assert_array_equal(a, b)
  other = _Trained(_config(method='set', seed=6), num_train_steps=2)
  assert set(other.losses).isdisjoint(run.losses)
  masks, other_masks = run.history[0]['masks'], other.history[0]['masks']
  assert not np.array_equal(masks[1], other_masks[1])


def test_the_updater_is_the_configs():
  agent = registry.build(_config(method='rigl', drop_fraction=0.4), _SPEC)
  updater = agent.optimizers['q_network'].updater
  assert isinstance(updater, sparsity.RigL)
  assert updater.mask_update_period == _PERIOD
  fractions = [float(updater.drop_fraction(tf.constant(t))) for t in (0, 10)]
  assert fractions == pytest.approx([0.4, 0.2])  # Cosine: half at half time.


@pytest.mark.slow
def test_set_finds_the_real_inputs_among_noise(tmp_path):
  """Grooten et al. 2023: only the input layer is sparse."""

  class Share(callbacks.Callback):
    """Notes the share of connections with the 4 real inputs of 40."""

    found = []

    def on_evaluation(self, training, evaluation):
      network = training.agent.networks['q_network']
      mask = sparsity.sparse_layers(network)[0].mask.numpy()
      self.found.append(mask[:4].sum() / mask.sum())

  run = tf_sparse_rl.train(
    tmp_path,
    callbacks=[Share()],
    env='CartPole-v1',
    env_wrappers='tf_sparse_rl.envs.noise_features:NoiseFeatures',
    method='set',
    custom_sparsity='hidden_0=0.8,hidden_1=0,output=0',
    hidden_units=(64, 64),
    num_env_steps=6000,
    eval_period=6000,
    num_eval_episodes=5,
    mask_update_period=100,
    backend='masked',
  )
  begin, end = Share.found
  assert begin < 0.11 and end > 0.13
  assert run.summary.best_return > 60  # Of random actions some 20.
