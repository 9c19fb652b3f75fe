"""Every format agrees with Keras and is read with few packages."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.exporting import policies
from tf_sparse_rl import envs, flags
from tf_sparse_rl.agents import registry
from tf_sparse_rl.exporting import (
  acceptance,
  dense_layers,
  formats,
  npz,
  npz_reader,
  onnx_model,
  tflite,
)
from tf_sparse_rl.exporting import policy as policy_lib

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
@pytest.mark.parametrize('network', ['relu', 'ppo', 'normed', 'c51'])
def test_agrees_with_keras(name, network, tmp_path):
  if network == 'normed':
    policy = policies.make_normed(17)
  elif network == 'c51':
    policy = policies.make_categorical(17)
  else:
    policy = policies.make(_SIZES, **(_AS_IN_PPO if network == 'ppo' else {}))
  kind = formats.FORMATS[name]
  path = tmp_path / kind.file_name
  kind.save(policy, path)
  for batch in (50, 1, 3):
    observations = policies.observations(batch, 17)
    act = kind.load(path)
    assert acceptance.difference(policy, act, observations) < 1e-5
  actions = act(policies.observations(50, 17))['action']
  assert len(set(actions.tolist())) > 1


@pytest.mark.parametrize('name', formats.FORMATS)
@pytest.mark.parametrize('network', ['strides', 'max_pool', 'residual'])
@pytest.mark.parametrize('block_inputs', [1, 4])
def test_agrees_with_keras_on_images(name, network, block_inputs, tmp_path):
  policy = policies.make_for_images(
    network, sparsity=0.5, block_inputs=block_inputs
  )
  kind, path = formats.FORMATS[name], tmp_path / 'policy'
  kind.save(policy, path)
  act = kind.load(path)
  for batch in (50, 1, 3):
    images = policies.images(batch)
    assert acceptance.difference(policy, act, images) < 1e-5
  assert len(set(act(policies.images(50))['action'].tolist())) > 1


def _policy_for_pong(**values):
  """A policy that was never trained, and frames that it comes to see."""
  config = flags.make_config({'env_name': 'Pong', 'sparsity': 0.9, **values})
  env = envs.make(config)
  policy = policy_lib.of_agent(registry.build(config, env.spec))
  env.close()
  frames = acceptance.play(config, policy, 3, seed=0)
  assert frames.shape == (3, 84, 84, 4) and frames.dtype == np.uint8
  return policy, frames


def test_a_nature_cnn_agrees_with_keras_on_pong(tmp_path):
  policy, frames = _policy_for_pong()
  for name in ('tflite', 'npz', 'onnx'):
    kind, path = formats.FORMATS[name], tmp_path / 'policy'
    kind.save(policy, path)
    assert acceptance.difference(policy, kind.load(path), frames) < 1e-5
    # Of about 4 million weights one in ten, of 4 to 12 bytes, is left.
    assert path.stat().st_size < (5.5e6 if name == 'onnx' else 4e6)


@pytest.mark.slow
def test_an_impala_resnet_agrees_with_keras_on_pong(tmp_path):
  policy, frames = _policy_for_pong(network='impala_resnet')
  for kind in (v for k, v in formats.FORMATS.items() if k != 'saved_model'):
    kind.save(policy, tmp_path / 'policy')
    act = kind.load(tmp_path / 'policy')
    assert acceptance.difference(policy, act, frames) < 1e-5


def _with_17_inputs():
  policy = policies.make((17, 62, 30, 5), sparsity=0.7)
  return policy, policies.observations(50, 17)


def _with_11_inputs():
  policy = policies.make((11, 62, 30, 5), sparsity=0.7)
  return policy, policies.observations(50, 11)


def _with_70_inputs_after_convolutions():
  policy = policies.make_for_images('strides', sparsity=0.7)
  assert policy.layers[-2].kernel.shape[0] == 70
  return policy, policies.images(50)


@pytest.mark.parametrize(
  'make', [_with_17_inputs, _with_11_inputs, _with_70_inputs_after_convolutions]
)
def test_tflite_is_right_where_inputs_are_no_multiple_of_four(make, tmp_path):
  policy, observations = make()
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
_ONNX_ALONE = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
names = ['action', 'output']
outputs = session.run(names, {'observation': np.load(sys.argv[2])})
assert not [m for m in sys.modules if m.startswith('tensorflow')]
np.savez('answer.npz', **dict(zip(names, outputs)))
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
  ('name', 'code'),
  [('tflite', _TFLITE_ALONE), ('npz', _NPZ_ALONE), ('onnx', _ONNX_ALONE)],
)
@pytest.mark.parametrize(
  'network', ['dense', pytest.param('residual', marks=pytest.mark.slow)]
)
def test_is_read_without_this_package(name, code, network, tmp_path):
  if network == 'dense':
    policy = policies.make(_SIZES)
    observations = policies.observations(20, 17)
  else:
    policy = policies.make_for_images(network)
    observations = policies.images(20)
  path = tmp_path / 'policy'
  formats.FORMATS[name].save(policy, path)
  np.save(tmp_path / 'observations.npy', observations)
  shutil.copy(npz_reader.__file__, tmp_path)
  answer = _alone(code, tmp_path, path, tmp_path / 'observations.npy')
  expected = policy(observations)
  np.testing.assert_array_equal(answer['action'], expected['action'])
  np.testing.assert_allclose(answer['output'], expected['output'], atol=1e-4)
  # Operations of TensorFlow that TFLite alone has not.
  assert b'Flex' not in path.read_bytes()


def test_zeros_are_not_stored(tmp_path):
  policy = policies.make((64, 256, 256, 8))
  for name in ('tflite', 'npz', 'onnx'):
    kind = formats.FORMATS[name]
    kind.save(policy, tmp_path / 'sparse')
    kind.save_dense(policy, tmp_path / 'dense')
    sizes = [(tmp_path / n).stat().st_size for n in ('sparse', 'dense')]
    assert sizes[0] < sizes[1] / 3, name


def test_the_npz_reader_is_short():
  lines = pathlib.Path(npz_reader.__file__).read_text('utf-8').splitlines()
  assert len(lines) < 115
  body = lines[lines.index('def load(path):') :]
  assert len(body) < 30


def test_the_npz_reader_convolves_and_pools():
  # 1 to 9, of one channel, in a batch of one.
  image = np.arange(1.0, 10).reshape(3, 3, 1, 1)
  strides, padding = (1, 1), [(0, 1), (0, 1)]
  # The right neighbour once, the one below ten times, the same plus 0.5.
  kernel, bias = np.array([[0, 1, 10, 0]]), np.array([0.5])
  outputs = npz_reader.conv(
    *(image, kernel, bias, npz_reader.ACTIVATIONS['linear'], (2, 2)),
    *(strides, padding),
  )
  expected = [[42.5, 53.5, 60.5], [75.5, 86.5, 90.5], [8.5, 9.5, 0.5]]
  np.testing.assert_array_equal(outputs[:, :, 0, 0], expected)
  largest = npz_reader.max_pool(-image, (2, 2), (2, 2), padding)
  np.testing.assert_array_equal(largest[:, :, 0, 0], [[-1, -3], [-7, -9]])


def test_what_an_npz_file_says_of_a_convolution(tmp_path):
  policy = policies.make_for_images('strides')
  npz.save(policy, tmp_path / 'policy.npz')
  with np.load(tmp_path / 'policy.npz') as file:
    arrays = dict(file)
  names = [layer.name for layer in policy.layers[1:]]
  assert arrays['layers'].tolist() == names
  kinds = [str(arrays[f'{name}/kind']) for name in names]
  assert kinds == ['conv', 'conv', 'flatten', 'dense', 'dense']
  conv = {
    part: arrays[f'{names[0]}/{part}']
    for part in ('size', 'strides', 'padding', 'activation')
  }
  # 11 x 9 images, 6 x 5 windows two apart: 3 rows and columns are missing.
  assert {part: value.tolist() for part, value in conv.items()} == {
    **{'size': [4, 4], 'strides': [2, 2], 'padding': [[1, 2], [1, 2]]},
    'activation': 'relu',
  }
  _, parts = npz_reader.parts_of(arrays, names[0])
  np.testing.assert_array_equal(
    parts['kernel'].toarray().T.reshape(4, 4, 3, 6), policy.layers[1].kernel
  )
  assert parts['kernel'].nnz == np.count_nonzero(policy.layers[1].kernel)


def test_layers_without_words_are_refused(tmp_path):
  policy = policies.make((4, 8, 2), activation='elu')
  with pytest.raises(ValueError, match="'layer_0' with .*elu"):
    npz.save(policy, tmp_path / 'policy.npz')
  onnx_model.save(policy, tmp_path / 'policy.onnx')
  policy.layers.insert(0, tf.keras.layers.BatchNormalization())
  policy.layers[-1].activation = tf.keras.activations.gelu
  for save in (npz.save, onnx_model.save):
    with pytest.raises(ValueError, match='Received: BatchNormalization'):
      save(policy, tmp_path / 'policy')
  policy.layers.pop(0)
  with pytest.raises(ValueError, match="Received: 'layer_1' with .*gelu"):
    onnx_model.save(policy, tmp_path / 'policy')


def test_tflite_models_are_read_without_litert_too(tmp_path, monkeypatch):
  policy, observations = _with_17_inputs()
  tflite.save(policy, tmp_path / 'policy')
  monkeypatch.setitem(sys.modules, 'ai_edge_litert', None)
  assert tflite.interpreter_class() is tf.lite.Interpreter
  act = tflite.load(tmp_path / 'policy')
  assert acceptance.difference(policy, act, observations) < 1e-5


def test_litert_reads_tflite_models_where_it_is():
  litert = pytest.importorskip('ai_edge_litert.interpreter')
  assert tflite.interpreter_class() is litert.Interpreter
