"""Weights stay exactly sparse whoever writes to them, and in whatever order."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity

_NETWORKS = {
  'dense': networks.dense_network,
  'recurrent': lambda seed: _recurrent(seed),
}


def _recurrent(seed):
  tf.keras.utils.set_random_seed(seed)
  return tf.keras.Sequential(
    [
      tf.keras.layers.GRU(8, input_shape=(5, 3), name='gru'),
      tf.keras.layers.Dense(2, name='head'),
    ]
  )


def _pair(network):
  """A sparse model and another of the same kind with other masks."""
  make = _NETWORKS[network]
  models = []
  for seed in (1, 2):
    models.append(sparsity.sparsify(make(seed), target_sparsity=0.7, seed=seed))
  return models


def _dense_values(model):
  """A value without zeros for each trainable variable."""
  rng = np.random.default_rng(3)
  return [
    rng.uniform(0.1, 1, v.shape).astype(np.float32)
    for v in model.trainable_variables
  ]


def _layer_weights(model, other, tmp_path):
  for layer in model.layers:
    layer.set_weights([w + 1 for w in layer.get_weights()])


def _assign(model, other, tmp_path):
  for variable, value in zip(model.trainable_variables, _dense_values(model)):
    variable.assign(value)


def _add(model, other, tmp_path):
  for variable, value in zip(model.trainable_variables, _dense_values(model)):
    variable.assign_add(value)
    variable.assign_sub(2 * value)


def _scatter(model, other, tmp_path):
  for variable in model.trainable_variables:
    rows = np.arange(variable.shape[0])
    updates = tf.IndexedSlices(tf.ones(variable.shape), rows)
    variable.scatter_add(updates)


def _in_graph(model, other, tmp_path):
  tf.function(_assign)(model, other, tmp_path)


def _averages(model, other, tmp_path):
  for target, source in zip(
    model.trainable_variables, other.trainable_variables
  ):
    target.assign(0.9 * target + 0.1 * source)


def _averages_in_graph(model, other, tmp_path):
  tf.function(_averages)(model, other, tmp_path)


def _file(suffix):
  def write(model, other, tmp_path):
    path = str(tmp_path / f'weights{suffix}')
    other.save_weights(path)
    model.load_weights(path)

  return write


def _model_weights(model, other, tmp_path):
  model.set_weights(other.get_weights())


def _checkpoint(model, other, tmp_path):
  path = tf.train.Checkpoint(model=other).write(str(tmp_path / 'checkpoint'))
  tf.train.Checkpoint(model=model).read(path).assert_consumed()


# Those that bring their masks along make the model the other one.
_COPIES = {
  'model_weights': _model_weights,
  'h5': _file('.h5'),
  'weights_h5': _file('.weights.h5'),
  'tf': _file(''),
  'checkpoint': _checkpoint,
}
_WRITES = {
  'layer_weights': _layer_weights,
  'assign': _assign,
  'add': _add,
  'scatter': _scatter,
  'in_graph': _in_graph,
  'averages': _averages,
  'averages_in_graph': _averages_in_graph,
  **_COPIES,
}


def _assert_exact(model):
  weights = sparsity.sparse_weights(model)
  assert weights
  for weight in weights:
    mask, value = weight.mask.numpy(), weight.variable.numpy()
    assert not value[mask == 0].any()
    assert value[mask == 1].any()
    assert weight.missing_zeros == 0
  inputs, _ = networks.batch(model)
  expected = model(inputs).numpy()
  stripped = sparsity.strip(model)
  for count, weight in zip(
    [c for c in sparsity.counting.count(model) if c.sparsity], weights
  ):
    assert count.nonzero == np.sum(weight.mask.numpy())
  for found in (
    model.predict(inputs, verbose=0),
    tf.function(model)(inputs),
    stripped(inputs),
  ):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('network', _NETWORKS)
@pytest.mark.parametrize('write', _WRITES)
def test_exact_after_any_write(write, network, tmp_path):
  model, other = _pair(network)
  before = [w.variable.numpy() for w in sparsity.sparse_weights(model)]
  _WRITES[write](model, other, tmp_path)
  after = [w.variable.numpy() for w in sparsity.sparse_weights(model)]
  assert all(np.any(a != b) for a, b in zip(after, before))
  _assert_exact(model)
  if write in _COPIES:
    for ours, theirs in zip(model.variables, other.variables):
      np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def _sparse_kernel():
  """A kernel with the mask 1 1 0 0 and the value 1 2 0 0."""
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(4, use_bias=False), 0.5)
  layer.build((None, 1))
  layer.mask.assign([[1, 1, 0, 0]])
  layer.kernel.assign([[1, 2, 3, 4]])
  return layer.kernel, layer.mask


def _in_mode(mode, function):
  (function if mode == 'eager' else tf.function(function))()


_MODES = ['eager', 'graph']


@pytest.mark.parametrize('mode', _MODES)
def test_signs_of_zeros_stay_as_in_a_product(mode):
  """A restored checkpoint has the bits of the saved weights."""
  kernel, _ = _sparse_kernel()
  value = np.array([[-1, 2, -3, 4]], 'float32') * [[1, 1, 0, 0]]
  _in_mode(mode, lambda: kernel.assign(value))
  assert np.signbit(kernel.numpy()).tolist() == [[True, False, True, False]]


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('first', ['kernel', 'mask'])
def test_order_of_kernel_and_mask_does_not_matter(first, mode):
  kernel, mask = _sparse_kernel()

  def write():
    writes = [
      lambda: kernel.assign([[5, 6, 7, 8]]),
      lambda: mask.assign([[0, 1, 1, 0]]),
    ]
    for each in writes if first == 'kernel' else reversed(writes):
      each()

  _in_mode(mode, write)
  np.testing.assert_array_equal(kernel, [[0, 6, 7, 0]])


@pytest.mark.parametrize('mode', _MODES)
def test_a_mask_alone_takes_away_and_brings_nothing_back(mode):
  kernel, mask = _sparse_kernel()
  _in_mode(mode, lambda: mask.assign([[1, 0, 0, 0]]))
  np.testing.assert_array_equal(kernel, [[1, 0, 0, 0]])
  _in_mode(mode, lambda: mask.assign([[0, 1, 1, 1]]))
  np.testing.assert_array_equal(kernel, [[0, 0, 0, 0]])


@pytest.mark.parametrize('mode', _MODES)
def test_a_value_that_was_trained_since_is_not_that_of_before(mode):
  kernel, mask = _sparse_kernel()
  kernel.assign([[1, 2, 3, 4]])
  optimizer = sparsity.SparseOptimizer('sgd', sparsity.Static())
  optimizer.learning_rate = 1.0
  optimizer.apply_gradients([(tf.ones([1, 4]), kernel)])
  _in_mode(mode, lambda: mask.assign([[0, 1, 1, 0]]))
  np.testing.assert_array_equal(kernel, [[0, 1, 0, 0]])


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('value', [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_masked_too(mode, value):
  kernel, mask = _sparse_kernel()
  _in_mode(mode, lambda: kernel.assign([[value, 2, value, value]]))
  np.testing.assert_array_equal(kernel, [[value, 2, 0, 0]])
  _in_mode(mode, lambda: mask.assign([[0, 1, 1, 0]]))
  assert kernel.numpy()[0, [0, 3]].tolist() == [0, 0]


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('first', ['kernel', 'mask'])
def test_an_average_of_masks_marks_what_any_of_them_does(first, mode):
  """1 2 0 0 and 0 4 6 0 at 0.75 and 0.25, whose averages are exact."""
  kernel, mask = _sparse_kernel()
  kernel.assign([[1, 2, 0, 0]])

  def write():
    writes = [
      lambda: kernel.assign(0.75 * kernel + [[0, 1, 1.5, 0]]),
      lambda: mask.assign(0.75 * mask + [[0, 0.25, 0.25, 0]]),
    ]
    for each in writes if first == 'kernel' else reversed(writes):
      each()

  _in_mode(mode, write)
  np.testing.assert_array_equal(mask, [[1, 1, 1, 0]])
  np.testing.assert_array_equal(kernel, [[0.75, 2.5, 1.5, 0]])


def test_another_shape_is_refused_as_ever():
  kernel, mask = _sparse_kernel()
  for variable in (kernel, mask):
    with pytest.raises(ValueError, match='[Ss]hape'):
      variable.assign([1.0])
  np.testing.assert_array_equal(kernel, [[1, 2, 0, 0]])


def test_assign_exact_multiplies_nothing():
  """The caller keeps the zeros; plain variables are assigned as ever."""
  kernel, mask = _sparse_kernel()

  @tf.function
  def write(value):
    sparsity.assign_exact(kernel, value)

  write(tf.constant([[7.0, 8, 0, 0]]))
  np.testing.assert_array_equal(kernel, [[7, 8, 0, 0]])
  graph = write.get_concrete_function(tf.TensorSpec([1, 4])).graph
  assert not {'Mul', 'MulNoNan'} & {op.type for op in graph.get_operations()}
  plain = tf.Variable([1.0])
  sparsity.assign_exact(plain, [2.0])
  assert plain.numpy() == 2


def test_writes_on_replicas(two_replicas):
  with two_replicas.scope():
    model, other = _pair('dense')
  for write in (_layer_weights, _assign, _averages_in_graph, _model_weights):
    write(model, other, None)
    for weight in sparsity.sparse_weights(model):
      for value, mask in zip(
        two_replicas.experimental_local_results(weight.variable),
        two_replicas.experimental_local_results(weight.mask),
      ):
        assert value.numpy()[mask.numpy() == 1].all()
        assert not value.numpy()[mask.numpy() == 0].any()


@pytest.mark.parametrize('policy', ['mixed_bfloat16', 'float64'])
def test_other_precisions(policy):
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(4, dtype=policy), 0.5)
  layer.build((None, 3))
  layer.kernel.assign(tf.ones([3, 4], layer.mask.dtype))
  np.testing.assert_array_equal(layer.kernel.numpy(), layer.mask.numpy())
  assert layer.mask.numpy().sum() == 6


@pytest.mark.parametrize('jit', [False, True], ids=['graph', 'compiled'])
def test_a_target_follows_a_training_network(jit):
  """The usual loop of RL: train, then copy or average into the target."""
  model, target = _pair('dense')
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), networks.updater('rigl'), model
  )
  step = networks.train_step(model, optimizer)

  @tf.function(jit_compile=jit)
  def train(inputs, targets):
    step(inputs, targets)
    for ours, theirs in zip(model.variables, target.variables):
      theirs.assign(ours)

  for seed in range(4):
    train(*networks.batch(model, seed=seed))
    for ours, theirs in zip(model.variables, target.variables):
      np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
