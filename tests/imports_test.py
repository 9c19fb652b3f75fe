"""Imports of large libraries."""

import concurrent.futures
import gc
import importlib
import pickle
import subprocess
import sys
import threading
import types

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
    _TRAINING_IS_IMPORTED + 'import inspect\n'
    'inspect.getmodule(is_loaded.__code__)\n'  # It looks at all modules.
    'print([name for name in imports._RARELY_USED if is_loaded(name)])\n'
    'import pandas\n'
    'import tensorflow as tf\n'
    'from tf_agents.environments import suite_gym\n'
    'model = tf.keras.Sequential([tf.keras.layers.Dense(1)])\n'
    'model.compile("sgd", "mse")\n'
    'frame = pandas.DataFrame({"x": [1.0, 2.0]})\n'
    'model.fit(frame, frame, verbose=0)\n'
    'print(model.count_params(), suite_gym.load("CartPole-v1").batch_size)\n'
    'names = "pandas", "gym", "tf_agents.environments"\n'
    'print(all(map(is_loaded, names)))\n'
  )
  _assert_prints(code, '[]\n2 None\nTrue\n')


def test_models_are_saved_and_converted(tmp_path):
  code = (
    _TRAINING_IS_IMPORTED + 'import numpy as np\n'
    'import tensorflow as tf\n'
    f'root = {str(tmp_path)!r}\n'
    'model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=[2])])\n'
    'model.compile("sgd", "mse")\n'
    'model.save(root + "/model.h5")\n'
    'print(tf.keras.models.load_model(root + "/model.h5").count_params())\n'
    'tf.saved_model.save(model, root + "/saved")\n'
    'print(len(tf.saved_model.load(root + "/saved").variables))\n'
    'converter = tf.lite.TFLiteConverter.from_saved_model(root + "/saved")\n'
    'converter.optimizations = [tf.lite.Optimize.DEFAULT]\n'  # Used again.
    'content = converter.convert()\n'
    'interpreter = tf.lite.Interpreter(model_content=content)\n'
    'print(list(interpreter.get_signature_list()))\n'
    'names = "h5py", "tensorflow._api.v2.lite"\n'
    'print(all(map(is_loaded, names)))\n'
  )
  _assert_prints(code, "3\n2\n['serving_default']\nTrue\n")


def test_all_that_is_rarely_used_can_be():
  # Some parts of packages first: they are loaded once, with their package.
  code = (
    _TRAINING_IS_IMPORTED + 'import tf_agents.environments.suite_gym\n'
    'import tensorflow._api.v2.compat.v1.lite.experimental\n'
    'from tensorflow_probability.python.experimental.mcmc import '
    'particle_filter\n'
    'from tensorflow_probability.python.experimental.mcmc.particle_filter '
    'import infer_trajectories\n'
    'import tensorflow_probability as tfp\n'
    'print(callable(tfp.experimental.mcmc.particle_filter))\n'
    'from scipy.linalg.lapack import dgesv\n'
    'import requests, scipy.linalg, scipy.ndimage\n'
    'print(scipy.linalg.lstsq([[2.0]], [6.0])[0])\n'
    'print(scipy.ndimage.shift([1, 2], 1))\n'
    'print(requests.Request("GET", "http://a.b").prepare().url)\n'
    'for name in imports._RARELY_USED & sys.modules.keys():\n'
    '  hasattr(sys.modules[name], "what")\n'
    '  assert is_loaded(name), name\n'
  )
  _assert_prints(code, 'True\n[3.]\n[0 1]\nhttp://a.b/\n')


def test_a_library_that_is_missing_is_missed():
  code = (
    'import importlib.machinery\n'
    'finder = importlib.machinery.PathFinder\n'
    'find = finder.find_spec\n'
    'finder.find_spec = lambda name, *rest: (\n'
    '  None if name == "h5py" else find(name, *rest)\n'
    ')\n'
    'from tf_sparse_rl import quiet\n'
    'quiet.import_tensorflow()\n'
    'from tf_keras.src.saving import saving_lib\n'
    'print(saving_lib.h5py)\n'
  )
  _assert_prints(code, 'None\n')


@pytest.fixture(name='lazy')
def make_lazy(tmp_path, monkeypatch):
  """A function that writes files and imports a module of theirs lazily.

  The modules share `meeting`, on which threads wait for each other.
  """
  meeting = types.SimpleNamespace(
    begun=threading.Event(), go_on=threading.Event(), runs=[]
  )
  before = set(sys.modules)
  monkeypatch.setitem(sys.modules, 'meeting', meeting)
  monkeypatch.syspath_prepend(tmp_path)

  def make(name, files):
    for path, source in files.items():
      (tmp_path / path).parent.mkdir(exist_ok=True)
      (tmp_path / path).write_text('import meeting\n' + source)
    monkeypatch.setattr(imports, '_RARELY_USED', frozenset([name]))
    with imports.lightened():
      return importlib.import_module(name), meeting

  yield make
  for name in set(sys.modules) - before:
    if str(tmp_path) in str(getattr(sys.modules[name], '__file__', '')):
      del sys.modules[name]


_SLOW = 'meeting.runs.append(1)\nmeeting.begun.set()\nmeeting.go_on.wait()\n'


def test_other_threads_wait_until_a_module_is_loaded(lazy):
  slow, meeting = lazy('slow', {'slow.py': _SLOW + 'x = 5\n'})
  first = _in_thread(lambda: slow.x)
  assert meeting.begun.wait(_LONG)
  others = [
    _in_thread(lambda: slow.x),
    _in_thread(lambda: importlib.import_module('slow').x),
  ]
  concurrent.futures.wait(others, timeout=0.1)  # They have time to fail.
  assert not any(other.done() for other in others)
  meeting.go_on.set()
  assert [done.result(_LONG) for done in (first, *others)] == [5, 5, 5]
  assert meeting.runs == [1]
  assert type(slow) is types.ModuleType


def test_a_module_sees_what_there_is_of_it_while_it_is_loaded(lazy):
  ring, _ = lazy(
    'ring',
    {
      'ring/__init__.py': 'x = 1\nfrom ring import part\ny = 2\n',
      'ring/part.py': 'import ring\nseen = ring.x, hasattr(ring, "y")\n',
    },
  )
  assert ring.y == 2
  assert ring.part.seen == (1, False)


def test_a_part_does_not_wait_for_the_package_that_is_loading(lazy):
  # As in any package: the package may be waiting for the part.
  slow, meeting = lazy(
    'slow',
    {
      'slow/__init__.py': _SLOW + 'from slow import part\nx = 1\n',
      'slow/part.py': 'y = 2\n',
    },
  )
  first = _in_thread(lambda: slow.x)
  assert meeting.begun.wait(_LONG)
  part = _in_thread(lambda: importlib.import_module('slow.part').y)
  assert part.result(_LONG) == 2
  meeting.go_on.set()
  assert first.result(_LONG) == 1
  assert meeting.runs == [1]


def test_threads_that_need_each_others_modules_end(lazy):
  # One thread loads `slow` and needs `user`, the other has begun `user`, which
  # needs `slow`.
  slow, meeting = lazy(
    'slow',
    {
      'slow.py': _SLOW + 'import user\nx = 1\n',
      'user.py': 'meeting.go_on.set()\nimport slow\nx = slow.x\n',
    },
  )
  first = _in_thread(lambda: slow.x)
  assert meeting.begun.wait(_LONG)
  second = _in_thread(lambda: importlib.import_module('user'))
  assert first.result(_LONG) == 1
  error = second.exception(_LONG)  # If it was the last that had to wait.
  assert error is None or 'deadlock' in str(error)


def test_a_module_that_failed_is_loaded_again(lazy):
  source = (
    'x = 1\nmeeting.runs.append(1)\n'
    'if meeting.runs == [1]:\n  raise OSError("The disk is slow.")\n'
    'y = 2\n'
  )
  fails, meeting = lazy('fails', {'fails/__init__.py': source})
  before = dict(vars(fails))
  with pytest.raises(OSError, match='The disk is slow'):
    _ = fails.y
  assert vars(fails) == before
  assert (fails.x, fails.y) == (1, 2)
  assert meeting.runs == [1, 1]


def test_a_part_is_loaded_once_and_leaves_its_name_to_the_package(lazy):
  package, meeting = lazy(
    'package',
    {
      'package/__init__.py': 'from package.part import part\n',
      'package/part.py': 'meeting.runs.append(1)\ndef part(): return 3\n',
      'package/other.py': 'x = 4\n',
    },
  )
  part = importlib.import_module('package.part')
  assert part is sys.modules['package.part']
  assert package.part() == part.part() == 3
  assert meeting.runs == [1]
  importlib.reload(part)
  assert meeting.runs == [1, 1]
  importlib.import_module('package.other')
  assert package.other.x == 4


def test_a_lazy_module_is_pickled_by_name(lazy):
  module, meeting = lazy('module', {'module.py': 'meeting.runs.append(1)\n'})
  assert pickle.loads(pickle.dumps(module)) is module
  assert not meeting.runs


_LONG = 60  # Seconds until a test fails.


def _in_thread(call):
  """Calls it in a thread that does not keep Python from ending; a Future."""
  done = concurrent.futures.Future()

  def run():
    try:
      done.set_result(call())
    except BaseException as error:
      done.set_exception(error)

  threading.Thread(target=run, daemon=True).start()
  return done


_TRAINING_IS_IMPORTED = """
import sys
from tf_sparse_rl import imports, quiet
quiet.silence()
from tf_sparse_rl.benchmarks import training
def is_loaded(name):
  return type(sys.modules.get(name)) not in (type(None), imports._Lazy)
"""


def _assert_prints(code, expected):
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True
  )
  assert done.stdout == expected, done.stdout + done.stderr
