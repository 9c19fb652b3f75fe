"""Copies of networks: what is shared, held by others, or a model's own."""

import copy
import pickle

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import kinds_test, networks
from tf_sparse_rl import sparsity

_L = tf.keras.layers


def _sequential(*layers, shape=(6,)):
  return tf.keras.Sequential([_L.InputLayer(shape), *layers])


def _two_models():
  """A layer that two nested models share, and the model around them."""
  shared = _L.Dense(16, name='shared')
  nested = [_sequential(shared, _L.Dense(3)) for _ in range(2)]
  inputs = tf.keras.Input((6,))
  outputs = [model(inputs) for model in nested]
  return tf.keras.Model(inputs, [*outputs, shared(inputs)])


class _ActorCritic(tf.keras.Model):
  """Two heads on one encoder, each a model with the encoder in it."""

  def __init__(self):
    super().__init__()
    encoder = networks.dense_network()
    self.actor = tf.keras.Sequential([encoder, _L.Dense(2)])
    self.critic = tf.keras.Sequential([encoder, _L.Dense(1)])

  def call(self, inputs):
    return [self.actor(inputs), self.critic(inputs)]

  def get_config(self):
    return {}


def _actor_critic():
  model = _ActorCritic()
  model(np.ones((1, 6)))
  return model


@pytest.mark.parametrize('make', [_two_models, _actor_critic])
def test_layers_that_models_share_stay_shared(make):
  plain = make()
  model = sparsity.sparsify(plain, target_sparsity=0.5, distribution='uniform')
  stripped = sparsity.strip(model)
  for other in (model, stripped):
    assert len(other.trainable_variables) == len(plain.trainable_variables)
  kernels = [v for v in plain.trainable_variables if 'kernel' in v.name]
  assert len(sparsity.sparse_weights(model)) == len(kernels)
  inputs = np.random.default_rng(0).normal(size=(4, 6)).astype('float32')
  for ours, theirs in zip(plain.trainable_variables, model.trainable_variables):
    ours.assign(theirs)
  for ours, theirs, expected in zip(
    model(inputs), stripped(inputs), plain(inputs)
  ):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(theirs, expected, rtol=1e-4, atol=1e-6)


class _WithOwn(tf.keras.Model):
  """A model with a weight matrix that no layer of it has."""

  def __init__(self):
    super().__init__()
    self.head = _L.Dense(3)
    self.form = self.add_weight('form', (6, 10))
    self.others = [tf.Variable(tf.ones((10, 6)), name='other')]

  def call(self, inputs):
    return self.head(inputs @ self.form @ self.others[0])

  def get_config(self):
    return {}


@pytest.mark.parametrize('prefix', ['', 'inner/'])
def test_matrices_of_a_model_itself_are_told_and_counted(prefix):
  plain = _WithOwn()
  plain(np.ones((1, 6)))
  if prefix:
    plain._name = 'inner'
    plain = _sequential(plain)
  with pytest.raises(
    ValueError,
    match=rf'to 0.117: \(10, 6\) of {prefix}other, \(6, 10\) of '
    f'{prefix}form',
  ):
    sparsity.sparsify(plain, target_sparsity=0.9)
  model = sparsity.sparsify(
    plain, target_sparsity=0.5, ignore=[f'{prefix}form', f'{prefix}other']
  )
  counts = sparsity.counting.count(model)
  assert {c.name: c.size for c in counts if not c.sparsity} == {
    'form': 60,
    'other': 60,
  }
  assert sparsity.counting.total(counts).nonzero == 9 + 60 + 60


@tf.keras.utils.register_keras_serializable('tests')
class _Holder(_L.Layer):
  """A block of the user's own with SparseLayers in it, and a weight."""

  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.first = sparsity.SparseLayer(_L.Dense(8), 0.5)
    self.rest = [sparsity.SparseLayer(_L.Dense(4), 0.5)]

  def build(self, input_shape):
    self.scale = self.add_weight('scale', ())
    super().build(input_shape)

  def call(self, inputs):
    return self.scale * self.rest[0](self.first(inputs))


_HELD = {
  'wrapper': lambda: _sequential(
    _L.TimeDistributed(sparsity.SparseLayer(_L.Dense(4), 0.5)), shape=(3, 6)
  ),
  'block': lambda: _sequential(_Holder()),
}


@pytest.mark.parametrize('held', _HELD)
def test_sparse_layers_in_other_layers(held, tmp_path):
  model = _HELD[held]()
  inputs, targets = kinds_test.data(model)
  with pytest.raises(ValueError, match='is sparse already'):
    sparsity.sparsify(model)
  optimizer = sparsity.SparseOptimizer('adam', networks.updater('rigl'), model)
  model.compile(optimizer, 'mse')
  model.fit(inputs, targets, epochs=3, verbose=0)
  stripped = sparsity.strip(model)
  assert not sparsity.sparse_layers(stripped)
  np.testing.assert_allclose(stripped(inputs), model(inputs), atol=1e-6)
  for file in ('model.keras', 'model.h5'):
    model.save(tmp_path / file)
    loaded = tf.keras.models.load_model(tmp_path / file)
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)
    assert all(w.missing_zeros == 0 for w in sparsity.sparse_weights(loaded))


def test_classes_of_the_users_own_in_wrappers():
  """Keras finds by name only those that are registered, and not all of them."""
  model = _sequential(_L.TimeDistributed(kinds_test.MyDense(8)), shape=(3, 6))
  sparse = sparsity.sparsify(model, target_sparsity=0.5)
  [weight] = sparsity.sparse_weights(sparse)
  assert weight.num_zeros == 24


@pytest.mark.parametrize('kind', ['Dense', 'RNN', 'MultiHeadAttention'])
def test_layers_are_pickled_and_copied_whole(kind):
  model = sparsity.sparsify(kinds_test.MODELS[kind][0](), target_sparsity=0.5)
  inputs, _ = kinds_test.data(model)
  given = [inputs, inputs] if kind == 'MultiHeadAttention' else [inputs]
  layer = model.layers[-1]
  for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
    np.testing.assert_allclose(twin(*given), layer(*given), atol=1e-6)
    for ours, theirs in zip(twin.sparse_weights, layer.sparse_weights):
      np.testing.assert_array_equal(ours.mask, theirs.mask)
      ours.variable.assign(tf.ones_like(ours.variable))
      np.testing.assert_array_equal(ours.variable, ours.mask)
      assert ours.variable is not theirs.variable


def test_states_are_reset():
  """Keras asks the layers of a model whether they have any."""
  lstm = _L.LSTM(8, stateful=True, batch_input_shape=(2, 3, 6))
  model = sparsity.sparsify(tf.keras.Sequential([lstm]), target_sparsity=0.5)
  inputs = np.ones((2, 3, 6), np.float32)
  first, second = model(inputs).numpy(), model(inputs).numpy()
  model.reset_states()
  assert np.abs(first - second).max() > 1e-3
  np.testing.assert_allclose(model(inputs), first, atol=1e-6)
