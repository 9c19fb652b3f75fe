"""Real sweeps of tiny runs on this machine, with processes that are killed."""

import json
import os
import pathlib
import shlex
import signal
import time

import pytest

from tests.sweeps import processes
from tf_sparse_rl.sweeps import local_engine
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

_ROOT = pathlib.Path(__file__).parents[2]
_RIGL = 'CartPole-v1-rigl-0.9-seed0'
_STATIC = 'CartPole-v1-static-0.9-seed0'


class _History:
  """A sweep to which things happen, beside a run that is left alone."""

  def __init__(self, root, commands):
    self.sweep_dir = sweep_dir_lib.SweepDir(root / 'a sweep')
    self.alone = root / 'alone'
    directory = f'--sweep_dir={self.sweep_dir.path}'
    # Long enough for kills to come midway; one run cannot start.
    self.flags = processes.flags(num_env_steps=3000, eval_period=1000)
    foreign = self.sweep_dir.path / 'runs' / _STATIC / 'thesis.tex'
    foreign.parent.mkdir(parents=True)
    foreign.write_text('mine')

    alone = commands.start('train', f'--root_dir={self.alone}', *self.flags)
    first = processes.start(
      'sweep', directory, '--methods=rigl,static', '--seeds=1', *self.flags,
      '--max_retries=1',
    )  # fmt: skip
    run = processes.process_of(first, self.sweep_dir, _RIGL)
    os.kill(run, signal.SIGKILL)
    self.first = (*first.communicate(timeout=240), first.returncode)
    assert alone.wait().returncode == 0

    foreign.unlink()
    second = processes.start('sweep', directory)
    processes.until(
      second, lambda: processes.evaluations(self.sweep_dir, _STATIC) >= 2
    )
    begin = time.monotonic()
    second.send_signal(signal.SIGTERM)
    self.second = (*second.communicate(timeout=240), second.returncode)
    self.seconds = time.monotonic() - begin
    told = self.second[1].partition('To continue: ')[2]
    third = processes.start('sweep', *shlex.split(told)[3:])
    self.third = (*third.communicate(timeout=240), third.returncode)


@pytest.fixture(name='history', scope='module')
def history_fixture(tmp_path_factory, commands):
  return _History(tmp_path_factory.mktemp('sweeps'), commands)


def test_a_run_that_is_killed_is_tried_again_and_ends(history):
  stdout, _, _ = history.first
  assert f'[0/2] {_RIGL} retried: killed by SIGKILL\n' in stdout
  assert f'] {_RIGL} finished: final return ' in stdout
  log = (history.sweep_dir.path / 'logs' / f'{_RIGL}.log').read_text('utf-8')
  assert 'Continuing at env step ' in log


def test_a_run_of_a_sweep_has_the_results_of_a_run_alone(history):
  expected = processes.results(history.alone)
  assert [r['env_step'] for r in expected] == [0, 1000, 2000, 3000]
  assert processes.results(history.sweep_dir.path / 'runs' / _RIGL) == expected
  configs = [
    json.loads((path / 'config.json').read_text('utf-8'))
    for path in (history.alone, history.sweep_dir.path / 'runs' / _RIGL)
  ]
  assert configs[0] == {**configs[1], 'env_name': configs[0]['env_name']}


def test_a_run_that_fails_is_retried_reported_and_stops_nobody(history):
  stdout, stderr, code = history.first
  assert code == 1
  assert stdout.count(f'] {_STATIC} retried: exit code 2: error: Exp') == 1
  assert stdout.count(f'] {_STATIC} failed: exit code 2: error: Exp') == 1
  lines = stderr.splitlines()
  assert lines[0] == '1 of 2 runs are finished, 1 failed:'
  assert lines[1].startswith(f'  {_STATIC}  exit code 2: error: Expected an em')
  assert lines[2].startswith('Their logs: ')
  assert 'Traceback' not in stderr


def test_sigterm_saves_the_runs_and_says_how_to_go_on(history):
  stdout, stderr, code = history.second
  assert code == 128 + signal.SIGTERM
  assert history.seconds < 30
  assert '1 of 2 runs to do' in stdout
  assert f'] {_STATIC} stopped: exit code 143: Stopped at env step ' in stdout
  assert stderr.startswith('Stopped: 1 of 2 runs are finished. To continue: ')
  assert stderr.count('\n') == 1


def test_it_goes_on_as_told(history):
  stdout, stderr, code = history.third
  assert (code, stderr) == (0, '')
  assert '2 of 2 runs are finished.\n' in stdout
  log = (history.sweep_dir.path / 'logs' / f'{_STATIC}.log').read_text('utf-8')
  assert log.count('Continuing at env step ') == 1


def test_nothing_is_left_running(history):
  logs = history.sweep_dir.path / 'logs'
  assert [log for log in logs.iterdir() if processes.holders(log)] == []


@pytest.mark.slow
@pytest.mark.parametrize('victim', ['run server', 'engine'])
def test_a_killed_server_or_engine_loses_no_results(tmp_path, victim):
  sweep_dir = sweep_dir_lib.SweepDir(tmp_path / 'sweep')
  flags = processes.flags(num_env_steps=3000, eval_period=1000)
  command = (
    f'--sweep_dir={sweep_dir.path}', '--methods=rigl', '--seeds=2', *flags
  )  # fmt: skip
  alone = processes.start('train', f'--root_dir={tmp_path}/alone', *flags)
  alone.communicate(timeout=240)
  process = processes.start('sweep', *command)
  processes.until(process, lambda: processes.evaluations(sweep_dir, _RIGL) >= 2)
  if victim == 'engine':
    process.kill()
    process.communicate()
    # Its runs save themselves meanwhile; the new ones wait for them.
    process = processes.start('sweep', *command)
  else:
    [log] = (sweep_dir.path / 'logs').glob('run_server-*')
    [server] = processes.holders(log)
    os.kill(server, signal.SIGKILL)
  stdout, stderr = process.communicate(timeout=240)
  assert process.returncode == 0, stderr
  if victim == 'run server':
    assert 'the process it was forked from was killed by SIGKILL' in stdout
  assert processes.results(
    sweep_dir.path / 'runs' / _RIGL
  ) == processes.results(tmp_path / 'alone')
  log = (sweep_dir.path / 'logs' / f'{_RIGL}.log').read_text('utf-8')
  assert 'Stopped at env step ' in log
  assert 'Continuing at env step ' in log


def test_one_core_a_run_while_there_are_enough():
  assert local_engine.share_out([0, 1, 2, 5], 4) == [[0], [1], [2], [5]]
  assert local_engine.share_out([0, 1, 2, 5], 2) == [[0, 2], [1, 5]]
  assert local_engine.share_out([3, 4], 5) == [[3], [4], [3], [4], [3]]
  assert local_engine.share_out([3, 4], 1) == [[3, 4]]


def test_a_server_that_does_not_start_says_why(
  sweep_dir, make_runs, tmp_path, monkeypatch
):
  broken = tmp_path / 'broken' / 'tf_agents.py'
  broken.parent.mkdir()
  broken.write_text('raise ImportError("it is broken")\n')
  monkeypatch.setattr(local_engine, '_PACKAGE_PARENT', broken.parent)
  monkeypatch.setenv('PYTHONPATH', str(_ROOT))
  engine = local_engine.LocalEngine(sweep_dir)
  with pytest.raises(local_engine.EngineError, match='it is broken.* log: '):
    engine.start(make_runs()[0])
  engine.close()


def test_runs_find_the_modules_that_are_found_here(tmp_path, monkeypatch):
  (tmp_path / 'lib').mkdir()
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('PYTHONPATH', os.pathsep.join(['lib', '', '/elsewhere']))
  expected = [str(tmp_path), str(tmp_path / 'lib'), '/elsewhere']
  assert local_engine.python_path().split(os.pathsep) == expected
  monkeypatch.delenv('PYTHONPATH')
  assert local_engine.python_path() == str(tmp_path)
