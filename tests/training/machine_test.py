"""What a run asks of its machine, and is told if it is not there."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
  'flag, expected',
  [
    ('--num_gpus=64', 'Expected GPUs, as num_gpus=64 says. Received: TensorF'),
    ('--tpu=local', 'Expected a TPU, as tpu=local says. Received: TensorFlow'),
  ],
)
def test_devices_that_are_not_there(tmp_path, flag, expected):
  root_dir = tmp_path / 'run'
  result = subprocess.run(
    [
      *(sys.executable, '-m', 'tf_sparse_rl.train', '--env_name=CartPole-v1'),
      *(f'--root_dir={root_dir}', flag),
    ],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
    capture_output=True,
    text=True,
    check=False,
    timeout=120,
  )
  assert (result.returncode, result.stdout) == (2, '')
  [line] = result.stderr.splitlines()
  assert line.startswith(f'error: {expected}')
  assert not root_dir.exists()
