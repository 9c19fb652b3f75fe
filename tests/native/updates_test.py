"""Native updates of weights against Keras' own and against formulas."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.native import backend, library, updates
from tf_sparse_rl.sparsity import mask_ops

_GENERATIONS = {
  'legacy': tf.keras.optimizers.legacy.Adam,
  'current': tf.keras.optimizers.Adam,
}


@pytest.fixture(autouse=True)
def native_kernels():
  if library.load() is None:
    pytest.skip(library.problem())


def _trained(backend_name, optimizer, method='static', network='dense'):
  """(model, SparseOptimizer, operations of its graph) after some steps."""
  backend.set_backend(backend_name)
  model = sparsity.sparsify(networks.NETWORKS[network](), method, 0.6, seed=4)
  optimizer = sparsity.SparseOptimizer(
    optimizer, networks.updater(method), model
  )
  step = tf.function(networks.train_step(model, optimizer), autograph=False)
  for i in range(7):
    step(*networks.batch(model, seed=i))
  graph = step.get_concrete_function(*networks.batch(model)).graph
  return model, optimizer, {op.type for op in graph.get_operations()}


@pytest.mark.parametrize('method', ['static', 'set', 'rigl', 'prune'])
@pytest.mark.parametrize('generation', _GENERATIONS)
@pytest.mark.parametrize('network', networks.NETWORKS)
def test_native_and_masked_train_steps_agree(generation, method, network):
  make = _GENERATIONS[generation]
  model, optimizer, kinds = _trained('native', make(0.01), method, network)
  other, other_optimizer, other_kinds = _trained(
    'masked', make(0.01), method, network
  )
  assert 'TfSparseRlAdam' in kinds
  assert ('TfSparseRlConvStack' in kinds) == (network == 'conv')
  assert not any(kind.startswith('TfSparseRl') for kind in other_kinds)
  assert int(optimizer.iterations) == int(other_optimizer.iterations) == 7
  for ours, theirs in zip(networks.masks(model), networks.masks(other)):
    np.testing.assert_array_equal(ours, theirs)
  for ours, theirs in zip(model.weights, other.weights):
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
  for layer, theirs in zip(
    sparsity.sparse_layers(model), sparsity.sparse_layers(other)
  ):
    outside = layer.mask.numpy() == 0
    assert not layer.kernel.numpy()[outside].any()
    for slot, other_slot in zip(
      networks.slots(optimizer, layer.kernel),
      networks.slots(other_optimizer, theirs.kernel),
    ):
      assert not slot.numpy()[outside].any()
      np.testing.assert_allclose(slot, other_slot, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
  'optimizer',
  [
    tf.keras.optimizers.SGD(0.01, momentum=0.9),
    tf.keras.optimizers.Adam(0.01, clipnorm=0.1),
    tf.keras.optimizers.Adam(0.01, amsgrad=True),
    tf.keras.optimizers.Adam(0.01, weight_decay=0.1),
    tf.keras.optimizers.legacy.Adam(0.01, clipvalue=0.01),
    tf.keras.optimizers.Adam(
      tf.keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)
    ),
  ],
  ids=lambda optimizer: type(optimizer).__module__.split('.')[-1],
)
def test_other_optimizers_go_their_own_way(optimizer):
  config = optimizer.get_config()
  model, _, kinds = _trained('native', optimizer, 'rigl')
  assert 'TfSparseRlAdam' not in kinds and 'TfSparseRlStack' in kinds
  other, _, _ = _trained('masked', type(optimizer).from_config(config), 'rigl')
  for ours, theirs in zip(networks.masks(model), networks.masks(other)):
    np.testing.assert_array_equal(ours, theirs)
  for ours, theirs in zip(model.weights, other.weights):
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_learning_rate_decay_of_the_legacy_generation_is_kept():
  schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)
  make = tf.keras.optimizers.legacy.Adam
  model, _, kinds = _trained('native', make(schedule))
  assert 'TfSparseRlAdam' in kinds
  other, _, _ = _trained('masked', make(schedule))
  for ours, theirs in zip(model.weights, other.weights):
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_transformed_gradient_is_packed_from_the_dense_one():
  backend.set_backend('native')
  model = sparsity.sparsify(networks.dense_network(), 'static', 0.6, seed=4)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.legacy.Adam(0.01), sparsity.Static(), model
  )
  first = model.trainable_variables[0]

  def train(negate):
    def step(inputs, targets):
      pairs = networks.gradients(model, inputs, targets)
      optimizer.apply_gradients(
        [(-g if negate and v is first else g, v) for g, v in pairs]
      )

    return tf.function(step, autograph=False)

  before = [v.numpy() for v in model.trainable_variables]
  train(negate=True)(*networks.batch(model))
  negated = [v.numpy() for v in model.trainable_variables]
  # The first Adam step goes by the sign of a gradient alone.
  model2 = sparsity.sparsify(networks.dense_network(), 'static', 0.6, seed=4)
  for variable, value in zip(model2.trainable_variables, before):
    np.testing.assert_array_equal(variable, value)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.legacy.Adam(0.01), sparsity.Static(), model2
  )
  model, first = model2, None
  train(negate=False)(*networks.batch(model))
  plain = [v.numpy() for v in model.trainable_variables]
  np.testing.assert_allclose(
    negated[0] - before[0], before[0] - plain[0], atol=1e-6
  )
  np.testing.assert_allclose(negated[1:2], plain[1:2], atol=1e-6)


def test_soft_update_moves_active_entries_alone():
  mask = np.float32([[1, 0, 1], [0, 0, 1]])
  source = tf.Variable(mask * np.float32([[1, 2, 3], [4, 5, 6]]))
  target = tf.Variable(mask * 10)
  bias, target_bias = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0])
  updates.soft_update(
    [(target, source, tf.constant(mask)), (target_bias, bias, None)], 0.25
  )
  np.testing.assert_allclose(target, [[7.75, 0, 8.25], [0, 0, 9]])
  np.testing.assert_allclose(target_bias, [2.5, 3.5])
  # What was read before stays as it was read.
  read = target.read_value()
  updates.soft_update([(target, source, tf.constant(mask))], 1.0)
  np.testing.assert_allclose(read, [[7.75, 0, 8.25], [0, 0, 9]])
  np.testing.assert_allclose(target, source)


def test_soft_update_takes_a_convolution():
  rng = np.random.default_rng(0)
  mask = np.float32(rng.random((3, 3, 2, 5)) < 0.4)
  source = tf.Variable(mask * np.float32(rng.normal(size=mask.shape)))
  target = tf.Variable(mask * 10)
  updates.soft_update([(target, source, tf.constant(mask))], 0.25)
  np.testing.assert_allclose(target, 7.5 * mask + 0.25 * source, rtol=1e-6)


def test_a_mask_of_another_shape_is_refused():
  kernel, mask = tf.Variable(tf.ones([2, 3])), tf.ones([2, 2])
  with pytest.raises(tf.errors.InvalidArgumentError, match='Expected a mask'):
    updates.soft_update([(kernel, kernel, mask)], 0.5)
  with pytest.raises(tf.errors.InvalidArgumentError, match='Expected a mask'):
    updates.keep_packed(kernel, mask)
  with pytest.raises(tf.errors.InvalidArgumentError, match='Expected a mask'):
    updates.pack(kernel.read_value(), mask)


def test_packed_weights_at_hand_never_outlive_the_kernel_they_are_of():
  backend.set_backend('native')
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(3), 0.5)
  layer.build([None, 2])
  mask = np.float32([[1, 0, 1], [0, 0, 1]])
  layer.mask.assign(mask)
  call = tf.function(layer, autograph=False)
  inputs = tf.constant([[1.0, 1.0]])
  for kernel in (mask * 2, mask * 5):
    layer.kernel.assign(kernel)
    updates.keep_packed(layer.kernel, layer.mask)
    np.testing.assert_allclose(call(inputs)[0], kernel.sum(axis=0))
  layer.kernel.assign_add(mask)
  np.testing.assert_allclose(call(inputs)[0], 6 * mask.sum(axis=0))
  updates.keep_packed(layer.kernel, layer.mask)
  layer.mask.assign(np.float32([[1, 0, 0], [0, 0, 1]]))
  np.testing.assert_allclose(call(inputs)[0], [6, 0, 6])


_ASSIGNMENTS = {
  'assign': lambda slot, mask: slot.assign(3 * mask),
  'assign_add': lambda slot, mask: slot.assign_add(mask),
  'slice': lambda slot, mask: slot[0].assign(3 * mask[0]),
  'scatter': lambda slot, mask: slot.scatter_update(
    tf.IndexedSlices(3 * mask[:1], [0])
  ),
  'itself': lambda slot, mask: slot.assign(slot.read_value()),
}


@pytest.mark.parametrize('assignment', _ASSIGNMENTS)
@pytest.mark.parametrize('which', ['kernel', 'm', 'v'])
def test_adam_goes_by_what_its_variables_hold(assignment, which):
  # Large enough that entries are written past the cache.
  rng = np.random.default_rng(0)
  mask = np.float32(rng.random((4096, 512)) < 0.1)
  gradient = np.float32(rng.normal(size=mask.shape)) * mask
  values = {'kernel': gradient, 'm': 0 * mask, 'v': 0 * mask}
  held = {name: tf.Variable(value) for name, value in values.items()}
  optimizer = tf.keras.optimizers.legacy.Adam(0.1)
  update = updates.Update(
    held['kernel'],
    [held['m'], held['v']],
    tf.constant(gradient[mask > 0]),
    tf.Variable(mask),
    0.0,
  )
  for step in range(1, 7):
    read = held[which].read_value()
    updates.adam(optimizer, [update])
    np.testing.assert_array_equal(read, values[which])
    values['m'] += 0.1 * (gradient - values['m'])
    values['v'] += 0.001 * (gradient**2 - values['v'])
    rate = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    values['kernel'] = values['kernel'] - rate * values['m'] / (
      np.sqrt(values['v']) + 1e-7
    )
    for name, value in values.items():
      np.testing.assert_allclose(held[name], value, rtol=1e-4, atol=1e-5)
      values[name] = held[name].numpy()
    if step % 2 == 0:
      _ASSIGNMENTS[assignment](held[which], mask)
      values[which] = held[which].numpy()


def test_a_gradient_that_does_not_fit_is_refused():
  variable = tf.Variable(tf.ones([2, 3]))
  slots = [tf.Variable(tf.zeros([2, 3])) for _ in 'mv']
  update = updates.Update(
    variable, slots, tf.ones([5]), tf.Variable(tf.ones([2, 3])), 0.0
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match='does not fit'):
    updates.adam(tf.keras.optimizers.legacy.Adam(0.1), [update])


@pytest.mark.parametrize('size', [1, 7, 1000])
@pytest.mark.parametrize('kind', ['all different', 'many equal', 'special'])
def test_the_same_entries_are_best(size, kind):
  rng = np.random.default_rng(size)
  scores = np.float32(rng.normal(size=size))
  if kind == 'many equal':
    scores = np.round(scores)
  elif kind == 'special':
    special = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45]
    scores = np.float32(rng.choice(special, size=size))
  eligible = tf.constant(rng.random(size) < 0.6)
  for k in sorted({0, 1, size // 3, size - 1, size}):
    found = []
    for name in ('masked', 'native'):
      backend.set_backend(name)
      found.append(mask_ops.top_k_mask(scores, k, eligible).numpy())
    np.testing.assert_array_equal(*found)
