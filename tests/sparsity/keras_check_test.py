"""The order of imports, each order in a process; models of Keras 3."""

import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity


def _python(code):
  environment = dict(os.environ)
  environment.pop('TF_USE_LEGACY_KERAS', None)
  environment['PYTHONPATH'] = os.pathsep.join(p for p in sys.path if p)
  return subprocess.run(
    [sys.executable, '-c', code],
    env=environment,
    capture_output=True,
    text=True,
  )


def test_this_package_first_brings_no_tensorflow_but_the_right_keras():
  # And nothing that it goes without is missing from then on.
  result = _python(
    'import sys, tf_sparse_rl\n'
    'assert "tensorflow" not in sys.modules\n'
    'assert "numpy" not in sys.modules\n'
    'import tensorflow as tf\n'
    'from tf_sparse_rl import sparsity\n'
    'print(tf.keras.layers.Layer.__module__.split(".")[0])\n'
    # TFMOT would load Keras 3, and that Matplotlib, to no end.
    'assert not {"keras", "matplotlib"} & {*sys.modules}\n'
    'import keras, tf_agents, tensorflow_model_optimization as tfmot\n'
    'print(keras.layers.Layer.__module__.split(".")[0])\n'
    'wrap = tfmot.sparsity.keras.prune_low_magnitude\n'
    'print(type(wrap(tf.keras.layers.Dense(1))).__name__)\n'
    'print(tf_agents.agents.CqlSacAgent.__name__)'
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout.split() == [
    'tf_keras',
    'keras',
    'PruneLowMagnitude',
    'CqlSacAgent',
  ]


@pytest.fixture(name='of_keras_3', scope='module')
def of_keras_3_fixture():
  """A model of Keras 3."""
  layers = [keras.layers.Input((4,)), keras.layers.Dense(8)]
  return keras.Sequential(layers, name='mine')


@pytest.fixture(name='sparse', scope='module')
def sparse_fixture():
  """A sparse model of Keras 2."""
  dense = tf.keras.Sequential([tf.keras.layers.Dense(8, input_shape=(4,))])
  return sparsity.sparsify(dense, target_sparsity=0.5)


@pytest.mark.parametrize(
  'use',
  [
    lambda model, sparse: sparsity.sparsify(model),
    lambda model, sparse: sparsity.sparsify(model, method='dense'),
    lambda model, sparse: sparsity.strip(model),
    lambda model, sparse: sparsity.summary(model),
    lambda model, sparse: sparsity.sparse_layers(model),
    lambda model, sparse: sparsity.sparse_weights([model]),
    lambda model, sparse: sparsity.take_over(model),
    lambda model, sparse: sparsity.load_dense(sparse, model),
    lambda model, sparse: sparsity.snip(model, lambda: 0.0),
    lambda model, sparse: sparsity.SparseOptimizer(
      'adam', sparsity.Static(), model
    ),
  ],
)
def test_a_model_of_keras_3_is_refused_by_name(of_keras_3, sparse, use):
  with pytest.raises(TypeError) as error:
    use(of_keras_3, sparse)
  assert "Received: 'mine', a Sequential of Keras 3." in str(error.value)
  assert 'tf.keras instead of keras' in str(error.value)


def test_layers_and_optimizers_of_keras_3_are_refused(of_keras_3, sparse):
  with pytest.raises(TypeError, match='a Dense of Keras 3'):
    sparsity.SparseLayer(keras.layers.Dense(3))
  with pytest.raises(TypeError, match='a Dense of Keras 3'):
    sparsity.sparsify(of_keras_3.layers, input_shape=[None, 4])
  with pytest.raises(TypeError, match='a Adam of Keras 3'):
    sparsity.SparseOptimizer(keras.optimizers.Adam(), sparsity.Static(), sparse)
