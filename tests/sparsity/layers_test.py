"""`SparseLayer`: pure call, masks, saving, copies, TFMOT and TF-Agents."""

import copy

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import layers as layers_lib

_L = tf.keras.layers

# A layer of each kind and the shape of its input.
_KINDS = {
  'Dense': (lambda: _L.Dense(5), (2, 4)),
  'Conv1D': (lambda: _L.Conv1D(5, 2), (2, 6, 3)),
  'Conv2D': (lambda: _L.Conv2D(5, 2), (2, 6, 5, 3)),
  'Conv2DTranspose': (lambda: _L.Conv2DTranspose(5, 2, 2), (2, 4, 5, 3)),
  'Conv3D': (lambda: _L.Conv3D(5, 2), (2, 4, 4, 4, 2)),
  'Conv3DTranspose': (lambda: _L.Conv3DTranspose(5, 2), (2, 3, 3, 3, 2)),
}


def _sparse(kind, **kwargs):
  """A layer of the kind at half sparsity, its input and its mask."""
  make, shape = _KINDS[kind]
  [layer] = sparsity.sparsify(
    [make()],
    target_sparsity=0.5,
    distribution='uniform',
    input_shape=(None, *shape[1:]),
    **kwargs,
  )
  inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  return layer, tf.constant(inputs), layer.mask.numpy()


@pytest.mark.parametrize('kind', _KINDS)
def test_call_is_that_of_the_plain_layer_and_changes_nothing(kind):
  layer, inputs, mask = _sparse(kind)
  assert np.sum(mask == 0) == mask.size // 2
  assert np.sum(layer.kernel.numpy() != 0) == np.sum(mask)
  before = [v.numpy() for v in layer.variables]
  outputs = [layer(inputs, training=t) for t in (True, False)]
  outputs.append(tf.function(layer)(inputs))
  for found, expected in zip(layer.variables, before):
    np.testing.assert_array_equal(found.numpy(), expected)
  make, shape = _KINDS[kind]
  plain = make()
  plain.build(shape)
  plain.set_weights([layer.kernel.numpy(), layer.layer.bias.numpy()])
  for output in outputs:
    np.testing.assert_allclose(output, plain(inputs), rtol=1e-5, atol=1e-6)
  assert layer.compute_output_shape(shape) == plain(inputs).shape


@pytest.mark.parametrize('kind', _KINDS)
def test_gradient_of_the_kernel_is_dense(kind):
  layer, inputs, mask = _sparse(kind)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(layer(inputs) - 1))
  gradient = tape.gradient(loss, layer.kernel).numpy()
  assert np.all(gradient[mask == 0] != 0)


@pytest.mark.parametrize('kind', _KINDS)
@pytest.mark.parametrize(
  'optimizer',
  [
    lambda: tf.keras.optimizers.Adam(0.1),
    lambda: tf.keras.optimizers.AdamW(0.1),
    lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9),
    lambda: tf.keras.optimizers.legacy.Adam(0.1),
    lambda: tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9),
  ],
  ids=['adam', 'adamw', 'momentum', 'legacy_adam', 'legacy_momentum'],
)
def test_plain_optimizers_keep_exact_zeros(kind, optimizer):
  layer, inputs, mask = _sparse(kind)
  optimizer = optimizer()
  before = layer.kernel.numpy()
  for _ in range(3):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(tf.square(layer(inputs) - 1))
    variables = layer.trainable_variables
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients, variables))
    assert np.all(layer.kernel.numpy()[mask == 0] == 0)
  assert np.all(layer.kernel.numpy()[mask == 1] != before[mask == 1])


def test_the_layers_own_constraint_still_holds():
  dense = _L.Dense(8, kernel_constraint=tf.keras.constraints.NonNeg())
  model = sparsity.sparsify(
    tf.keras.Sequential([_L.InputLayer((6,)), dense]), target_sparsity=0.5
  )
  [layer] = model.layers
  mask = layer.mask.numpy()
  # The config stays that of a plain layer.
  assert isinstance(layer.layer.kernel_constraint, tf.keras.constraints.NonNeg)
  for optimizer in (
    tf.keras.optimizers.SGD(0.3),
    sparsity.SparseOptimizer(tf.keras.optimizers.SGD(0.3), sparsity.Static()),
  ):
    networks.train_step(model, optimizer)(*networks.batch(model))
    assert np.all(layer.kernel.numpy() >= 0)
    assert np.all(layer.kernel.numpy()[mask == 0] == 0)


def test_zero_sparsity_is_a_dense_layer():
  layer = layers_lib.SparseLayer(_L.Dense(3), 0.0)
  layer.build((None, 4))
  assert np.all(layer.mask.numpy() == 1)
  assert layer.kernel.constraint is None


def test_has_plain_weights_and_a_mask():
  layer, _, mask = _sparse('Dense')
  assert [tuple(w.shape) for w in layer.get_weights()] == [(4, 5), (5,)]
  assert [tuple(v.shape) for v in layer.trainable_variables] == [(4, 5), (5,)]
  assert any(v is layer.mask for v in layer.non_trainable_variables)
  assert set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: layers_lib.SparseLayer(_L.Flatten()), 'Received: Flatten'),
    (lambda: layers_lib.SparseLayer(_L.Dense(3), 1.0), 'Received: target_spar'),
    (lambda: layers_lib.SparseLayer(_L.Dense(3), -0.1), 'sparsity=-0.1'),
    (
      lambda: layers_lib.SparseLayer(_L.Dense(3), 0.5, method='prun'),
      "Did you mean 'prune'",
    ),
    (
      lambda: layers_lib.SparseLayer(networks.dense_network().layers[0]),
      "Received: 'first', built",
    ),
  ],
)
def test_errors_say_what_was_received(make, message):
  with pytest.raises(ValueError, match=message):
    make()


def _trained(network='dense'):
  """A sparse model and its optimizer, after three steps of RigL."""
  model = sparsity.sparsify(networks.NETWORKS[network](), target_sparsity=0.8)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.05), networks.updater('rigl'), model
  )
  step = networks.train_step(model, optimizer)
  for _ in range(3):
    step(*networks.batch(model))
  return model, step


def _assert_same(model, other):
  for ours, theirs in zip(networks.masks(model), networks.masks(other)):
    np.testing.assert_array_equal(ours, theirs)
  for ours, theirs in zip(networks.kernels(model), networks.kernels(other)):
    np.testing.assert_array_equal(ours, theirs)
  inputs, _ = networks.batch(model)
  np.testing.assert_allclose(model(inputs), other(inputs), rtol=1e-6)


@pytest.mark.parametrize('network', networks.NETWORKS)
def test_saved_and_loaded_with_its_masks(network, tmp_path):
  model, _ = _trained(network)
  model.save(tmp_path / 'model.keras')
  loaded = tf.keras.models.load_model(tmp_path / 'model.keras')
  _assert_same(model, loaded)
  for layer, other in zip(
    sparsity.sparse_layers(model), sparsity.sparse_layers(loaded)
  ):
    assert layer.target_sparsity == other.target_sparsity
    assert layer.name == other.name
    if layer.target_sparsity:
      assert other.kernel.constraint.mask is other.mask


@pytest.mark.parametrize('suffix', ['weights.h5', 'h5', 'tf'])
def test_weights_are_saved_with_masks(suffix, tmp_path):
  model, _ = _trained()
  path = str(tmp_path / f'model.{suffix}')
  model.save_weights(path)
  other = sparsity.sparsify(
    networks.dense_network(seed=9), target_sparsity=0.8, seed=5
  )
  other.load_weights(path)
  _assert_same(model, other)


@pytest.mark.parametrize('network', networks.NETWORKS)
def test_deepcopy_of_a_model_is_independent(network):
  model, step = _trained(network)
  twin = copy.deepcopy(model)
  _assert_same(model, twin)
  before = networks.masks(twin), networks.kernels(twin)
  for _ in range(3):
    step(*networks.batch(model, seed=1))
  after = networks.masks(twin), networks.kernels(twin)
  for ours, theirs in zip(sum(before, []), sum(after, [])):
    np.testing.assert_array_equal(ours, theirs)


def test_keras_clones_have_new_weights_and_masks():
  model, step = _trained()
  clone = tf.keras.models.clone_model(model)
  assert clone.get_config() == model.get_config()
  for mask, kernel, old in zip(
    networks.masks(clone), networks.kernels(clone), networks.masks(model)
  ):
    assert mask.sum() == old.sum()
    np.testing.assert_array_equal(mask != 0, kernel != 0)
  # None of it is shared.
  before = networks.kernels(clone)
  step(*networks.batch(model, seed=1))
  for ours, theirs in zip(before, networks.kernels(clone)):
    np.testing.assert_array_equal(ours, theirs)


def test_deepcopy_of_a_layer_uses_its_own_mask():
  layer, inputs, mask = _sparse('Dense')
  twin = copy.deepcopy(layer)
  np.testing.assert_array_equal(twin.mask.numpy(), mask)
  np.testing.assert_array_equal(twin.kernel.numpy(), layer.kernel.numpy())
  layer.mask.assign(tf.zeros_like(layer.mask))
  optimizer = tf.keras.optimizers.SGD(0.1)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(twin(inputs)))
  gradients = tape.gradient(loss, twin.trainable_variables)
  optimizer.apply_gradients(zip(gradients, twin.trainable_variables))
  np.testing.assert_array_equal(twin.kernel.numpy() != 0, mask == 1)


@pytest.mark.parametrize('network', networks.NETWORKS)
def test_stripped_models_have_plain_layers_and_baked_in_zeros(network):
  model, _ = _trained(network)
  inputs, _ = networks.batch(model)
  nonzero = [np.count_nonzero(k) for k in networks.kernels(model)]
  for plain in (
    sparsity.strip(model),
    tfmot.sparsity.keras.strip_pruning(model),
  ):
    assert not sparsity.sparse_layers(plain)
    np.testing.assert_allclose(plain(inputs), model(inputs), rtol=1e-6)
    kernels = [layer.kernel.numpy() for layer in plain.layers if layer.weights]
    assert [np.count_nonzero(k) for k in kernels] == nonzero


def test_strip_copies():
  model, step = _trained()
  plain = sparsity.strip(model)
  before = plain.get_weights()
  step(*networks.batch(model))
  for ours, theirs in zip(before, plain.get_weights()):
    np.testing.assert_array_equal(ours, theirs)


def test_sparse_layers_finds_nested_and_shared_ones_once():
  inner = networks.dense_network()
  inputs = tf.keras.Input((6,))
  outputs = inner(inputs) + inner(2 * inputs)
  model = tf.keras.Model(inputs, _L.Dense(2, name='head')(outputs))
  sparse = sparsity.sparsify(model, target_sparsity=0.5)
  names = [layer.layer.name for layer in sparsity.sparse_layers(sparse)]
  assert names == ['first', 'second', 'last', 'head']


def test_half_precision_policies():
  """Masks and kernels stay float32; the product is the layer's own."""
  dense = _L.Dense(4, dtype='mixed_bfloat16')
  [layer] = sparsity.sparsify(
    [dense], target_sparsity=0.5, input_shape=(None, 8)
  )
  assert layer.mask.dtype == layer.kernel.dtype == tf.float32
  assert layer(tf.ones((2, 8))).dtype == tf.bfloat16


class TestInTfAgents:
  """A sparse network under an agent that knows nothing of it."""

  @pytest.fixture(scope='class')
  def agent(self):
    from tf_agents.agents.dqn import dqn_agent
    from tf_agents.networks import sequential
    from tf_agents.specs import tensor_spec
    from tf_agents.trajectories import time_step, trajectory

    layers = sparsity.sparsify(
      [_L.Dense(16, 'tanh'), _L.Dense(16, 'tanh'), _L.Dense(2)],
      target_sparsity=0.7,
      input_shape=(None, 4),
    )
    network = sequential.Sequential(layers, input_spec=tf.TensorSpec((4,)))
    action_spec = tensor_spec.BoundedTensorSpec((), tf.int32, 0, 1)
    agent = dqn_agent.DqnAgent(
      time_step.time_step_spec(tf.TensorSpec((4,), tf.float32)),
      action_spec,
      q_network=network,
      optimizer=sparsity.SparseOptimizer(
        tf.keras.optimizers.Adam(0.01), networks.updater('rigl'), network
      ),
      target_update_tau=0.5,
      gamma=0.9,
      # Its own: TF-Agents' default is the counter of the whole process.
      train_step_counter=tf.Variable(0, dtype=tf.int64),
    )
    agent.initialize()
    self.check_target_starts_as_online(agent)
    rng = np.random.default_rng(0)

    def pair(*shape):
      return rng.normal(size=(8, 2, *shape)).astype(np.float32)

    experience = trajectory.Trajectory(
      step_type=tf.ones((8, 2), tf.int32),
      observation=tf.constant(pair(4)),
      action=tf.constant(rng.integers(2, size=(8, 2)), tf.int32),
      policy_info=(),
      next_step_type=tf.ones((8, 2), tf.int32),
      reward=tf.constant(pair()),
      discount=tf.ones((8, 2)),
    )
    self.before = networks.masks(agent._q_network)
    train = tf.function(agent.train, autograph=False)
    for _ in range(10):
      train(experience)
    return agent

  def check_target_starts_as_online(self, agent):
    online, target = agent._q_network, agent._target_q_network
    for ours, theirs in zip(networks.masks(online), networks.masks(target)):
      np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(networks.kernels(online), networks.kernels(target)):
      np.testing.assert_array_equal(ours, theirs)

  def test_exactly_the_masks_nonzeros_after_ten_train_steps(self, agent):
    assert int(agent.train_step_counter) == 10
    network = agent._q_network
    assert len(networks.masks(network)) == 3
    for mask, kernel in zip(networks.masks(network), networks.kernels(network)):
      # A weight grown at step 8 has moved by step 10: none is 0 by chance.
      np.testing.assert_array_equal(kernel != 0, mask == 1)

  def test_masks_of_the_target_follow_at_once(self, agent):
    online, target = agent._q_network, agent._target_q_network
    for ours, theirs in zip(networks.masks(online), networks.masks(target)):
      np.testing.assert_array_equal(ours, theirs)

  def test_strip_of_a_network(self, agent):
    network = agent._q_network
    plain = sparsity.strip(network)
    inputs = tf.ones((3, 4))
    assert not sparsity.sparse_layers(plain)
    np.testing.assert_allclose(
      plain(inputs)[0], network(inputs)[0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize('target', [0.0, 0.5])
@pytest.mark.parametrize(
  'make',
  [
    lambda: _L.Dense(4, kernel_regularizer='l2'),
    lambda: _L.LSTM(4, kernel_regularizer='l2'),
  ],
  ids=['Dense', 'LSTM'],
)
def test_regularizers_see_the_sparse_weights(make, target):
  layer = sparsity.SparseLayer(make(), target)
  layer(tf.ones((2, 3, 6)))
  kernel = next(v for v in layer.trainable_variables if 'kernel' in v.name)
  [loss] = layer.losses
  np.testing.assert_allclose(loss, 0.01 * np.sum(kernel.numpy() ** 2), 1e-5)
