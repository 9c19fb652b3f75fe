"""Models with SparseLayers put in by hand, names, and files of before."""

import tarfile

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity

_L = tf.keras.layers


def _sequential():
  return tf.keras.Sequential(
    [
      sparsity.SparseLayer(_L.Dense(64), 0.9, input_shape=(6,)),
      sparsity.SparseLayer(_L.Dense(16), 0.8, seed=1),
      _L.Dense(3),
    ]
  )


class _Subclassed(tf.keras.Model):
  def __init__(self):
    super().__init__()
    self.hidden = [sparsity.SparseLayer(_L.Dense(64, 'relu'), 0.9)]
    self.head = _L.Dense(3)

  def call(self, inputs):
    for layer in self.hidden:
      inputs = layer(inputs)
    return self.head(inputs)


def _recurrent():
  return tf.keras.Sequential(
    [
      _L.Reshape((3, 2), input_shape=(6,)),
      sparsity.SparseLayer(_L.LSTM(16), 0.9),
      _L.Dense(3),
    ]
  )


_MODELS = {
  'sequential': _sequential,
  'subclassed': _Subclassed,
  'recurrent': _recurrent,
}
_DATA = [np.ones((16, 6), np.float32), np.ones((16, 3), np.float32)]


@pytest.mark.parametrize('method', ['static', 'set', 'rigl'])
@pytest.mark.parametrize('model', _MODELS)
def test_layers_draw_masks_at_build(model, method):
  model = _MODELS[model]()
  optimizer = sparsity.SparseOptimizer('adam', networks.updater(method), model)
  model.compile(optimizer, 'mse')
  model.fit(*_DATA, epochs=3, verbose=0)
  weights = sparsity.sparse_weights(model)
  assert weights
  for weight in weights:
    mask = weight.mask.numpy()
    assert np.mean(mask == 0) == pytest.approx(weight.target_sparsity, abs=0.02)
    assert not weight.variable.numpy()[mask == 0].any()
  inputs = _DATA[0]
  np.testing.assert_allclose(
    sparsity.strip(model)(inputs), model(inputs), rtol=1e-4, atol=1e-6
  )


def test_masks_are_of_the_layers_seed():
  def draw(seed):
    layer = sparsity.SparseLayer(_L.Dense(8), 0.5, seed)
    layer.build((None, 8))
    return layer.mask.numpy()

  np.testing.assert_array_equal(draw(3), draw(3))
  assert np.any(draw(3) != draw(4))


def test_layers_to_be_pruned_start_dense():
  layer = sparsity.SparseLayer(_L.Dense(8), 0.5, method='prune')
  layer.build((None, 8))
  assert layer.mask.numpy().all()


def test_a_restored_mask_is_not_drawn_anew(tmp_path):
  """Also where the checkpoint is read before the layers are built."""
  model = _Subclassed()
  model(_DATA[0])
  path = str(tmp_path / 'weights')
  model.save_weights(path)
  other = _Subclassed()
  other.hidden[0].seed = 7
  other.load_weights(path)
  other(_DATA[0])
  for ours, theirs in zip(model.variables, other.variables):
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def _named():
  inputs = tf.keras.Input((6,))
  hidden = _L.Dense(16, 'relu', name='hidden')(inputs)
  return tf.keras.Model(
    inputs,
    [_L.Dense(2, name='main')(hidden), _L.Dense(1, name='aux')(hidden)],
  )


def test_layers_keep_their_names(tmp_path):
  plain = _named()
  model = sparsity.sparsify(plain, target_sparsity=0.5)
  assert model.output_names == plain.output_names == ['main', 'aux']
  assert [w.name for w in model.trainable_weights] == [
    w.name for w in plain.trainable_weights
  ]
  assert model.get_layer('main').layer.units == 2
  model.compile(
    sparsity.SparseOptimizer('adam', sparsity.RigL(), model),
    loss={'main': 'mse', 'aux': 'mae'},
  )
  data = {'main': np.ones((4, 2)), 'aux': np.ones((4, 1))}
  history = model.fit(np.ones((4, 6)), data, verbose=0).history
  assert {'main_loss', 'aux_loss'} <= set(history)
  path = str(tmp_path / 'model.h5')
  model.save_weights(path)
  other = sparsity.sparsify(_named(), target_sparsity=0.5, seed=1)
  other.load_weights(path, by_name=True)
  for ours, theirs in zip(model.variables, other.variables):
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
  stripped = sparsity.strip(model)
  assert stripped.output_names == ['main', 'aux']
  renamed = sparsity.SparseLayer(_L.Dense(2, name='dense'), 0.5, name='other')
  assert renamed.name == 'other'


@pytest.fixture(scope='module')
def old_models(tmp_path_factory):
  path = tmp_path_factory.mktemp('old')
  with tarfile.open('testdata/old_models.tar.gz') as archive:
    archive.extractall(path, filter='data')
  return path / 'old_models'


@pytest.mark.parametrize('name', ['model.keras', 'model.h5', 'weights.h5'])
def test_files_of_version_0_1_still_load(name, old_models):
  """Then a layer was called 'sparse_layer_' and the name of the wrapped one."""
  if name == 'weights.h5':
    model = sparsity.sparsify(networks.dense_network(2), target_sparsity=0.8)
    model.load_weights(str(old_models / name))
  else:
    model = tf.keras.models.load_model(str(old_models / name))
    assert model.output_names == ['sparse_layer_last']
  expected = np.load(old_models / 'expected.npz')
  data = networks.batch(model)
  np.testing.assert_allclose(model(data[0]), expected['outputs'], rtol=1e-6)
  for index, kernel in enumerate(networks.kernels(model)):
    np.testing.assert_array_equal(kernel, expected[f'kernel_{index}'])
  if name != 'weights.h5':
    before = networks.masks(model)
    model.fit(*data, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 6
    after = networks.masks(model)
    assert any(np.any(a != b) for a, b in zip(after, before))
    # What is saved from now on is of today.
    again = type(model).from_config(model.get_config())
    assert [x.name for x in again.layers] == [x.name for x in model.layers]
