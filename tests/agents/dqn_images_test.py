"""DQN on images, trained for real with small networks of convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import network_layers, registry
from tf_sparse_rl.sparsity import counting

_SHAPE = (16, 16, 4)
_SPEC = envs.EnvSpec('ALE/Pong-v5', 1024, 3, None, observation_shape=_SHAPE)
_ATARI = envs.EnvSpec(
  'ALE/Pong-v5', 84 * 84 * 4, 6, None, observation_shape=(84, 84, 4)
)
_SPARSE_METHODS = ('static', 'set', 'rigl', 'prune')
_NETWORKS = ('nature_cnn', 'impala_resnet')
_BATCH = 4


def _config(network='nature_cnn', **changes):
  values = {
    'network': network,
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'width': 0.07,  # 2, 4 and 4 channels, 35 units.
    'batch_size': _BATCH,
    'learning_rate': 1e-3,
    'mask_update_period': 2,
    'mask_update_end_train_step': 6,
    'prune_begin_train_step': 1,
    'prune_end_train_step': 5,
    'target_update_period': 4,
    'sparsity': 0.8,
    'weight_decay': 1e-3,
  }
  return flags.make_config({**values, **changes})


def _images(rng, size):
  return rng.integers(256, size=(size, *_SHAPE), dtype=np.uint8)


def _rows(rng):
  """Images, actions, rewards, discounts, and the images that follow."""
  rows = (
    _images(rng, _BATCH),
    rng.integers(3, size=_BATCH, dtype=np.int32),
    rng.normal(size=_BATCH).astype(np.float32),
    (rng.random(_BATCH) < 0.7).astype(np.float32),
    _images(rng, _BATCH),
  )
  return tuple(map(tf.constant, rows))


class _Trained:
  """An agent after some train steps, and its masks after each of them."""

  def __init__(self, config, num_train_steps):
    self.agent = registry.build(config, _SPEC)
    self.network = self.agent.networks['q_network']
    self.layers = sparsity.sparse_layers(self.network)
    self.target_layers = sparsity.sparse_layers(
      self.agent.tf_agent._target_q_network
    )
    self.losses, self.actions = [], []
    self.masks = [self._masks()]
    self.outside = []  # Largest weight outside a mask, online or target.

    @tf.function(autograph=False)
    def train(rows, observations, noise):
      info = self.agent.tf_agent.train(self.agent.experience(rows))
      return info.loss, self.agent.act(observations, noise)

    rng = np.random.default_rng(0)
    for _ in range(num_train_steps):
      rows = _rows(rng)
      loss, actions = train(rows, rows[0][:2], self.agent.noise(rng, 2))
      self.losses.append(float(loss))
      self.actions.extend(actions.numpy())
      self.masks.append(self._masks())
      self.outside.append(
        max(
          np.abs(layer.kernel.numpy() * (1 - layer.mask.numpy())).max()
          for layer in (*self.layers, *self.target_layers)
        )
        if self.layers
        else 0.0
      )

  def _masks(self):
    return [layer.mask.numpy() for layer in self.layers]


@pytest.fixture(scope='module', name='trained')
def trained_fixture():
  """Function: (network, method) -> _Trained, each trained once."""
  cache = {}

  def trained(network, method):
    if (network, method) not in cache:
      config = _config(network, method=method)
      cache[network, method] = _Trained(config, num_train_steps=8)
    return cache[network, method]

  return trained


# The methods are the same for both networks; tracing the second takes long.
_CASES = [
  *(('nature_cnn', method) for method in _SPARSE_METHODS),
  ('impala_resnet', 'rigl'),
]


@pytest.mark.parametrize('network, method', [*_CASES, ('nature_cnn', 'dense')])
def test_it_learns(trained, network, method):
  run = trained(network, method)
  assert np.isfinite(run.losses).all()
  assert len(set(run.losses)) == len(run.losses) == 8
  assert int(run.agent.tf_agent.train_step_counter) == 8
  assert set(run.actions) <= {0, 1, 2}
  kinds = {'nature_cnn': 5, 'impala_resnet': 17}
  assert len(run.layers) == (0 if method == 'dense' else kinds[network])


@pytest.mark.parametrize('network, method', _CASES)
def test_kernels_are_exactly_0_outside_the_mask_at_every_step(
  trained, network, method
):
  assert trained(network, method).outside == [0.0] * 8


def _changes(run):
  """Train steps, counted from 0, in which some mask of a layer changed."""
  return [
    {
      step
      for step in range(8)
      if not np.array_equal(run.masks[step][i], run.masks[step + 1][i])
    }
    for i in range(len(run.layers))
  ]


@pytest.mark.parametrize(
  'method, expected',
  [
    ('static', set()),
    ('set', {0, 2, 4}),
    ('rigl', {0, 2, 4}),
    ('prune', {3, 5}),
  ],
)
def test_masks_of_convolutions_move_when_they_are_due(
  trained, method, expected
):
  run = trained('nature_cnn', method)
  changes = _changes(run)
  assert set().union(*changes) == expected
  # conv_1 and conv_2, large enough to have something to exchange.
  assert changes[1] == changes[2] == expected


def test_masks_inside_residual_blocks_move(trained):
  run = trained('impala_resnet', 'rigl')
  changes = dict(zip((x.layer.name for x in run.layers), _changes(run)))
  sparse = [x.layer.name for x in run.layers if x.target_sparsity]
  inside = [name for name in sparse if 'block' in name]
  assert len(inside) == 12
  assert all(changes[name] for name in inside if 'stack_0' not in name)


@pytest.mark.parametrize('network, method', _CASES)
def test_budgets_are_kept(trained, network, method):
  run = trained(network, method)
  expected = [
    layer.kernel.shape.num_elements()
    - sparsity.distributions.num_zeros(
      layer.kernel.shape, layer.target_sparsity
    )
    for layer in run.layers
  ]
  found = [[int(m.sum()) for m in masks] for masks in run.masks]
  if method == 'prune':
    assert found[0] == [mask.size for mask in run.masks[0]]
    np.testing.assert_allclose(found[-1], expected, atol=1)
  else:
    assert found == [expected] * 9


@pytest.mark.parametrize('network, method', _CASES)
def test_a_freshly_masked_copy_has_the_same_q_values(trained, network, method):
  run = trained(network, method)
  images = _images(np.random.default_rng(1), 3)
  q_values = run.network(images)[0].numpy()
  assert len(np.unique(q_values)) == q_values.size
  copy = run.network.copy(name='Copy')
  for layer in sparsity.sparse_layers(copy):
    layer.kernel.assign(layer.kernel * layer.mask)
  np.testing.assert_array_equal(copy(images)[0], q_values)
  # So do the layers that act, and what is exported of them.
  for layers in (
    run.agent.policy_layers,
    sparsity.strip(run.agent.policy_layers),
  ):
    output = images
    for layer in layers:
      output = layer(output)
    np.testing.assert_array_equal(output, q_values)


@pytest.mark.parametrize('network, method', _CASES)
def test_the_target_is_a_copy_of_its_own(trained, network, method):
  run = trained(network, method)
  online, target = run.network, run.agent.tf_agent._target_q_network
  assert len(online.variables) == len(target.variables)
  # Train step 8 was one of its updates.
  for ours, theirs in zip(online.variables, target.variables):
    assert ours is not theirs
    np.testing.assert_array_equal(ours, theirs)
  assert len(run.target_layers) == len(run.layers)


def test_weight_decay_of_residual_blocks_is_in_the_loss():
  config = _config('impala_resnet', method='static', weight_decay=0.5)
  agent = registry.build(config, _SPEC)
  layers = sparsity.sparse_layers(agent.networks['q_network'])
  squares = sum(np.sum(layer.kernel.numpy() ** 2) for layer in layers)
  rows = _rows(np.random.default_rng(3))
  info = agent.tf_agent.train(agent.experience(rows))
  l2 = float(info.loss) - float(info.extra['Losses/td_loss'])
  assert l2 == pytest.approx(0.5 * squares, rel=1e-4)


def test_a_checkpoint_restores_everything(trained, tmp_path):
  saved = trained('impala_resnet', 'rigl').agent.tf_agent
  path = tf.train.Checkpoint(agent=saved).write(str(tmp_path / 'saved'))
  config = _config('impala_resnet', method='rigl', seed=1)
  agent = registry.build(config, _SPEC).tf_agent
  status = tf.train.Checkpoint(agent=agent).read(path)
  status.assert_existing_objects_matched()
  assert int(agent.train_step_counter) == 8
  for ours, theirs in (
    (saved._q_network, agent._q_network),
    (saved._target_q_network, agent._target_q_network),
  ):
    assert len(sparsity.sparse_layers(theirs)) == 17
    for a, b in zip(ours.variables, theirs.variables, strict=True):
      np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('network', ['mlp', *_NETWORKS])
def test_a_network_that_does_not_fit_is_refused(network):
  flat = envs.EnvSpec('CartPole-v1', 4, 2, 500)
  spec = _SPEC if network == 'mlp' else flat
  config = _config(network)
  with pytest.raises(ValueError, match=f'network=mlp .*network={network}, obs'):
    registry.build(config, spec)


def test_custom_sparsities_reach_into_residual_blocks():
  config = _config(
    'impala_resnet',
    method='static',
    custom_sparsity='stack_1_block_0_conv_1=0.5,q_network/hidden_0=0.25',
  )
  layers = sparsity.sparse_layers(network_layers.of_q_network(config, _SPEC))
  found = {x.layer.name: x.target_sparsity for x in layers}
  assert found['stack_1_block_0_conv_1'] == 0.5
  assert found['hidden_0'] == 0.25


@pytest.mark.parametrize(
  'network, matched',
  [('nature_cnn', 0.5), ('nature_cnn', 0.95), ('impala_resnet', 0.9)],
)
def test_match_sparsity_counts_the_layers_as_they_are_built(network, matched):
  def parameters(**changes):
    config = flags.make_config({'network': network, **changes})
    layers = network_layers.of_q_network(config, _ATARI)
    return counting.total(counting.count(layers)).parameters, layers

  expected, _ = parameters(method='static', sparsity=matched)
  found, layers = parameters(method='dense', match_sparsity=matched)
  # To the nearest whole channel, of ever fewer of them.
  assert found == pytest.approx(expected, rel=0.03)
  assert sparsity.sparse_layers(layers) == []
  assert layers[-1].units == 6


def test_the_seed_decides_the_matched_network():
  config = _config(method='dense', match_sparsity=0.5, width=0.2)
  first, again = (network_layers.of_q_network(config, _SPEC) for _ in range(2))
  for ours, theirs in zip(first, again):
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
      np.testing.assert_array_equal(a, b)
