"""Every format says what Keras says, and needs little to be read."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.exporting import policies
from tf_sparse_rl.exporting import (
  acceptance,
  dense_layers,
  formats,
  npz_reader,
  tflite,
)

_SIZES = (17, 62, 30, 5)
_AS_IN_PPO = {'activation': 'tanh', 'is_scaled': True}


def _alone(code, tmp_path, *arguments):
  """Runs Python in an empty directory, without our package."""
  environment = {
    name: value
    for name, value in os.environ.items()
    if name not in ('TF_USE_LEGACY_KERAS', 'PYTHONPATH')
  }
  subprocess.run(
    [sys.executable, '-c', code, *map(str, arguments)],
    cwd=tmp_path,
    env=environment,
    capture_output=True,
    check=True,
  )
  return np.load(tmp_path / 'answer.npz')


@pytest.mark.parametrize('name', formats.FORMATS)
@pytest.mark.parametrize('options', [{}, _AS_IN_PPO], ids=['relu', 'ppo'])
def test_agrees_with_keras(name, options, tmp_path):
  policy, kind = policies.make(_SIZES, **options), formats.FORMATS[name]
  path = tmp_path / kind.file_name
  kind.save(policy, path)
  for batch in (50, 1, 3):
    observations = policies.observations(batch, 17)
    act = kind.load(path)
    assert acceptance.difference(policy, act, observations) < 1e-5
  actions = act(policies.observations(50, 17))['action']
  assert len(set(actions.tolist())) > 1


@pytest.mark.parametrize('inputs', [17, 11])
def test_tflite_is_right_where_inputs_are_no_multiple_of_four(inputs, tmp_path):
  policy = policies.make((inputs, 62, 30, 5), sparsity=0.7)
  observations = policies.observations(50, inputs)
  path = tmp_path / 'policy.tflite'
  # As it is, the converter's model is wrong and does not say so.
  path.write_bytes(tflite.convert(policy, sparse=True))
  with pytest.raises(ValueError, match='off by'):
    acceptance.difference(policy, tflite.load(path), observations)
  tflite.save(policy, path)
  act = tflite.load(path)
  assert acceptance.difference(policy, act, observations) < 1e-5


def test_padded_layers_are_the_same_function():
  policy = policies.make((6, 9, 4, 2), sparsity=0.3, activation='sigmoid')
  observations = policies.observations(8, 6)
  padded = dense_layers.padded(policy, 4)
  kernels = [layer.kernel.shape for layer in padded.layers if layer.weights]
  assert kernels == [(8, 12), (12, 4), (4, 2)]
  np.testing.assert_allclose(
    padded(observations)['output'], policy(observations)['output'], atol=1e-6
  )


_TFLITE_ALONE = """
import sys
import numpy as np
import tensorflow as tf
run = tf.lite.Interpreter(sys.argv[1]).get_signature_runner('serving_default')
outputs = run(observation=np.load(sys.argv[2]))
assert not [m for m in sys.modules if m.startswith(('tf_sparse', 'tf_agents'))]
np.savez('answer.npz', **outputs)
"""
_NPZ_ALONE = """
import sys
import numpy as np
import npz_reader
outputs = npz_reader.load(sys.argv[1])(np.load(sys.argv[2]))
assert not [m for m in sys.modules if m.startswith('tensorflow')]
np.savez('answer.npz', **outputs)
"""


@pytest.mark.parametrize(
  ('name', 'code'), [('tflite', _TFLITE_ALONE), ('npz', _NPZ_ALONE)]
)
def test_is_read_without_this_package(name, code, tmp_path):
  policy, path = policies.make(_SIZES), tmp_path / 'policy'
  formats.FORMATS[name].save(policy, path)
  observations = policies.observations(20, 17)
  np.save(tmp_path / 'observations.npy', observations)
  shutil.copy(npz_reader.__file__, tmp_path)
  answer = _alone(code, tmp_path, path, tmp_path / 'observations.npy')
  expected = policy(observations)
  np.testing.assert_array_equal(answer['action'], expected['action'])
  np.testing.assert_allclose(answer['output'], expected['output'], atol=1e-4)


def test_zeros_are_not_stored(tmp_path):
  policy = policies.make((64, 256, 256, 8))
  for name in ('tflite', 'npz'):
    kind = formats.FORMATS[name]
    kind.save(policy, tmp_path / 'sparse')
    kind.save_dense(policy, tmp_path / 'dense')
    sizes = [(tmp_path / n).stat().st_size for n in ('sparse', 'dense')]
    assert sizes[0] < sizes[1] / 3, name


def test_the_npz_reader_is_short():
  lines = pathlib.Path(npz_reader.__file__).read_text('utf-8').splitlines()
  body = lines[lines.index('def load(path):') :]
  assert len(body) < 30


def test_layers_without_words_are_refused(tmp_path):
  policy = policies.make((4, 8, 2), activation='elu')
  with pytest.raises(ValueError, match="'layer_0' with .*elu"):
    formats.FORMATS['npz'].save(policy, tmp_path / 'policy.npz')
  policy.layers.insert(0, formats.tf.keras.layers.Flatten())
  with pytest.raises(ValueError, match='Received: Flatten'):
    formats.FORMATS['tflite'].save(policy, tmp_path / 'policy.tflite')
