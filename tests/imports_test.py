"""Imports of large libraries."""

import gc
import subprocess
import sys

import pytest

from tf_sparse_rl import imports


@pytest.mark.parametrize('was_enabled', [True, False])
def test_the_collector_is_as_it_was(was_enabled):
  before = gc.isenabled()
  try:
    (gc.enable if was_enabled else gc.disable)()
    with pytest.raises(ImportError), imports.lightened():
      assert not gc.isenabled()
      raise ImportError
    assert gc.isenabled() == was_enabled
  finally:
    (gc.enable if before else gc.disable)()


def test_nothing_is_looked_through_again_and_again():
  # Full collections, while TensorFlow and the sparse layers are imported.
  code = (
    'import gc, sys\n'
    'full = []\n'
    'gc.callbacks.append(lambda phase, info: full.append(info["generation"]))\n'
    'from tf_sparse_rl import scopes\n'
    'with scopes.tensorflow():\n'
    '  assert "tensorflow" in sys.modules\n'
    '  print(full.count(2), gc.isenabled())\n'
  )
  _assert_prints(code, '0 True\n')


def test_what_is_rarely_used_is_loaded_when_it_is():
  # Pandas by Keras' fit, Gym by TF-Agents' environments; whoever asks gets it.
  code = (
    'import sys\n'
    'from tf_sparse_rl import quiet\n'
    'quiet.silence()\n'
    'def loaded(name):\n'
    '  return any(each.startswith(name + ".") for each in sys.modules)\n'
    'names = "pandas", "gym", "tf_agents.environments", "tf_agents.bandits"\n'
    'import inspect\n'
    'inspect.getmodule(loaded.__code__)\n'  # It looks at all modules.
    'print([name for name in names if loaded(name)])\n'
    'import pandas\n'
    'import tensorflow as tf\n'
    'from tf_agents.environments import suite_gym\n'
    'model = tf.keras.Sequential([tf.keras.layers.Dense(1)])\n'
    'model.compile("sgd", "mse")\n'
    'frame = pandas.DataFrame({"x": [1.0, 2.0]})\n'
    'model.fit(frame, frame, verbose=0)\n'
    'print(model.count_params(), suite_gym.load("CartPole-v1").batch_size)\n'
    'print(all(map(loaded, names[:3])))\n'
  )
  _assert_prints(code, '[]\n2 None\nTrue\n')


def _assert_prints(code, expected):
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == expected, done.stdout + done.stderr
