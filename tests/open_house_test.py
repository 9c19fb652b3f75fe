"""A custom environment, method and network in one run.

By commands only, and by a script; the package lies outside of the project.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = """
import gymnasium as gym
import numpy as np
import tensorflow as tf
from tf_sparse_rl import sparsity


class Targets(gym.Env):
  action_space = gym.spaces.Discrete(3)

  def __init__(self, goal, width=2):
    self.observation_space = gym.spaces.Dict(
      place=gym.spaces.Box(-1, 1, (width, 2)), lamp=gym.spaces.Discrete(3)
    )
    self._goal = goal

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return self._observe(), {}

  def step(self, action):
    reward = float(action == (self._lamp + self._goal) % 3)
    return self._observe(), reward, False, False, {}

  def _observe(self):
    self._lamp = int(self.np_random.integers(3))
    place = self.observation_space['place']
    place = self.np_random.uniform(-1, 1, place.shape).astype(np.float32)
    return {'place': place, 'lamp': self._lamp}


gym.register('Targets-v0', Targets, max_episode_steps=20)


class LargestGradients(sparsity.SET):
  def __init__(self, exponent, **kwargs):
    super().__init__(**kwargs)
    self.exponent = exponent

  def get_config(self):
    return {**super().get_config(), 'exponent': self.exponent}

  def grow_scores(self, kernel, train_step, seed):
    return tf.abs(kernel.gradient) ** self.exponent


def normed(config, env_spec, name):
  layers = []
  for units in config.hidden_units:
    layers += [
      tf.keras.layers.Dense(units),
      tf.keras.layers.LayerNormalization(),
      tf.keras.layers.ReLU(),
    ]
  return layers
"""
_FIELDS = {
  'env_kwargs': '{"goal": 1}',
  'method': 'my_lab.parts:LargestGradients',
  'method_kwargs': '{"exponent": 2}',
  'network': 'my_lab.parts:normed',
  'hidden_units': (16, 16),
  'batch_size': 8,
  'initial_collect_env_steps': 50,
  'eval_period': 100,
  'num_eval_episodes': 2,
  'mask_update_period': 20,
  'checkpoint_period': 100,
}
_SCRIPT = """
import tf_sparse_rl

fields = {fields}
run = tf_sparse_rl.train(
  'python', env='my_lab.parts:Targets-v0', num_env_steps=300, **fields
)
run = tf_sparse_rl.train('python', config=run.config, num_env_steps=400)
env_steps = [int(step) for step in run.results()['env_step']]
best = run.evaluate(num_episodes=2, checkpoint='best')
run.export('python-exported', ['tflite'], checkpoint='best')
action = run.policy()({{'place': [[0, 0], [1, 1]], 'lamp': 2}})
print(env_steps, best['checkpoint'], action in (0, 1, 2))
"""


class _Lab:
  """A directory with the package, where commands are started."""

  def __init__(self, path):
    self.path = path
    (path / 'my_lab').mkdir()
    (path / 'my_lab' / '__init__.py').touch()
    (path / 'my_lab' / 'parts.py').write_text(_PACKAGE, 'utf-8')

  def start(self, *arguments):
    return subprocess.Popen(
      [sys.executable, *arguments],
      cwd=self.path,
      env={**os.environ, 'PYTHONPATH': str(_ROOT)},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def run(self, *arguments):
    process = self.start(*arguments)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    return stdout

  def command(self, name, *flags):
    return self.run('-m', f'tf_sparse_rl.{name}', *flags)


@pytest.fixture(name='lab', scope='module')
def lab_fixture(tmp_path_factory):
  return _Lab(tmp_path_factory.mktemp('lab'))


def _flags(fields):
  for name, value in fields.items():
    text = ','.join(map(str, value)) if isinstance(value, tuple) else value
    yield f'--{name}={text}'


@pytest.mark.slow
def test_by_commands_only(lab):
  train = ('-m', 'tf_sparse_rl.train', '--root_dir=run', *_flags(_FIELDS))
  train = (*train, '--env_name=my_lab.parts:Targets-v0')
  killed = lab.start(*train, '--num_env_steps=300')
  while not list(lab.path.glob('run/checkpoints/*0100/manifest.json')):
    assert killed.poll() is None
    time.sleep(0.01)
  killed.send_signal(signal.SIGKILL)
  killed.communicate()
  said = lab.run(*train, '--num_env_steps=300')
  assert 'Continuing at env step' in said
  said = lab.run(*train, '--num_env_steps=400')
  assert 'From env step 300 on: num_env_steps 300 -> 400.' in said
  said = lab.command(
    'evaluate', '--root_dir=run', '--checkpoint=best', '--json'
  )
  assert json.loads(said)['checkpoint'] == 'best'
  out = '--out=exported'
  lab.command('export', '--root_dir=run', out, '--format=saved_model,tflite')
  assert list((lab.path / 'exported').rglob('*.tflite'))
  lab.command(
    *('sweep', '--sweep_dir=sweep', '--seeds=2', '--num_env_steps=200'),
    *('--env_names=my_lab.parts:Targets-v0', f'--methods={_FIELDS["method"]}'),
    *_flags({k: v for k, v in _FIELDS.items() if k != 'method'}),
  )
  lab.command('report', '--sweep_dir=sweep', '--out=report')
  page = (lab.path / 'report/index.html').read_text('utf-8')
  assert 'my_lab.parts:LargestGradients' in page


@pytest.mark.slow
def test_by_a_script(lab):
  said = lab.run('-c', _SCRIPT.format(fields=_FIELDS))
  assert said == '[0, 100, 200, 300, 400] best True\n'
