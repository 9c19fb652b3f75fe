"""Requirements of a run on its machine, and errors if they are not met."""

import types

import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.native import backend, library
from tf_sparse_rl.networks import stack
from tf_sparse_rl.training import machine


@pytest.mark.parametrize(
  'flag, expected',
  [
    ('--num_gpus=64', 'Expected GPUs, as num_gpus=64 says. Received: TensorF'),
    ('--tpu=local', 'Expected a TPU, as tpu=local says. Received: TensorFlow'),
  ],
)
def test_devices_that_are_not_there(commands, tmp_path, flag, expected):
  root_dir = tmp_path / 'run'
  result = commands.run(
    'train', '--env_name=CartPole-v1', f'--root_dir={root_dir}', flag
  )
  assert (result.returncode, result.stdout) == (2, '')
  [line] = result.stderr.splitlines()
  assert line.startswith(f'error: {expected}')
  assert not root_dir.exists()


def test_networks_are_described_by_how_they_are_computed(monkeypatch):
  if library.load() is None:
    pytest.skip(library.problem())
  monkeypatch.setattr(backend, '_measured', lambda *_: [3.0, 1.5, 1.0])
  dense = tf.keras.layers.Dense
  actor, critic = (
    sparsity.sparsify([dense(8, 'relu'), dense(2)], 'rigl', 0.5, seed=0, **size)
    for size in ({'input_shape': [None, 6]}, {'input_shape': [None, 7]})
  )
  plain = sparsity.sparsify([dense(2)], 'dense', input_shape=[None, 6])
  agent = types.SimpleNamespace(
    networks={'actor': actor, 'critic': critic, 'plain': plain}
  )
  backend.set_backend('auto')
  tf.function(lambda x: stack.call(actor, x), autograph=False)(tf.ones([4, 6]))
  described = machine.describe(agent)
  assert described == {
    **machine.kernels(),
    'backends': {
      'actor': {'backend': 'native', 'masked_ms': 3.0, 'native_ms': 1.5},
      'critic': {'backend': 'masked'},  # Traced by nobody.
    },
  }
  assert machine.sentence(described) == (
    'Backends: actor native (native 2.00 x as fast as masked), '
    f'critic masked; {library.cpu()}, {library.instruction_set()}.'
  )
  described = machine.describe(agent, is_fused=True)
  assert described['backends'] == {
    'actor': {'backend': 'fused', 'masked_ms': 3.0, 'fused_ms': 1.0},
    'critic': {'backend': 'fused'},
    'plain': {'backend': 'fused'},
  }
  assert machine.sentence(described).startswith(
    'Backends: actor fused (fused 3.00 x as fast as masked), critic '
  )
  backend.set_backend('masked')
  assert machine.describe(agent) == {
    'cpu': library.cpu(),
    'backends': {
      'actor': {'backend': 'masked'},
      'critic': {'backend': 'masked'},
    },
  }


@pytest.mark.parametrize(
  'middle, expected',
  [
    (2.0, {'backend': 'native', 'masked_ms': 4.0, 'native_ms': 3.0}),
    (0.5, {'backend': 'masked and native', 'masked_ms': 2.5, 'native_ms': 3.0}),
  ],
)
def test_a_network_of_several_stacks_is_described(
  monkeypatch, middle, expected
):
  if library.load() is None:
    pytest.skip(library.problem())
  # The kernels do not have swish: a stack ends with it.
  monkeypatch.setattr(
    backend,
    '_measured',
    lambda batch, sizes, _: [2.0 if sizes == (6, 8) else middle, 1.5, 1.0],
  )
  dense = tf.keras.layers.Dense
  layers = [dense(8, 'swish'), dense(4, 'relu'), dense(2)]
  layers = sparsity.sparsify(layers, 'rigl', 0.5, seed=0, input_shape=[None, 6])
  backend.set_backend('auto')
  tf.function(lambda x: stack.call(layers, x), autograph=False)(tf.ones([4, 6]))
  agent = types.SimpleNamespace(networks={'q_network': layers})
  assert machine.describe(agent)['backends'] == {'q_network': expected}
