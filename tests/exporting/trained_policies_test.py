"""examples/policies: small, on their page, and the same in both formats."""

import pathlib

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl.exporting import npz_reader

_ROOT = pathlib.Path(__file__).parents[2]
_FOLDER = _ROOT / 'examples' / 'policies'
_ENVS = {'cartpole': 'CartPole-v1', 'halfcheetah': 'HalfCheetah-v5'}
_NAMES = sorted(path.stem for path in _FOLDER.glob('*.npz'))


def test_there_are_some_and_they_are_small():
  assert _NAMES
  files = [path for path in _FOLDER.iterdir() if path.is_file()]
  assert {path.suffix for path in files} == {'.npz', '.tflite'}
  assert len(files) == 2 * len(_NAMES)
  assert sum(path.stat().st_size for path in files) <= 1_000_000
  page = (_ROOT / 'docs' / 'guides' / 'policies.md').read_text('utf-8')
  assert all(name in page for name in _NAMES)


@pytest.mark.parametrize('name', _NAMES)
def test_formats_agree_and_the_environment_takes_the_action(name):
  _, env_name, _ = name.split('_')
  env = gymnasium.make(_ENVS[env_name])
  act = npz_reader.load(_FOLDER / f'{name}.npz')
  interpreter = tf.lite.Interpreter(str(_FOLDER / f'{name}.tflite'))
  act_of_tflite = interpreter.get_signature_runner('serving_default')
  observation, _ = env.reset(seed=0)
  for _ in range(5):
    batch = observation[np.newaxis].astype(np.float32)
    found, other = act(batch), act_of_tflite(observation=batch)
    for key in ('action', 'output'):
      np.testing.assert_allclose(found[key], other[key], rtol=1e-3, atol=1e-4)
    [action] = found['action']
    assert env.action_space.contains(np.asarray(action, env.action_space.dtype))
    observation, *_ = env.step(action)
