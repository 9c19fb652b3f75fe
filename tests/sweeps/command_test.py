"""The sweep command as a user runs it, up to where it would train."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests import tiny
from tests.sweeps import conftest
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

_ROOT = pathlib.Path(__file__).parents[2]
_WITHOUT_TENSORFLOW = """
import sys
sys.modules['tensorflow'] = None  # An import of it is an error.
sys.argv = ['sweep', *sys.argv[1:]]
from tf_sparse_rl import sweep
sweep.run()
"""


def _without_tensorflow(path, *flags):
  """Runs the command where TensorFlow cannot be imported."""
  return subprocess.run(
    [sys.executable, '-c', _WITHOUT_TENSORFLOW, f'--sweep_dir={path}', *flags],
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(name='sweep')
def sweep_fixture(commands):
  """Function: directory, flags -> the command, ended."""

  def sweep(path, *flags):
    directory = [f'--sweep_dir={path}'] if path else []
    return commands.run('sweep', *directory, *flags)

  return sweep


def test_dry_run_prints_runs_and_commands_and_writes_nothing(tmp_path):
  process = _without_tensorflow(
    tmp_path / 'sweep',
    '--dry_run',
    '--methods=dense,rigl',
    '--sparsities=0.5,0.9',
    '--seeds=1',
    '--hidden_units=16,16',
  )
  assert (process.returncode, process.stderr) == (0, '')
  ids = [f'CartPole-v1-{m}-seed0' for m in ('dense', 'rigl-0.5', 'rigl-0.9')]
  lines = process.stdout.splitlines()
  assert lines[0:6:2] == [f'{run_id}:' for run_id in ids]
  assert lines[3].split() == [
    *('python', '-m', 'tf_sparse_rl.train'),
    *('--env_name=CartPole-v1', '--method=rigl', '--seed=0'),
    *('--sparsity=0.5', '--hidden_units=16,16'),
    f'--root_dir={tmp_path}/sweep/runs/CartPole-v1-rigl-0.5-seed0',
  ]
  assert lines[6:] == ['3 runs. Nothing was written or started.']
  assert list(tmp_path.iterdir()) == []


def test_mujoco_says_nothing(sweep, tmp_path):
  process = sweep(
    tmp_path / 'sweep', '--dry_run', '--agent=sac', '--env_names=HalfCheetah-v5'
  )
  assert (process.returncode, process.stderr) == (0, '')


def test_list_only_writes_the_list_which_grows(tmp_path):
  first = _without_tensorflow(
    tmp_path, '--list_only', '--methods=rigl', '--seeds=2'
  )
  assert (first.returncode, first.stderr) == (0, '')
  assert first.stdout == f'2 runs, a line each: {tmp_path}/runs.jsonl\n'
  again = _without_tensorflow(
    tmp_path, '--list_only', '--methods=rigl', '--seeds=2'
  )
  assert again.stdout == first.stdout
  more = _without_tensorflow(
    tmp_path, '--list_only', '--methods=rigl,static', '--seeds=3'
  )
  assert more.stdout == (
    '2 runs were on the list, 4 were added.\n'
    f'6 runs, a line each: {tmp_path}/runs.jsonl\n'
  )
  other = _without_tensorflow(
    tmp_path, '--methods=rigl', '--seeds=1', '--gamma=0.5'
  )
  assert other.returncode == 2
  assert 'a run CartPole-v1-rigl-0.9-seed0 with other flags' in other.stderr
  assert 'gamma: None there, 0.5 asked' in other.stderr
  assert len(sweep_dir_lib.SweepDir(tmp_path).read_runs()) == 6


def test_status_of_runs_that_are_not_there_yet(tmp_path):
  _without_tensorflow(tmp_path, '--list_only', '--methods=rigl', '--seeds=2')
  process = _without_tensorflow(tmp_path, '--status')
  assert (process.returncode, process.stderr) == (0, '')
  assert '  2 not started' in process.stdout.splitlines()


def test_a_damaged_run_is_told_and_left_alone(sweep, tmp_path):
  sweep(tmp_path, '--list_only', '--methods=rigl', '--seeds=2')
  sweep_dir = sweep_dir_lib.SweepDir(tmp_path)
  first, second = map(sweep_dir.run_dir, sweep_dir.read_runs())
  for run_dir in (first, second):
    run_dir.path.mkdir(parents=True)
    run_dir.finish(tiny.summary())
  (second.path / 'summary.json').write_text('[]')
  process = sweep(tmp_path)
  assert process.returncode == 1
  assert '0 of 2 runs to do' in process.stdout
  assert '1 of 2 runs are finished, 1 failed' in process.stderr
  assert f'damaged: {second.path}/summary.json is damaged' in process.stderr
  assert 'Traceback' not in process.stderr


def test_an_index_that_is_no_line(sweep, tmp_path):
  sweep(tmp_path, '--list_only', '--methods=rigl', '--seeds=2')
  process = sweep(tmp_path, '--index=2')
  assert process.returncode == 2
  assert 'Expected --index from 0 to 1' in process.stderr


@pytest.mark.parametrize(
  'flags, message',
  [
    (None, 'Expected --sweep_dir'),
    ((), 'Expected a sweep in'),
    (('--methods=rigll',), "Did you mean 'rigl'?"),
    (('--env_names=CartPole',), "Did you mean 'CartPole-v1'?"),
    (('--sparsities=0.9,many',), 'as in --sparsities=0.8,0.9'),
    (('--method=rigl',), 'Expected --methods=rigl,static, for a sweep'),
    (('--seed=1',), 'Expected --seeds=3'),
    (('--seeds=1', '--batch_size=0'), 'batch_size=0'),
    (('--config=nowhere.json',), 'Cannot read the config nowhere.json'),
    (('--grid=gamma=0.9', '--gamma=0.8'), 'gamma as a flag of its own or in'),
    (('--optuna=3',), 'Expected --optuna=N, the number of trials, and --space'),
    (('--optuna=3', '--space=x.json', '--dry_run'), 'Received: --dry_run'),
  ],
)
def test_mistakes_are_told_and_leave_nothing(sweep, flags, message, tmp_path):
  path = None if flags is None else tmp_path / 'sweep'
  process = sweep(path, *(flags or ()))
  assert process.returncode not in (0, None)
  assert message in process.stderr
  assert 'Traceback' not in process.stderr
  assert list(tmp_path.iterdir()) == []


def test_a_sweep_that_is_worked_on_is_not_disturbed(sweep, tmp_path):
  sweep_dir = sweep_dir_lib.SweepDir(tmp_path)
  tiny = f'--num_env_steps={conftest.TINY["num_env_steps"]}'
  small = '--initial_collect_env_steps=100'
  sweep(tmp_path, '--list_only', '--methods=rigl', '--seeds=1', tiny, small)
  with sweep_dir.worked_on():
    process = sweep(tmp_path)
  assert process.returncode == 2
  assert 'Another process works on the sweep' in process.stderr
  assert not (tmp_path / 'runs').exists()


def test_numbers_of_hundreds_of_digits_are_refused(sweep, tmp_path):
  huge = '1' + '0' * 400
  for flag in ('seeds', 'hidden_units', 'sparsities'):
    process = sweep(tmp_path, '--dry_run', f'--{flag}={huge}')
    assert process.returncode in (1, 2), flag
    assert 'Traceback' not in process.stderr, process.stderr
    assert flag[:6] in process.stderr
