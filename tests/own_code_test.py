"""Custom code by commands only: a mask updater and a network.

One run is killed, continued, made longer, played, exported and started from;
two seeds of it are swept and reported.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

# Each of them takes a process of its own.
pytestmark = pytest.mark.slow
_ROOT = pathlib.Path(__file__).parents[1]
_LAB = '''
"""A module of the user's own."""

import tensorflow as tf
from tf_sparse_rl import sparsity


class NoisyRigL(sparsity.RigL):
  """RigL that grows by the gradient and by noise."""

  def __init__(self, noise, **kwargs):
    super().__init__(**kwargs)
    self.noise = noise

  def get_config(self):
    return {**super().get_config(), 'noise': self.noise}

  def grow_scores(self, kernel, train_step, seed):
    gradient = super().grow_scores(kernel, train_step, seed)
    random = sparsity.SET.grow_scores(self, kernel, train_step, seed) / 2**31
    return gradient + self.noise * tf.reduce_max(gradient) * random


def normed(config, env_spec, name):
  """Hidden layers with LayerNorm and without bias."""
  layers = tf.keras.layers
  hidden = []
  for units in config.hidden_units:
    hidden += [
      layers.Dense(units, use_bias=False),
      layers.LayerNormalization(),
      layers.Activation('gelu'),
    ]
  return hidden
'''
_TINY = (
  '--hidden_units=16,16',
  '--batch_size=8',
  '--initial_collect_env_steps=50',
  '--eval_period=100',
  '--num_eval_episodes=2',
  '--mask_update_period=20',
  '--checkpoint_period=100',
  '--diagnostics=churn,dormant,norms,rank,snr',
  '--diagnostics_period=100',
)
_OWN = ('--network=own_lab:normed', '--method_kwargs={"noise": 0.5}')
_ONE = (*_TINY, *_OWN, '--method=own_lab:NoisyRigL')


class _Lab:
  """A directory with a module, and commands started in it."""

  def __init__(self, path):
    self.path = path
    (path / 'own_lab.py').write_text(_LAB)

  def start(self, name, *flags, cwd=None):
    return subprocess.Popen(
      [sys.executable, '-m', f'tf_sparse_rl.{name}', *flags],
      cwd=cwd or self.path,
      env={**os.environ, 'PYTHONPATH': str(_ROOT)},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def run(self, name, *flags, status=0, cwd=None):
    """Runs a command; what it printed, (stdout, stderr)."""
    process = self.start(name, *flags, cwd=cwd)
    said = process.communicate(timeout=300)
    assert process.returncode == status, said
    return said

  def config(self, root_dir):
    text = (self.path / root_dir / 'config.json').read_text('utf-8')
    return json.loads(text)


@pytest.fixture(name='lab', scope='module')
def lab_fixture(tmp_path_factory):
  return _Lab(tmp_path_factory.mktemp('lab'))


@pytest.fixture(name='longer', scope='module')
def longer_fixture(lab):
  """A run that was killed, continued to its end, and made longer."""
  flags = ('--root_dir=run', *_ONE, '--num_env_steps=300')
  process = lab.start('train', *flags)
  checkpoint = lab.path / 'run/checkpoints/env_step_000000000100/manifest.json'
  end = time.monotonic() + 300
  while not checkpoint.exists():
    assert process.poll() is None and time.monotonic() < end
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  said, _ = lab.run('train', *flags)
  assert 'Continuing at env step ' in said
  return lab.run(
    *('train', '--root_dir=run', '--config=run/config.json'),
    '--num_env_steps=400',
  )


def test_a_run_that_is_made_longer_says_what_changes(lab, longer):
  stdout, stderr = longer
  assert 'From env step 300 on: num_env_steps 300 -> 400.' in stdout
  assert stderr == (
    'run/config.json names modules that are imported now: own_lab\n'
  )
  values = lab.config('run')
  assert values['method'] == 'own_lab:NoisyRigL'
  assert values['history'][0]['changed'] == {'num_env_steps': [300, 400]}
  # Layers that LayerNorm keeps apart are stacks of their own.
  assert len(values['machine']['backends']) == 1
  lines = (lab.path / 'run/results.jsonl').read_text('utf-8').splitlines()
  results = [json.loads(line) for line in lines]
  assert [r['env_step'] for r in results] == [0, 100, 200, 300, 400]
  assert {round(r['sparsity'], 2) for r in results} == {0.89}
  churn = [r['diagnosis'].get('Churn/q_network/changed') for r in results]
  assert max(filter(None, churn)) > 0
  summary = json.loads((lab.path / 'run/summary.json').read_text('utf-8'))
  assert summary['env_steps'] == 400


@pytest.mark.usefixtures('longer')
def test_it_is_played_and_exported_with_the_module_of_its_network(
  lab, tmp_path
):
  root_dir = f'--root_dir={lab.path}/run'
  played, stderr = lab.run('evaluate', root_dir, '--num_episodes=2', '--json')
  assert json.loads(played)['num_episodes'] == 2
  assert 'names modules that are imported now: own_lab' in stderr
  out = f'--out={tmp_path}/out'
  formats = '--format=saved_model,tflite'
  said, stderr = lab.run('export', root_dir, out, formats)
  assert 'Agrees with Keras' in said
  assert 'names modules that are imported now: own_lab' in stderr
  _, stderr = lab.run('export', root_dir, out, status=2, cwd=tmp_path)
  assert "Unknown module 'own_lab'" in stderr


@pytest.mark.usefixtures('longer')
def test_another_run_starts_where_it_stands(lab):
  flags = (*_ONE, '--num_env_steps=100', '--init_from=run@300', '--seed=7')
  said, _ = lab.run('train', '--root_dir=warm', *flags, '--init_optimizer')
  assert f'Starts with the networks of {lab.path}/run at env step 300' in said
  assert lab.config('warm')['origin'] == {
    'init_from': f'{lab.path}/run',
    'env_step': 300,
    'masks': ['q_network'],
  }


def test_seeds_are_swept_and_reported_without_the_module(lab, tmp_path):
  lab.run(
    'sweep',
    *('--sweep_dir=sweep', '--methods=own_lab:NoisyRigL', '--seeds=2'),
    *(*_TINY, *_OWN, '--num_env_steps=200', '--max_parallel=2'),
  )
  runs = sorted(path.name for path in (lab.path / 'sweep/runs').iterdir())
  assert runs == [
    f'CartPole-v1-own_lab_NoisyRigL-0.9-seed{seed}' for seed in (0, 1)
  ]
  out = tmp_path / 'report'
  # Elsewhere: nothing of it could be imported.
  lab.run(
    *('report', f'--sweep_dir={lab.path}/sweep', f'--out={out}'), cwd=tmp_path
  )
  assert 'own_lab:NoisyRigL' in (out / 'index.html').read_text('utf-8')
  tables = ''.join(p.read_text('utf-8') for p in out.rglob('*.csv'))
  assert 'own_lab:NoisyRigL' in tables


@pytest.mark.parametrize(
  'flags, message',
  [
    (
      ('--method=own_lib:NoisyRigL',),
      "--method: Unknown module 'own_lib'. Did",
    ),
    (('--method=own_lab:NoisyRigLe',), "Unknown name in .*'NoisyRigLe'. Did"),
    (('--method=own_lab:normed',), 'a subclass of tf_sparse_rl.sparsity.Mask'),
    (
      ('--method=own_lab:NoisyRigL',),
      'Expected --method_kwargs with noise, wi',
    ),
    (('--network=own_lab:NoisyRigL',), "NoisyRigL.config, env_spec, 'q_netw"),
    (('--init_from=nowhere@best',), 'Received: nowhere@best, no run'),
  ],
)
def test_mistakes_are_told_and_leave_no_config(lab, flags, message, tmp_path):
  process = lab.start('train', f'--root_dir={tmp_path}/run', *_TINY, *flags)
  _, stderr = process.communicate(timeout=300)
  assert process.returncode in (1, 2)
  assert re.search(message, stderr), stderr
  assert not (tmp_path / 'run' / 'config.json').exists()
