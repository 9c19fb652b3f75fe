"""The order of imports, each order in a process of its own."""

import os
import subprocess
import sys


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


def test_keras_3_first_says_what_to_export():
  result = _python(
    'import tensorflow as tf\n'
    'tf.keras.layers\n'
    'from tf_sparse_rl import sparsity'
  )
  assert result.returncode == 1
  last = result.stderr.strip().splitlines()[-1]
  assert last.startswith('ImportError: tf_sparse_rl needs Keras 2')
  assert "Received: tf.keras is 'keras'" in last
  assert 'export TF_USE_LEGACY_KERAS=1' in last


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
