"""The choice between native kernels and the masked path."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.native import backend, library, measure
from tf_sparse_rl.networks import stack


@pytest.fixture(autouse=True)
def native_backend():
  if library.load() is None:
    pytest.skip(library.problem())
  backend.set_backend('native')
  backend._of_machine.cache_clear()
  yield
  backend._of_machine.cache_clear()


def _model():
  return sparsity.sparsify(networks.dense_network(), 'static', 0.5)


def _kinds(graph):
  return {op.type for op in graph.get_operations()}


def _is_native(graph):
  return 'TfSparseRlStack' in _kinds(graph)


def _traced(layer, *shape, dtype=tf.float32, **options):
  function = tf.function(layer, autograph=False, **options)
  return function.get_concrete_function(tf.TensorSpec(shape, dtype)).graph


def test_a_wrong_name_is_refused():
  with pytest.raises(ValueError, match="auto, masked, native.*'fast'"):
    backend.set_backend('fast')
  assert backend.current_backend() == 'native'


def test_graphs_are_native_if_asked_for():
  model = _model()
  assert _is_native(_traced(model, 4, 6))
  backend.set_backend('masked')
  assert not _is_native(_traced(model, 4, 6))


def test_xla_gets_no_native_kernels():
  model = _model()
  inputs, _ = networks.batch(model)
  compiled = tf.function(model, jit_compile=True)
  np.testing.assert_allclose(
    compiled(inputs), model(inputs), rtol=1e-4, atol=1e-6
  )
  assert not _is_native(compiled.get_concrete_function(inputs).graph)


def test_keras_compiled_by_xla_trains():
  model = _model()
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(), sparsity.Static(), model
  )
  model.compile(optimizer, 'mse', jit_compile=True)
  model.fit(*networks.batch(model), verbose=0)
  assert int(optimizer.iterations) == 1


@pytest.mark.parametrize('how', ['tf', 'keras'])
def test_saved_models_have_no_native_operations(tmp_path, how):
  model = _model()
  inputs, _ = networks.batch(model)
  expected = model.predict(inputs, verbose=0)  # Traces a native graph.
  path = str(tmp_path / 'model')
  if how == 'tf':
    tf.saved_model.save(model, path)
  else:
    model.save(path, save_format='tf')
  assert b'TfSparseRl' not in (tmp_path / 'model/saved_model.pb').read_bytes()
  loaded = tf.saved_model.load(path).signatures['serving_default']
  [found] = loaded(inputs).values()
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_tflite_takes_a_sparse_model():
  converter = tf.lite.TFLiteConverter.from_keras_model(_model())
  assert b'TfSparseRl' not in converter.convert()


def test_what_the_kernels_do_not_have_is_masked():
  dense = tf.keras.layers.Dense
  for layer, shape, dtype in (
    (dense(3, dtype='float64'), (4, 6), tf.float64),
    (dense(3, dtype='mixed_bfloat16'), (4, 6), tf.bfloat16),
    (dense(3), (4, 5, 6), tf.float32),
    (tf.keras.layers.Conv1D(3, 2), (4, 5, 6), tf.float32),
  ):
    sparse = sparsity.SparseLayer(layer, 0.5)
    sparse.build([None, *shape[1:]])
    assert not _is_native(_traced(sparse, *shape, dtype=dtype))


def _built(activation, units, inputs, **options):
  layer = sparsity.SparseLayer(
    tf.keras.layers.Dense(units, activation, **options), 0.5
  )
  layer.build([None, inputs])
  mask = np.float32(np.arange(inputs * units).reshape(inputs, units) % 3 == 0)
  layer.mask.assign(mask)
  layer.kernel.assign(layer.kernel * mask)
  return layer


@pytest.mark.parametrize('middle', ['swish', 'softplus', 'softmax'])
def test_an_activation_that_the_kernels_lack_divides_a_stack(middle):
  layers = [_built('relu', 8, 6), _built(middle, 7, 8), _built(None, 3, 7)]

  def call(inputs):
    return stack.call(layers, inputs)

  inputs = tf.random.normal([5, 6])
  expected = call(inputs)
  function = tf.function(call, autograph=False)
  np.testing.assert_allclose(function(inputs), expected, rtol=1e-4, atol=1e-6)
  graph = function.get_concrete_function(inputs).graph
  found = [op for op in graph.get_operations() if op.type == 'TfSparseRlStack']
  assert [op.get_attr('N') for op in found] == [2, 1]


def test_branches_and_layers_used_twice():
  first, left = _built('relu', 6, 6), _built('tanh', 6, 6)
  right = _built(None, 6, 6, use_bias=False)

  def call(inputs):
    hidden = first(first(inputs))
    return left(hidden) * right(hidden) + hidden

  inputs = tf.random.normal([5, 6])
  variables = [v for x in (first, left, right) for v in x.trainable_variables]

  def gradients(inputs):
    with tf.GradientTape() as tape:
      outputs = call(inputs)
    return [outputs, *tape.gradient(outputs, variables)]

  expected = gradients(inputs)
  found = tf.function(gradients, autograph=False)(inputs)
  for ours, theirs in zip(found, expected):
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('answer', [True, False])
def test_auto_measures_once_and_remembers(tmp_path, monkeypatch, answer):
  asked = []

  def seconds(*args):
    asked.append(args)
    return (0.002, 0.001, 0.003) if answer else (0.001, 0.002, 0.003)

  monkeypatch.setattr(measure, 'seconds', seconds)
  monkeypatch.setattr(library, 'cache_dir', lambda: tmp_path)
  backend.set_backend('auto')
  for _ in range(2):
    assert _is_native(_traced(_built('relu', 4, 6), 32, 6)) == answer
    # As in another process.
    backend._of_machine.cache_clear()
    measured = backend.measurements()
    backend.set_backend('auto')
  assert asked == [(32, (6, 4), (0.5,))]
  known = json.loads((tmp_path / 'milliseconds.json').read_text('utf-8'))
  expected = [2.0, 1.0, 3.0] if answer else [1.0, 2.0, 3.0]
  assert list(known.values()) == [expected]
  # As in a run that goes on, where the machine says otherwise.
  other = [expected[1], expected[0], expected[2]]
  monkeypatch.setattr(backend, '_of_machine', lambda *_: other)
  backend.set_backend('auto', measured)
  assert _is_native(_traced(_built('relu', 4, 6), 32, 6)) == answer
  assert backend.choice([6, 4], [0.5]) == (answer, *expected)
  assert backend.choice([6, 5], [0.5]) == (False, None, None, None)
  assert backend.measurements() == measured
  backend.set_backend('auto')
  assert _is_native(_traced(_built('relu', 4, 6), 32, 6)) != answer


def test_a_choice_is_forgotten_with_its_backend():
  layer = _built('relu', 4, 6)
  assert _is_native(_traced(layer, 32, 6))
  assert backend.choice([6, 4], [0.5]).is_native
  backend.set_backend('masked')
  assert not _is_native(_traced(layer, 32, 6))
  assert not backend.choice([6, 4], [0.5]).is_native


_KEY = '[32, [6, 4], [0.5]]'


@pytest.mark.parametrize(
  'content',
  [
    *(b'', b'{"[32', b'\0\0', b'\xff', b'[]', b'7', b'[' * 100_000),
    *(
      json.dumps({_KEY: value}).encode()
      for value in (None, 7, [1.0], [1, 2], ['1', '2'], [1.0, float('nan')])
    ),
    None,  # A directory.
  ],
)
def test_what_was_measured_is_measured_anew_if_its_file_is_damaged(
  tmp_path, monkeypatch, content
):
  monkeypatch.setattr(measure, 'seconds', lambda *_: (0.002, 0.001, 0.003))
  monkeypatch.setattr(library, 'cache_dir', lambda: tmp_path)
  backend.set_backend('auto')
  if content is None:
    (tmp_path / 'milliseconds.json').mkdir()
  else:
    (tmp_path / 'milliseconds.json').write_bytes(content)
  assert _is_native(_traced(_built('relu', 4, 6), 32, 6))
  if content is not None:
    known = json.loads((tmp_path / 'milliseconds.json').read_text('utf-8'))
    assert known == {_KEY: [2.0, 1.0, 3.0]}


def test_auto_goes_on_where_nothing_can_be_written(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(measure, 'seconds', lambda *_: (0.002, 0.001, 0.003))
  monkeypatch.setattr(library, 'cache_dir', lambda: tmp_path)
  backend.set_backend('auto')
  (tmp_path / 'lock').mkdir()
  assert _is_native(_traced(_built('relu', 4, 6), 32, 6))
  [line] = capsys.readouterr().err.splitlines()
  assert 'cannot be saved' in line and str(tmp_path / 'lock') in line


def test_what_is_measured_is_true_of_layers_far_from_the_break_even():
  # Nearly all of a wide layer is zeros: nothing that is close.
  masked, native, fused = measure.seconds(128, (512, 512), (0.99,))
  assert native < masked and fused < masked


_FIT = """
import numpy as np
from tf_sparse_rl import sparsity
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.layers.Dense(8, input_shape=[4])])
model = sparsity.sparsify(model, 'rigl', 0.5)
adam = tf.keras.optimizers.Adam()
model.compile(sparsity.SparseOptimizer(adam, sparsity.RigL(0.3), model), 'mse')
model.fit(np.ones([32, 4]), np.ones([32, 8]), verbose=0)
"""


def test_a_keras_user_gets_no_compiler_and_no_cache_unasked(tmp_path):
  environment = {
    **os.environ,
    'XDG_CACHE_HOME': str(tmp_path),
    'CXX': str(tmp_path / 'none'),
  }
  done = subprocess.run(
    [sys.executable, '-c', _FIT],
    env=environment,
    capture_output=True,
    text=True,
    check=True,
  )
  assert 'native' not in done.stderr
  assert not (tmp_path / 'tf_sparse_rl').exists()
