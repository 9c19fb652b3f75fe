"""The tables of docs/guides/keras.md, and random models."""

import contextlib
import io
import itertools
import pathlib
import re
import warnings

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests.sparsity import kinds_test, networks
from tf_sparse_rl import methods, sparsity

_L = tf.keras.layers
# Masks that are set once, before training with static ones.
_ONE_SHOT = {'snip': sparsity.snip, 'grasp': sparsity.grasp}
_METHODS = [n for n, row in methods.METHODS.items() if row.has_target]
_ALL_METHODS = [*_METHODS, *_ONE_SHOT]
_OPTIMIZERS = {
  'current': lambda: tf.keras.optimizers.Adam(0.02),
  'legacy': lambda: tf.keras.optimizers.legacy.Adam(0.02),
}
_FORMATS = ['.keras', '.h5', 'SavedModel', 'weights']
_DOCS = pathlib.Path('docs/guides/keras.md')


def _table(first):
  """Rows of the table in the docs of that first column, `{column: cell}`."""
  lines = iter(_DOCS.read_text('utf-8').splitlines())
  head = next(line for line in lines if line.startswith(f'| {first} |'))
  rows = itertools.takewhile(lambda line: line.startswith('|'), lines)
  head, _, *rows = [_cells(head), *map(_cells, rows)]
  return [dict(zip(head, row)) for row in rows]


def _cells(line):
  return [cell.strip().strip('`') for cell in line.strip('|').split('|')]


def test_the_table_has_every_kind():
  table = _table('layer')
  assert [row['layer'] for row in table] == list(kinds_test.MODELS)
  for row in table:
    assert int(row['masks']) == kinds_test.MODELS[row['layer']][1]
    assert [row[name] for name in _FORMATS] == ['yes'] * len(_FORMATS)


def test_the_table_has_every_method():
  table = {row['method']: row for row in _table('method')}
  assert sorted(table) == sorted(['dense', *_ALL_METHODS])
  # `adaptive` needs several networks: an agent's.
  others = {methods.SMALL_DENSE, 'adaptive'}
  assert set(methods.COMPARED) - set(table) == others
  for name in _METHODS:
    kind = type(networks.updater(name)).__name__
    assert table[name]['by'] == kind == methods.METHODS[name].updater
    starts = 'ones' if methods.METHODS[name].starts_dense else 'at random'
    assert table[name]['masks start'] == starts


def test_every_public_name_is_told():
  text = _DOCS.read_text('utf-8')
  for name in sparsity.__all__:
    assert re.search(rf'[`.({{]{name}\b', text), name


def _pruned_by(method, model, inputs, targets):
  def loss():
    return tf.reduce_mean(tf.square(model(inputs) - targets))

  _ONE_SHOT[method](model, loss)


def _train(model, inputs, targets):
  """As many train steps as the updaters below need."""
  for _ in range(4):
    model.train_on_batch(inputs, targets)


def _trained(kind, method, optimizer, eagerly=False):
  tf.keras.utils.set_random_seed(0)
  once = method in _ONE_SHOT
  model = sparsity.sparsify(
    kinds_test.MODELS[kind][0](), 'prune' if once else method, 0.6
  )
  data = kinds_test.data(model)
  if once:
    _pruned_by(method, model, *data)
  updater = networks.updater('static' if once else method, period=1)
  sparse_optimizer = sparsity.SparseOptimizer(
    _OPTIMIZERS[optimizer](), updater, model
  )
  model.compile(sparse_optimizer, 'mse', run_eagerly=eagerly)
  _train(model, *data)
  return model, *data


def _assert_met(model, method):
  weights = sparsity.sparse_weights(model)
  missing = [weight.missing_zeros for weight in weights]
  if method in ('global_prune', *_ONE_SHOT):
    missing = [sum(w.num_zeros_of_target - w.num_zeros for w in weights)]
  assert not any(missing)
  for weight in weights:
    assert not weight.variable.numpy()[weight.mask.numpy() == 0].any()


def _saved_and_loaded(model, file_format, tmp_path, traces=True):
  if file_format == 'weights':
    other = tf.keras.models.clone_model(model)
    model.save_weights(str(tmp_path / 'weights'))
    other.load_weights(str(tmp_path / 'weights'))
    return other
  if file_format == 'SavedModel':
    path = str(tmp_path / 'model')
    model.save(path, save_traces=traces)
  else:
    path = str(tmp_path / f'model{file_format}')
    model.save(path)
  custom = {'MyDense': kinds_test.MyDense}
  return tf.keras.models.load_model(path, custom)


def _assert_exports(stripped, inputs, expected, tmp_path):
  path = str(tmp_path / 'exported')
  with contextlib.redirect_stdout(io.StringIO()):
    stripped.export(path)
  exported = tf.saved_model.load(path)
  found = exported.serve(tf.constant(inputs))
  np.testing.assert_allclose(found, expected, atol=1e-5)


def _assert_walks(trained, method, file_formats, tmp_path, traces=True):
  """Sparse, stripped, saved, loaded, trained on; returns what was stripped."""
  model, inputs, targets = trained
  _assert_met(model, method)
  expected = model(inputs).numpy()
  stripped = sparsity.strip(model)
  assert not sparsity.sparse_layers(stripped)
  np.testing.assert_allclose(stripped(inputs), expected, atol=1e-5)
  for file_format in file_formats:
    loaded = _saved_and_loaded(model, file_format, tmp_path, traces)
    np.testing.assert_allclose(loaded(inputs), expected, atol=1e-5)
    for ours, theirs in zip(
      sparsity.sparse_weights(loaded), sparsity.sparse_weights(model)
    ):
      np.testing.assert_array_equal(ours.mask, theirs.mask)
      np.testing.assert_array_equal(ours.variable, theirs.variable)
    if file_format != 'weights':
      # Those of a SavedModel begin their schedule anew.
      loaded.run_eagerly = True  # Graphs were traced when it was trained.
      _train(loaded, inputs, targets)
      _assert_met(loaded, method)
  return stripped, inputs, expected


# Each kind once, with methods, optimizers and formats in turn.
_ONCE = [
  (
    kind,
    _ALL_METHODS[i % len(_ALL_METHODS)],
    list(_OPTIMIZERS)[i // len(_ALL_METHODS) % 2],
    _FORMATS[i % len(_FORMATS)],
  )
  for i, kind in enumerate(kinds_test.MODELS)
]


def test_every_method_is_walked_with_both_optimizers():
  pairs = {(method, optimizer) for _, method, optimizer, _ in _ONCE}
  assert len(pairs) == len(_ALL_METHODS) * len(_OPTIMIZERS)
  assert {name for *_, name in _ONCE} == set(_FORMATS)


@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5')
@pytest.mark.parametrize(('kind', 'method', 'optimizer', 'name'), _ONCE)
def test_walks_the_table(kind, method, optimizer, name, tmp_path):
  trained = _trained(kind, method, optimizer)
  stripped = _assert_walks(trained, method, [name], tmp_path)
  _assert_exports(*stripped, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5')
@pytest.mark.parametrize('optimizer', _OPTIMIZERS)
@pytest.mark.parametrize('method', _ALL_METHODS)
@pytest.mark.parametrize('kind', kinds_test.MODELS)
def test_walks_the_whole_table(kind, method, optimizer, tmp_path):
  """One in four is trained in a graph, and one has traces in its SavedModel."""
  columns = list(kinds_test.MODELS), _ALL_METHODS, list(_OPTIMIZERS)
  place = sum(map(list.index, columns, (kind, method, optimizer)))
  trained = _trained(kind, method, optimizer, eagerly=place % 4 != 0)
  stripped = _assert_walks(
    trained, method, _FORMATS, tmp_path, traces=place % 4 == 2
  )
  if place % 2:
    _assert_exports(*stripped, tmp_path)


# Layers `[batch, 2, 4] -> [batch, 2, 4]`, of which models are drawn.
_LAYERS = {
  'dense': lambda: _L.Dense(4),
  'subclass': lambda: kinds_test.MyDense(4),
  'conv': lambda: _L.Conv1D(4, 3, padding='same'),
  'transposed': lambda: _L.Conv1DTranspose(4, 3, padding='same'),
  'separable': lambda: _L.SeparableConv1D(4, 3, padding='same'),
  'depthwise': lambda: _L.DepthwiseConv1D(3, padding='same'),
  'lstm': lambda: _L.LSTM(4, return_sequences=True, unroll=True),
  'both_ways': lambda: _L.Bidirectional(
    _L.GRU(2, return_sequences=True, unroll=True)
  ),
  'block': lambda: kinds_test.Block(4),
  'own': lambda: _Own(),
  'norm': lambda: _L.LayerNormalization(),
}


@tf.keras.utils.register_keras_serializable('tests')
class _Own(_L.Layer):
  """Nobody knows the axes of its weight."""

  def build(self, input_shape):
    self.w = self.add_weight('w', (4, 4))
    super().build(input_shape)

  def call(self, inputs):
    return inputs @ self.w


@st.composite
def _models(draw, depth=2, earlier=None):
  """A model of up to four layers: in a row, shared, residual, nested.

  Layers and nested models may be shared with any model in or around it.
  """
  earlier = [] if earlier is None else earlier
  inputs = outputs = tf.keras.Input((2, 4))
  for _ in range(draw(st.integers(1, 2 + depth))):
    choices = [*_LAYERS, *(['nested'] if depth else [])]
    name = draw(st.sampled_from(choices + (['earlier'] * 2 if earlier else [])))
    if name == 'earlier':
      layer = draw(st.sampled_from(earlier))
    elif name == 'nested':
      layer = draw(_models(depth - 1, earlier))
    else:
      layer = _LAYERS[name]()
    earlier.append(layer)
    shape = draw(st.sampled_from(['row', 'shared', 'residual']))
    before, outputs = outputs, layer(outputs)
    if shape == 'shared':
      outputs = layer(outputs)
    elif shape == 'residual':
      outputs = outputs + before
  return tf.keras.Model(inputs, outputs)


def _assert_met_or_told(model, method, target, distribution, seed):
  with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter('always')
    try:
      sparse = sparsity.sparsify(model, method, target, distribution, seed)
    except ValueError as error:
      # Never without a remedy, or the network has no weight matrices.
      assert re.search('ignore|with weight matrices', str(error))
      return
  inputs = tf.random.stateless_normal((2, 2, 4), [seed, 0])
  weights = sparsity.sparse_weights(sparse)
  total = sparsity.counting.total(sparsity.counting.count(sparse))
  zeros = sum(weight.num_zeros_of_target for weight in weights)
  told = [str(w.message) for w in told if w.category is UserWarning]
  missed = target - zeros / total.size > 0.01
  assert not missed or any('instead of' in x for x in told), told
  for weight in weights:
    starts_dense = methods.METHODS[method].starts_dense
    assert weight.num_zeros == (
      0 if starts_dense else weight.num_zeros_of_target
    )
    assert not weight.variable.numpy()[weight.mask.numpy() == 0].any()
  assert len(sparse.trainable_variables) == len(model.trainable_variables)
  np.testing.assert_allclose(
    sparsity.strip(sparse)(inputs), sparse(inputs), atol=1e-4
  )


_ARGUMENTS = {
  'model': _models(),
  'method': st.sampled_from(_METHODS),
  'target': st.sampled_from([0.5, 0.8, 0.9, 0.95]),
  'distribution': st.sampled_from(['uniform', 'er', 'erk']),
  'seed': st.integers(0, 99),
}


def _over(num_models):
  settings = hypothesis.settings(
    max_examples=num_models,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  return lambda function: settings(hypothesis.given(**_ARGUMENTS)(function))


@pytest.mark.filterwarnings('ignore:Targets of sparsity missed')
@_over(10)
def test_random_models_meet_their_target_or_tell(**arguments):
  _assert_met_or_told(**arguments)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:Targets of sparsity missed')
@_over(500)
def test_many_random_models_meet_their_target_or_tell(**arguments):
  _assert_met_or_told(**arguments)
