"""The command `export` as a user runs it, on runs that were never trained."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests import tiny
from tf_sparse_rl import api, envs, flags, packages, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.exporting import exporter, formats, policy
from tf_sparse_rl.runs import run_dir as run_dir_lib

_ROOT = pathlib.Path(__file__).parents[2]


def _make_run(path, **values):
  """A directory like that of a finished run."""
  config = flags.make_config({'hidden_units': (30, 30), **values})
  env = envs.make(config)
  agent = registry.build(config, env.spec)
  # Not what the config's seed alone would give.
  bias = sparsity.sparse_layers(agent.policy_layers)[0].layer.bias
  bias.assign(bias + 0.3)
  run_dir = run_dir_lib.RunDir(path)
  with run_dir.locked():
    run_dir.start(config)
    policy.save(policy.of_agent(agent), run_dir.policy_path)
    run_dir.finish(tiny.summary())
  return agent


def _export(*arguments):
  quieting = ('TF_USE_LEGACY_KERAS', 'TF_CPP_MIN_LOG_LEVEL')
  kept = {k: v for k, v in os.environ.items() if k not in quieting}
  return subprocess.run(
    [sys.executable, '-m', 'tf_sparse_rl.export', *arguments],
    env={**kept, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(scope='module')
def dqn(tmp_path_factory):
  path = tmp_path_factory.mktemp('dqn') / 'run'
  return path, _make_run(path)


def test_all_formats_of_dqn(dqn, tmp_path):
  path, agent = dqn
  out = tmp_path / 'out'
  out.mkdir()
  (out / 'policy' / 'variables').mkdir(parents=True)
  (out / 'policy' / 'variables' / 'stale').write_text('')
  (out / 'mine.txt').write_text('')
  process = _export(f'--root_dir={path}', f'--out={out}')
  assert process.returncode == 0, process.stderr
  assert process.stderr == ''
  assert {entry.name for entry in out.iterdir()} == {
    *('policy', 'policy.tflite', 'policy.npz', 'mine.txt')
  }
  assert not (out / 'policy' / 'variables' / 'stale').exists()
  agreed, _, header, _, *rows = process.stdout.splitlines()[:7]
  assert agreed == 'Agrees with Keras on 500 observations.'
  assert header.startswith('format') and header.endswith('off by')
  nonzero = sum(int(layer.mask.numpy().sum()) for layer in agent.policy_layers)
  assert [row.split()[0] for row in rows] == ['saved_model', 'tflite', 'npz']
  assert {row.split()[4] for row in rows} == {str(nonzero)}
  assert process.stdout.count('than dense and') == 2


@pytest.mark.slow
def test_a_policy_for_images(tmp_path):
  path, out = tmp_path / 'run', tmp_path / 'out'
  _make_run(path, env_name='Pong', width=0.1, hidden_units=(64,))
  names = 'tflite', 'npz', 'onnx'
  process = _export(
    f'--root_dir={path}', f'--out={out}', f'--format={",".join(names)}'
  )
  assert process.returncode == 0, process.stderr
  assert process.stderr == ''
  assert {x.name for x in out.iterdir()} == {f'policy.{n}' for n in names}
  assert process.stdout.startswith('Agrees with Keras on 100 observations.')
  assert process.stdout.count('times smaller than dense and') == 3


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('summary.json', r"env steps \[\] in {}/checkpoints. Received: 'last'."),
    ('config.json', 'the directory of a run. Received: {}, no run.'),
  ],
)
def test_without_a_policy_or_a_run_it_is_told(name, message, dqn, tmp_path):
  path, out = tmp_path / 'run', tmp_path / 'out'
  shutil.copytree(dqn[0], path)
  (path / name).unlink()
  process = _export(f'--root_dir={path}', f'--out={out}')
  assert process.returncode == 2
  assert process.stderr.startswith('error: Expected ')
  assert re.search(message.format(path), process.stderr)
  assert process.stderr.count('\n') == 1
  assert not out.exists()


def test_the_mean_action_of_sac(tmp_path):
  agent = _make_run(
    tmp_path / 'run', agent='sac', env_name='Pendulum-v1', seed=1
  )
  run_dir = run_dir_lib.RunDir(tmp_path / 'run')
  config = run_dir.read_finished_config()
  spec = envs.make(config).spec
  greedy = policy.of_run(config, run_dir.policy_path, spec)
  observations = np.random.default_rng(0).normal(size=[9, 3]).astype('float32')
  output = observations
  for layer in agent.policy_layers:
    output = layer(output)
  expected = agent.greedy_action(output)
  for name in ('npz', 'onnx'):
    kind, path = formats.FORMATS[name], tmp_path / name
    kind.save(greedy, path)
    np.testing.assert_allclose(
      kind.load(path)(observations)['action'], expected, rtol=1e-4, atol=1e-5
    )


def test_a_missing_package_is_told(monkeypatch):
  monkeypatch.setattr(packages, 'is_installed', lambda name: False)
  api.check_formats(api.DEFAULT_FORMATS)
  message = "'onnx' needs ONNX and ONNX Runtime.*install 'tf_sparse_rl.onnx.'"
  with pytest.raises(packages.MissingError, match=message):
    api.check_formats(['onnx'])


def test_a_missing_policy_or_that_of_another_run_is_told(dqn, tmp_path):
  run_dir = run_dir_lib.RunDir(dqn[0])
  config = run_dir.read_finished_config()
  spec = envs.make(config).spec
  with pytest.raises(ValueError, match='Expected an exported policy in'):
    policy.of_run(config, tmp_path, spec)
  with pytest.raises(ValueError, match=r'\(4, 60\).* Received: .*\(4, 30\)'):
    policy.of_run(
      dataclasses.replace(config, width=2.0), run_dir.policy_path, spec
    )


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--out=x'], 'Received no --root_dir'),
    (['--root_dir=x'], 'Received no --out'),
    (['--root_dir=x', '--out=x', '--format=tflit'], "Did you mean 'tflite'"),
  ],
)
def test_bad_flags_are_told(arguments, message):
  process = _export(*arguments)
  assert process.returncode == 2
  assert message in process.stderr


@pytest.mark.parametrize(
  'there, formats',
  [
    ('config.json', ['npz']),
    ('policy/thesis.tex', ['npz', 'saved_model']),
    ('policy', ['saved_model']),
    ('policy.npz/thesis.tex', ['npz']),
  ],
)
def test_nothing_but_a_policy_is_replaced(tmp_path, there, formats):
  path = tmp_path / there
  path.parent.mkdir(exist_ok=True)
  path.write_text('mine')
  with pytest.raises(ValueError, match='would be replaced'):
    exporter.check_out(tmp_path, formats)
  assert path.read_text() == 'mine'


def test_a_link_is_not_replaced(tmp_path):
  (tmp_path / 'elsewhere').mkdir()
  (tmp_path / 'policy').symlink_to(tmp_path / 'elsewhere')
  with pytest.raises(ValueError, match='Expected .*policy to be free'):
    exporter.check_out(tmp_path, ['saved_model'])
  exporter.check_out(tmp_path, ['npz', 'tflite'])
