"""`sparsify`: clones, masks, weights; and what it refuses."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import distributions

_L = tf.keras.layers


def _zeros(model):
  return [int(np.sum(mask == 0)) for mask in networks.masks(model)]


@pytest.mark.parametrize('method', ['static', 'set', 'rigl'])
@pytest.mark.parametrize('network', networks.NETWORKS)
def test_layer_budgets(network, method):
  plain = networks.NETWORKS[network]()
  model = sparsity.sparsify(plain, method, 0.9, distribution='erk')
  shapes = {x.name: x.kernel.shape for x in plain.layers if x.weights}
  expected = distributions.layer_sparsities(shapes, 0.9, 'erk')
  layers = sparsity.sparse_layers(model)
  assert {x.layer.name: x.target_sparsity for x in layers} == expected
  assert _zeros(model) == [
    distributions.num_zeros(shapes[n], s) for n, s in expected.items()
  ]
  assert sum(_zeros(model)) > 0
  for mask, kernel in zip(networks.masks(model), networks.kernels(model)):
    np.testing.assert_array_equal(kernel != 0, mask == 1)


def test_prune_starts_dense_with_the_same_weights():
  plain = networks.dense_network()
  model = sparsity.sparsify(plain, 'prune', 0.9)
  assert _zeros(model) == [0, 0, 0]
  assert [x.target_sparsity > 0 for x in model.layers] == [True] * 3
  for ours, theirs in zip(networks.kernels(model), plain.layers):
    np.testing.assert_array_equal(ours, theirs.kernel.numpy())


def test_dense_is_a_mere_copy():
  plain = networks.dense_network()
  model = sparsity.sparsify(plain, 'dense', 0.9)
  assert not sparsity.sparse_layers(model)
  assert model is not plain
  for ours, theirs in zip(model.weights, plain.weights):
    assert ours is not theirs
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize('network', networks.NETWORKS)
def test_leaves_its_argument_alone(network):
  plain = networks.NETWORKS[network]()
  layers, before = list(plain.layers), plain.get_weights()
  config = plain.get_config()
  model = sparsity.sparsify(plain)
  networks.train_step(
    model,
    sparsity.SparseOptimizer(tf.keras.optimizers.SGD(1.0), sparsity.SET()),
  )(*networks.batch(model))
  assert [a is b for a, b in zip(plain.layers, layers)] == [True] * len(layers)
  assert plain.get_config() == config
  for ours, theirs in zip(plain.get_weights(), before):
    np.testing.assert_array_equal(ours, theirs)


def test_masked_weights_are_the_rescaled_ones_of_the_argument():
  plain = networks.dense_network()
  rescaled = sparsity.sparsify(plain, target_sparsity=0.8)
  masked = sparsity.sparsify(
    plain, target_sparsity=0.8, sparsity_aware_init=False
  )
  for mask, layer, dense, ours, theirs in zip(
    networks.masks(masked),
    plain.layers,
    masked.layers,
    networks.kernels(masked),
    networks.kernels(rescaled),
  ):
    np.testing.assert_array_equal(ours, layer.kernel.numpy() * mask)
    np.testing.assert_array_equal(dense.layer.bias, layer.bias)
    scale = np.sqrt(mask.shape[0] / np.maximum(mask.sum(axis=0), 1))
    np.testing.assert_allclose(theirs, ours * scale, rtol=1e-6)


def test_seeds():
  plain = networks.dense_network()

  def draw(seed):
    return networks.masks(sparsity.sparsify(plain, seed=seed))

  for ours, theirs in zip(draw(3), draw(3)):
    np.testing.assert_array_equal(ours, theirs)
  assert any(np.any(a != b) for a, b in zip(draw(3), draw(4)))


def test_layers_of_one_shape_have_masks_of_their_own():
  model = tf.keras.Sequential([_L.InputLayer((8,)), _L.Dense(8), _L.Dense(8)])
  first, second = networks.masks(sparsity.sparsify(model, target_sparsity=0.5))
  assert np.any(first != second)


def test_custom_sparsity_of_a_nested_layer():
  inner = networks.dense_network()
  inner._name = 'inner'
  model = tf.keras.Sequential([inner, _L.Dense(4, name='head')])
  sparse = sparsity.sparsify(
    model, distribution='uniform', custom={'inner/second': 0.25, 'head': 0}
  )
  found = {
    x.layer.name: x.target_sparsity for x in sparsity.sparse_layers(sparse)
  }
  assert found == {'first': 0.9, 'second': 0.25, 'last': 0.9, 'head': 0}
  assert _zeros(sparse) == [86, 32, 21, 0]


def _functional():
  """Two inputs, a shared layer, a nested model, a merge."""
  shared = _L.Dense(5, name='shared')
  nested = tf.keras.Sequential([_L.Dense(4, input_shape=(5,))], name='nested')
  left, right = tf.keras.Input((6,)), tf.keras.Input((6,))
  merged = _L.Concatenate()([nested(shared(left)), nested(shared(right))])
  return tf.keras.Model([left, right], _L.Dense(2, name='head')(merged))


def test_functional_models_with_shared_and_nested_layers():
  plain = _functional()
  model = sparsity.sparsify(
    plain, target_sparsity=0.5, sparsity_aware_init=False
  )
  assert len(sparsity.sparse_layers(model)) == 3
  inputs = [tf.ones((2, 6)), -tf.ones((2, 6))]
  # The same function as the plain model with masked kernels.
  for layer, mask in zip(
    [plain.layers[2], plain.get_layer('nested').layers[0], plain.layers[-1]],
    networks.masks(model),
  ):
    layer.kernel.assign(layer.kernel * mask)
  np.testing.assert_allclose(model(inputs), plain(inputs), rtol=1e-5)
  stripped = sparsity.strip(model)
  np.testing.assert_allclose(stripped(inputs), plain(inputs), rtol=1e-5)


def test_ignored_layers_keep_their_weights():
  plain = tf.keras.Sequential(
    [
      _L.Embedding(7, 5, input_length=3, name='embedding'),
      _L.LSTM(4, name='lstm'),
      _L.BatchNormalization(),
      _L.Dense(2),
    ]
  )
  plain.build((None, 3))
  model = sparsity.sparsify(
    plain, target_sparsity=0.5, ignore=['embedding', 'lstm']
  )
  assert len(sparsity.sparse_layers(model)) == 1
  for ours, theirs in zip(model.layers[:3], plain.layers[:3]):
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
      np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
  'ignore', ['inner', ['inner'], ['inner', 'inner/last']]
)
def test_models_in_a_model_are_ignored_whole(ignore):
  inner = networks.dense_network()
  inner._name = 'inner'
  model = tf.keras.Sequential([inner, _L.Dense(4, name='inner_head')])
  sparse = sparsity.sparsify(model, target_sparsity=0.5, ignore=ignore)
  assert [x.name for x in sparsity.sparse_layers(sparse)] == ['inner_head']


def test_list_of_layers_with_an_input_shape():
  layers = [
    _L.Conv2D(4, 3, activation='relu'),
    _L.Flatten(),
    _L.Dense(8),
  ]
  sparse = sparsity.sparsify(
    layers, target_sparsity=0.5, input_shape=[None, 6, 6, 2]
  )
  assert not any(layer.built for layer in layers)
  outputs = tf.ones((1, 6, 6, 2))
  for layer in sparse:
    outputs = layer(outputs)
  assert outputs.shape == (1, 8)
  size = 3 * 3 * 2 * 4 + 64 * 8
  assert abs(sum(_zeros(sparse)) - size / 2) <= 2


def test_list_of_built_layers_keeps_their_weights():
  layer = _L.Dense(3)
  layer.build((None, 4))
  [sparse] = sparsity.sparsify(
    [layer], target_sparsity=0.5, sparsity_aware_init=False
  )
  np.testing.assert_array_equal(
    sparse.kernel.numpy(), layer.kernel.numpy() * sparse.mask.numpy()
  )


def test_sparsity_aware_init_keeps_the_variance_of_the_outputs():
  tf.keras.utils.set_random_seed(0)
  plain = tf.keras.Sequential([_L.InputLayer((500,)), _L.Dense(200)])
  inputs = tf.random.normal((1000, 500))
  dense = np.var(plain(inputs))
  aware = np.var(sparsity.sparsify(plain)(inputs))
  masked = np.var(sparsity.sparsify(plain, sparsity_aware_init=False)(inputs))
  assert abs(aware / dense - 1) < 0.05
  assert abs(masked / dense - 0.1) < 0.02


class _Subclassed(tf.keras.Model):
  def __init__(self):
    super().__init__()
    self.dense = _L.Dense(3)

  def call(self, inputs):
    return self.dense(inputs)


def _without_matrices():
  return tf.keras.Sequential([_L.BatchNormalization(input_shape=(4,))])


@pytest.mark.parametrize(
  ('network', 'kwargs', 'message'),
  [
    (networks.dense_network, {'method': 'riggle'}, "Did you mean 'rigl'"),
    (networks.dense_network, {'target_sparsity': 1.0}, 'target_sparsity=1.0'),
    (networks.dense_network, {'target_sparsity': -0.5}, 'target_sparsity=-0.5'),
    (networks.dense_network, {'distribution': 'ker'}, "distribution='ker'"),
    (networks.dense_network, {'custom': {'fisrt': 0.5}}, 'fisrt'),
    (networks.dense_network, {'ignore': ['fisrt']}, "Did you mean 'first'"),
    (networks.dense_network, {'method': sparsity.RigL()}, 'to SparseOptimizer'),
    (
      lambda: tf.keras.Sequential([_L.Dense(3)]),
      {},
      'input_shape.*Received: .*not built',
    ),
    (_Subclassed, {}, 'call the model once.*not built'),
    (
      lambda: sparsity.sparsify(networks.dense_network()),
      {},
      "Received: 'first' is sparse already",
    ),
    (_without_matrices, {}, 'at least one layer with weight matrices'),
    (lambda: [_L.Dense(3)], {}, 'Expected input_shape.*input_shape=None'),
    (lambda: [], {}, 'at least one layer'),
    (lambda: 'a model', {}, "Received: 'a model'"),
    (
      lambda: [_L.Dense(3, name='a'), _L.Dense(3, name='a')],
      {'input_shape': (None, 2)},
      "distinct layer names. Received: 'a'",
    ),
  ],
)
def test_errors_say_what_was_received(network, kwargs, message):
  with pytest.raises(ValueError, match=message):
    sparsity.sparsify(network(), **kwargs)
