"""Layer kinds, several masks a layer, registered layers, what stays dense."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import kinds

_L = tf.keras.layers


class MyDense(_L.Dense):
  """A subclass that keeps the meaning of the kernel."""

  def call(self, inputs):
    return 2 * super().call(inputs)


@tf.keras.utils.register_keras_serializable('tests')
class Block(_L.Layer):
  """A block with layers in attributes and in a list, built by its call."""

  def __init__(self, units=4, **kwargs):
    super().__init__(**kwargs)
    self.units = units
    self.first = _L.Dense(8, 'relu')
    self.rest = [_L.Dense(8, 'relu'), _L.Dense(units)]

  def call(self, inputs):
    inputs = self.first(inputs)
    for layer in self.rest:
      inputs = layer(inputs)
    return inputs

  def get_config(self):
    return {**super().get_config(), 'units': self.units}


@tf.keras.utils.register_keras_serializable('tests')
class Bilinear(_L.Layer):
  """A layer with a weight of its own, `[units, left, right]`."""

  def build(self, input_shape):
    size = input_shape[-1]
    self.form = self.add_weight('form', (3, size, size))
    super().build(input_shape)

  def call(self, inputs):
    return tf.einsum('bi,uij,bj->bu', inputs, self.form, inputs)


def _attention():
  inputs = tf.keras.Input((5, 6))
  outputs = _L.MultiHeadAttention(2, 4, name='layer')(inputs, inputs)
  return tf.keras.Model(inputs, outputs)


def _model(make, *shape):
  return lambda: tf.keras.Sequential([_L.InputLayer(shape), make()])


def _embedding():
  """With a mask of time steps, that must pass through the wrappers."""
  layers = [_L.Embedding(20, 6, mask_zero=True), _L.LSTM(5)]
  return tf.keras.Sequential([_L.InputLayer((3,), dtype='int32'), *layers])


# A model of each kind, and how many weight matrices it has. Loops over time
# steps take long to trace: only LSTM and ConvLSTM1D have them.
MODELS = {
  'Dense': (_model(lambda: _L.Dense(8), 6), 1),
  'MyDense': (_model(lambda: MyDense(8), 6), 1),
  'Conv1D': (_model(lambda: _L.Conv1D(5, 2), 6, 3), 1),
  'Conv2D': (_model(lambda: _L.Conv2D(5, 2), 6, 5, 3), 1),
  'Conv3D': (_model(lambda: _L.Conv3D(5, 2), 4, 4, 4, 2), 1),
  'Conv1DTranspose': (_model(lambda: _L.Conv1DTranspose(5, 2), 6, 3), 1),
  'Conv2DTranspose': (_model(lambda: _L.Conv2DTranspose(5, 2), 4, 5, 3), 1),
  'Conv3DTranspose': (_model(lambda: _L.Conv3DTranspose(5, 2), 3, 3, 3, 2), 1),
  'DepthwiseConv1D': (
    _model(lambda: _L.DepthwiseConv1D(2, depth_multiplier=3), 6, 4),
    1,
  ),
  'DepthwiseConv2D': (_model(lambda: _L.DepthwiseConv2D(3), 5, 5, 4), 1),
  'SeparableConv1D': (_model(lambda: _L.SeparableConv1D(6, 3), 6, 4), 2),
  'SeparableConv2D': (_model(lambda: _L.SeparableConv2D(6, 3), 5, 5, 4), 2),
  'EinsumDense': (
    _model(lambda: _L.EinsumDense('abc,cde->abde', (None, 3, 4)), 2, 6),
    1,
  ),
  'LSTM': (_model(lambda: _L.LSTM(6), 3, 4), 2),
  'GRU': (_model(lambda: _L.GRU(6, unroll=True), 3, 4), 2),
  'SimpleRNN': (_model(lambda: _L.SimpleRNN(6, unroll=True), 3, 4), 2),
  'ConvLSTM1D': (_model(lambda: _L.ConvLSTM1D(4, 2), 3, 5, 2), 2),
  'RNN': (
    _model(lambda: _L.RNN([_L.GRUCell(6), _L.LSTMCell(4)], unroll=True), 3, 4),
    4,
  ),
  'Bidirectional': (
    _model(lambda: _L.Bidirectional(_L.LSTM(4, unroll=True)), 3, 4),
    4,
  ),
  'TimeDistributed': (_model(lambda: _L.TimeDistributed(_L.Dense(6)), 5, 4), 1),
  'Embedding': (_embedding, 3),
  'MultiHeadAttention': (_attention, 4),
  'Block': (_model(Block, 6), 3),
}


def data(model, size=8):
  """Inputs and targets of a model."""
  rng = np.random.default_rng(0)
  shape = (size, *model.input_shape[1:])
  inputs = rng.normal(size=shape).astype(np.float32)
  if model.input.dtype == tf.int32:
    inputs = rng.integers(0, 20, shape).astype(np.int32)
  targets = rng.normal(size=(size, *model.output_shape[1:]))
  return inputs, targets.astype(np.float32)


def test_every_registered_kind_has_a_model():
  found = {_L.ConvLSTM2D, _L.ConvLSTM3D}  # Their cell is that of ConvLSTM1D.
  for make, _ in MODELS.values():
    for layer in make().layers:
      parts = [part for _, part in kinds.parts(layer)]
      found |= {type(p) for p in parts if kinds.registered(p)}
  assert {k for k, weights in kinds._KINDS.items() if weights} <= found


@pytest.mark.parametrize('kind', MODELS)
def test_all_matrices_are_sparse_and_train(kind):
  make, num_weights = MODELS[kind]
  tf.keras.utils.set_random_seed(0)
  plain = make()
  model = sparsity.sparsify(plain, 'rigl', 0.6, distribution='uniform')
  weights = sparsity.sparse_weights(model)
  assert len(weights) == num_weights
  inputs, targets = data(model)
  # The same function as the plain model with masked weights.
  before = {w.name: w.mask.numpy() for w in weights}
  _assert_same_function(model, plain, inputs)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), networks.updater('rigl'), model
  )
  model.compile(optimizer, 'mse')
  model.fit(inputs, targets, epochs=3, verbose=0)
  for weight in weights:
    mask, value = weight.mask.numpy(), weight.variable.numpy()
    assert np.sum(mask == 0) == int(0.6 * mask.size)
    assert np.any(mask != before[weight.name]) or mask.size < 40
    assert not value[mask == 0].any()
    assert value[mask == 1].any()
  total = sparsity.counting.total(sparsity.counting.count(model))
  assert total.size == sum(w.mask.numpy().size for w in weights)
  assert total.sparsity == pytest.approx(0.6, abs=0.02)
  assert total.size + total.other == plain.count_params()


def _assert_same_function(model, plain, inputs):
  stripped = sparsity.strip(model)
  assert [type(layer) for layer in stripped.layers] == [
    type(layer) for layer in plain.layers
  ]
  expected = model(inputs).numpy()
  np.testing.assert_allclose(stripped(inputs), expected, atol=1e-5)
  for ours, theirs in zip(plain.trainable_variables, model.trainable_variables):
    assert ours.shape == theirs.shape
    ours.assign(theirs)
  np.testing.assert_allclose(plain(inputs), expected, atol=1e-5)


@pytest.mark.parametrize('kind', MODELS)
def test_gradients_are_dense(kind):
  model = sparsity.sparsify(MODELS[kind][0](), target_sparsity=0.6)
  inputs, targets = data(model)
  variables = [w.variable for w in sparsity.sparse_weights(model)]
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(model(inputs) - targets))
  for gradient, variable in zip(tape.gradient(loss, variables), variables):
    outside = tf.convert_to_tensor(gradient).numpy()
    outside = outside[sparsity.mask_of(variable).numpy() == 0]
    assert not outside.size or np.any(outside != 0)


@pytest.mark.parametrize(
  ('inputs', 'units', 'shape', 'matrix'),
  [
    ((-2,), (-1,), (3, 3, 4, 5), (3, 3, 4, 5)),
    ((-1,), (-2,), (3, 3, 4, 5), (3, 3, 5, 4)),
    ((-4, -3), (-2, -1), (3, 3, 4, 2), (9, 8)),
    ((-3, -2), (-1,), (2, 4, 6), (8, 6)),
    ((-3,), (-2, -1), (6, 2, 4), (6, 8)),
  ],
)
def test_axes_there_and_back(inputs, units, shape, matrix):
  axes = kinds.Axes(inputs, units)
  values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
  assert axes.matrix_shape(shape) == matrix
  for xp in (np.asarray, tf.constant):
    there = axes.to_matrix(xp(values))
    assert tuple(there.shape) == matrix
    np.testing.assert_array_equal(axes.from_matrix(there, shape), values)
  # The inputs of the last unit are a column.
  positions = tuple(range(len(shape) - len(inputs) - len(units)))
  order = (*positions, *(a % len(shape) for a in (*inputs, *units)))
  column = values.transpose(order).reshape(matrix)[..., -1]
  np.testing.assert_array_equal(axes.to_matrix(values)[..., -1], column)


def test_blocks_and_patterns_follow_the_axes():
  """Four inputs of one unit, however the axes lie."""
  model = tf.keras.Sequential(
    [
      _L.Conv2DTranspose(3, 2, input_shape=(4, 4, 8), name='transposed'),
      _L.Reshape((25, 3)),
      _L.LSTM(4, name='lstm'),
    ]
  )
  sparse = sparsity.sparsify(
    model,
    target_sparsity=0.5,
    distribution='uniform',
    n_of_m=(2, 4),
    custom={'lstm/cell/kernel': 0},
  )
  transposed, recurrent = sparsity.sparse_weights(sparse)
  assert recurrent.name == 'cell/recurrent_kernel'
  groups = transposed.mask.numpy().reshape(2, 2, 3, 2, 4)
  assert (groups.sum(-1) == 2).all()
  groups = recurrent.mask.numpy().reshape(1, 4, 16)
  assert (groups.sum(1) == 2).all()


def test_custom_sparsities_of_layers_and_of_their_weights():
  def make(custom):
    model = sparsity.sparsify(
      MODELS['LSTM'][0](), custom=custom, distribution='uniform'
    )
    [layer] = sparsity.sparse_layers(model)
    found = {w.name: w.target_sparsity for w in layer.sparse_weights}
    return found, layer.name

  _, name = make({})
  both, name = make({_name_of(MODELS['LSTM'][0]): 0.5})
  assert both == {'cell/kernel': 0.5, 'cell/recurrent_kernel': 0.5}
  one, _ = make({f'{_name_of(MODELS["LSTM"][0])}/cell/kernel': 0.25})
  assert one == {'cell/kernel': 0.25, 'cell/recurrent_kernel': 0.9}


def _name_of(make):
  """The name that the layer of the next model will have."""
  tf.keras.backend.clear_session()
  name = make().layers[-1].name
  tf.keras.backend.clear_session()
  return name


def test_a_layer_of_your_own():
  make = _model(Bilinear, 6)
  with pytest.raises(ValueError, match=r'limit it to 0.024: \(3, 6, 6\) of'):
    sparsity.sparsify(_with_dense(make))
  weights = [sparsity.Weight('form', inputs=(-2, -1), units=(-3,))]
  sparsity.register_layer(Bilinear, weights)
  try:
    model = sparsity.sparsify(make(), target_sparsity=0.5)
  finally:
    del kinds._KINDS[Bilinear]
  [weight] = sparsity.sparse_weights(model)
  assert weight.axes.matrix_shape(weight.mask.shape) == (36, 3)
  assert np.sum(weight.mask.numpy() == 0) == 54
  inputs = data(model)[0]
  np.testing.assert_allclose(
    sparsity.strip(model)(inputs), model(inputs), rtol=1e-5
  )


def _with_dense(make, units=1):
  model = make()
  head = _L.Dense(units, name='head')
  return tf.keras.Sequential(
    [_L.InputLayer(model.input_shape[1:]), *model.layers, head]
  )


def test_a_target_that_is_missed_is_told():
  # 108 entries that cannot be sparse beside 3 * units that can.
  make = _model(lambda: Bilinear(name='form'), 6)
  with pytest.raises(ValueError, match=r'0.9.*Received:.* to 0.180'):
    sparsity.sparsify(_with_dense(make, 9), target_sparsity=0.9)
  model = sparsity.sparsify(_with_dense(make, 9), ignore=['form'])
  assert len(sparsity.sparse_weights(model)) == 1
  with pytest.warns(UserWarning, match=r'Left dense: \(3, 6, 6\) of form/Bil'):
    sparsity.sparsify(_with_dense(make, 9000), target_sparsity=0.9)


def test_nothing_is_told_where_nothing_is_left_dense():
  layers = [_L.LayerNormalization(), _L.PReLU(), _L.Dense(4)]
  model = tf.keras.Sequential([_L.InputLayer((4, 5)), *layers])
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    sparse = sparsity.sparsify(model, target_sparsity=0.5)
  assert (
    sparsity.counting.total(sparsity.counting.count(sparse)).sparsity == 0.5
  )


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((Block(), []), 'Expected a subclass'),
    ((Bilinear, [sparsity.Weight('form', (0,), (1,))]), 'from the end'),
    ((Bilinear, [sparsity.Weight('form', (-1,), (-1,))]), 'each once'),
  ],
)
def test_registrations_that_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    sparsity.register_layer(*arguments)


@pytest.mark.parametrize('file', ['model.keras', 'model.h5', 'model'])
def test_a_registered_layer_loads_by_itself(file, tmp_path):
  inputs = tf.keras.Input((6,))
  plain = tf.keras.Model(inputs, Block(3)(Block(8)(inputs)))
  model = sparsity.sparsify(plain, target_sparsity=0.5)
  model.save(tmp_path / file)
  loaded = tf.keras.models.load_model(tmp_path / file)
  batch = np.random.default_rng(0).normal(size=(5, 6)).astype('float32')
  np.testing.assert_allclose(loaded(batch), model(batch), rtol=1e-5)


@tf.keras.utils.register_keras_serializable('tests')
class Subclassed(tf.keras.Model):
  """Layers in attributes, a list and a dict; a nested model; a weight."""

  def __init__(self, units=3):
    super().__init__()
    self.units = units
    self.first = _L.Dense(8, 'relu')
    self.hidden = [_L.Dense(8, 'relu'), Block(8)]
    self.heads = {'mean': _L.Dense(units)}
    self.inner = networks.dense_network()
    self.shared = self.first
    self.scale = self.add_weight('scale', shape=())

  def call(self, inputs):
    inner = self.inner(inputs)
    inputs = self.shared(inputs)
    for layer in self.hidden:
      inputs = layer(inputs)
    return self.scale * self.heads['mean'](inputs) + inner

  def get_config(self):
    return {'units': self.units}


def _assert_is_saved_whole(model, inputs, tmp_path):
  model.save(tmp_path / 'model.keras')
  loaded = tf.keras.models.load_model(tmp_path / 'model.keras')
  assert isinstance(loaded, Subclassed)
  assert loaded.shared is loaded.first
  np.testing.assert_allclose(loaded(inputs), model(inputs), rtol=1e-5)
  pairs = zip(sparsity.sparse_weights(loaded), sparsity.sparse_weights(model))
  for ours, theirs in pairs:
    np.testing.assert_array_equal(ours.mask, theirs.mask)
    assert ours.target_sparsity == theirs.target_sparsity
  loaded.fit(inputs, np.ones((4, 3)), verbose=0)
  for weight in sparsity.sparse_weights(loaded):
    assert weight.missing_zeros == 0
  assert type(sparsity.strip(loaded)) is Subclassed
  model.save(tmp_path / 'model')
  again = tf.keras.models.load_model(tmp_path / 'model')
  np.testing.assert_allclose(again(inputs), model(inputs), rtol=1e-5)


class _Doubled(tf.keras.Sequential):
  """A Sequential model that does more than one."""

  def test_step(self, data):
    return {'twice': 2 * super().test_step(data)['loss']}


class _Graph(tf.keras.Model):
  """A functional model that its own constructor makes."""

  def __init__(self, units):
    inputs = tf.keras.Input((6,))
    head = _L.Dense(units, name='head')
    super().__init__(inputs, head(_L.Dense(16)(inputs)))
    self.head, self.units = head, units

  def test_step(self, data):
    return {'twice': 2 * super().test_step(data)['loss']}


class _Encoder(tf.keras.Model):
  """A constructor that takes models, no config, a metric and a variable."""

  def __init__(self, head, others):
    super().__init__()
    self.head, self.others, self._scales = head, others, [tf.Variable(2.0)]
    self.mean = tf.keras.metrics.Mean('mean')

  def call(self, inputs):
    for layer in self.others:
      inputs = layer(inputs)
    return self._scales[0] * self.head(inputs)

  def test_step(self, data):
    return {'twice': 2 * super().test_step(data)['loss']}


def _encoder():
  model = _Encoder(_L.Dense(3, name='head'), [networks.dense_network()])
  model(np.ones((1, 6)))
  return model


@pytest.mark.parametrize(
  'make',
  [
    lambda: _Doubled([_L.Dense(16, input_shape=(6,)), _L.Dense(3)]),
    lambda: _Graph(3),
    _encoder,
  ],
  ids=['sequential', 'functional', 'without_config'],
)
def test_classes_of_models_stay(make):
  """With what their constructors gave them, none of it shared."""
  plain = make()
  plain.compile('sgd', 'mse')
  model = sparsity.sparsify(plain, target_sparsity=0.5)
  stripped = sparsity.strip(model)
  inputs, targets = np.ones((4, 6), np.float32), np.ones((4, 3))
  for copy in (model, stripped):
    assert isinstance(copy, type(plain))
    copy.compile('sgd', 'mse')
    assert set(copy.test_on_batch(inputs, targets, return_dict=True)) == {
      'twice'
    }
    ids = {id(variable) for variable in copy.variables}
    assert not ids & {id(variable) for variable in plain.variables}
    assert len(copy.variables) >= len(plain.variables)
    if hasattr(plain, 'head'):
      assert any(v is copy.head.weights[0] for v in copy.trainable_variables)
    assert getattr(copy, 'units', 3) == 3
  assert sparsity.sparse_layers(model)
  np.testing.assert_allclose(stripped(inputs), model(inputs), rtol=1e-5)


@pytest.mark.parametrize('built_by', ['call', 'build'])
def test_subclassed_models(built_by, tmp_path):
  plain = Subclassed()
  inputs = np.ones((4, 6), np.float32)
  if built_by == 'call':
    plain(inputs)
  else:
    plain.build((None, 6))
  plain.scale.assign(2.0)
  before = plain.get_weights()
  model = sparsity.sparsify(
    plain, target_sparsity=0.5, custom={'inner/last': 0.25, 'heads/mean': 0.75}
  )
  assert isinstance(model, Subclassed)
  assert model.shared is model.first
  for ours, theirs in zip(plain.get_weights(), before):
    np.testing.assert_array_equal(ours, theirs)
  weights = sparsity.sparse_weights(model)
  assert len(weights) == 1 + 1 + 3 + 1 + 3
  found = {w.variable.name.split('/')[-2]: w.target_sparsity for w in weights}
  assert found['last'] == 0.25
  assert model.heads['mean'].target_sparsity == 0.75
  assert model.scale.numpy() == 2
  optimizer = sparsity.SparseOptimizer('adam', networks.updater('rigl'), model)
  model.compile(optimizer, 'mse')
  model.fit(inputs, np.ones((4, 3)), epochs=3, verbose=0)
  for weight in weights:
    assert weight.missing_zeros == 0
    assert not weight.variable.numpy()[weight.mask.numpy() == 0].any()
  stripped = sparsity.strip(model)
  assert type(stripped) is Subclassed
  assert not sparsity.sparse_layers(stripped)
  np.testing.assert_allclose(stripped(inputs), model(inputs), rtol=1e-5)
  if built_by == 'call':
    _assert_is_saved_whole(model, inputs, tmp_path)
  total = sparsity.counting.total(sparsity.counting.count(model))
  assert total.sparsity == pytest.approx(0.5, abs=0.05)
