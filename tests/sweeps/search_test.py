"""A search by Optuna: asks, prunes, continues."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests import tiny
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import outcome, space, status, sweep_dir

optuna = pytest.importorskip('optuna')

from tf_sparse_rl.sweeps import search  # noqa: E402

_ROOT = pathlib.Path(__file__).parents[2]
_SPACE = [space.Dimension('gamma', low=0.5, high=0.99)]
_FLAGS = {'env_name': 'CartPole-v1', 'method': 'rigl', 'num_env_steps': 4000}


class _Engine:
  """Trains nothing: a run of gamma g returns 100 g, in three evaluations."""

  def __init__(self, directory):
    self._directory = directory
    self._running = []
    self.started = []
    self.stopped = []

  @property
  def num_free(self):
    return 1 - len(self._running)

  def start(self, run):
    self.started.append(run.id)
    self._running.append(run)

  def stop_run(self, run):
    self.stopped.append(run.id)

  def stop(self):
    self.stopped.append('all')

  def wait(self, seconds):
    """Shows an evaluation more at each call."""
    del seconds
    [run] = self._running
    run_dir = self._directory.run_dir(run)
    if {run.id, 'all'} & {*self.stopped}:
      self._running.clear()
      return [(run, outcome.Outcome(128 + signal.SIGTERM, 'stopped'))]
    results = run_dir.read_results()
    if len(results) == 3:
      run_dir.finish(tiny.summary(results))
      self._running.clear()
      return [(run, outcome.Outcome(0, ''))]
    run_dir.path.mkdir(parents=True, exist_ok=True)
    run_dir.start(run.config())
    value = 100 * run.flags['gamma']
    run_dir.append_result(tiny.evaluation(2000 * len(results), value))
    return []


@pytest.fixture(name='directory')
def directory_fixture(tmp_path, monkeypatch):
  """A SweepDir whose runs are looked at each time."""
  monkeypatch.setattr(search, '_LOOK_SECONDS', 0)
  return sweep_dir.SweepDir(tmp_path / 'sweep')


def _search(directory, num_trials, lines=None, stop=lambda: False):
  found = search.Search(directory, _SPACE, _FLAGS, num_trials)
  engine = _Engine(directory)
  lines = [] if lines is None else lines
  return found, engine, found.run(engine, 0, lines.append, stop)


def test_trials_are_runs_and_those_behind_are_pruned(directory):
  lines = []
  found, engine, stopped = _search(directory, 12, lines)
  assert not stopped and found.num_done == 12
  assert engine.started == [f'trial{i:04d}' for i in range(12)]
  listed = directory.read_runs()
  assert [run.id for run in listed] == engine.started
  states = [s.state for s in status.read(directory, listed)]
  assert set(states) == {'finished', 'pruned'}
  # The first five are never pruned.
  assert states[:5] == ['finished'] * 5
  pruned = [run.id for run, s in zip(listed, states) if s == 'pruned']
  assert engine.stopped == pruned
  best = max(
    run.flags['gamma'] for run, s in zip(listed, states) if s == 'finished'
  )
  assert f'--gamma={best}' in found.best()
  assert lines[-1].startswith('[12/12] trial0011 ')
  table = status.table(status.read(directory, listed), 1)
  assert f'gamma={best:.4g}' in table and 'All runs are finished.' in table


def test_the_same_command_continues_and_another_is_refused(directory):
  calls = []

  def stop():
    calls.append(None)
    return len(calls) > 6

  _, first, stopped = _search(directory, 4, stop=stop)
  assert stopped and first.stopped[-1] == 'all'
  before = directory.read_runs()
  found, second, stopped = _search(directory, 4)
  assert not stopped and found.num_done == 4
  # What was running goes on, with the values that it had.
  assert second.started[0] == first.started[-1]
  assert directory.read_runs()[: len(before)] == before
  assert len({run.flags['gamma'] for run in directory.read_runs()}) == 4
  with pytest.raises(runs_lib.RunsError, match='with another space'):
    search.Search(directory, [_SPACE[0]._replace(low=0.6)], _FLAGS, 4)


@pytest.mark.parametrize('content', ['', '[]', '{"space": 1}', '[' * 9999])
def test_damaged_files_of_a_search_are_told(directory, content):
  search.Search(directory, _SPACE, _FLAGS, 4)
  journal = directory.path / 'optuna.log'
  whole = journal.read_text('utf-8')
  journal.write_text(f'{content or "{"}\n{whole}')
  with pytest.raises(runs_lib.RunsError, match='optuna.log is damaged'):
    search.Search(directory, _SPACE, _FLAGS, 4)
  (directory.path / 'search.json').write_text(content)
  with pytest.raises(runs_lib.RunsError, match='search.json is damaged'):
    search.Search(directory, _SPACE, _FLAGS, 4)
  (directory.path / 'search.json').unlink()
  journal.rename(directory.path / 'mine')
  journal.symlink_to(directory.path / 'mine')
  with pytest.raises(OSError, match='optuna.log, a link to'):
    search.Search(directory, _SPACE, _FLAGS, 4)


def test_a_sweep_is_no_search(directory):
  directory.add([runs_lib.ListedRun('x', _FLAGS)])
  with pytest.raises(runs_lib.RunsError, match='of no search'):
    search.Search(directory, _SPACE, _FLAGS, 4)


def test_what_a_run_refuses_is_refused_before():
  with pytest.raises(ValueError, match='gamma'):
    search.check([space.Dimension('gamma', low=0.5, high=3.0)], _FLAGS)


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(tmp_path):
  (tmp_path / 'space.json').write_text(
    '{"learning_rate": {"low": 1e-4, "high": 1e-2, "log": true}}', 'utf-8'
  )
  command = [
    *(sys.executable, '-m', 'tf_sparse_rl.sweep', '--optuna=8'),
    *(f'--sweep_dir={tmp_path}/sweep', f'--space={tmp_path}/space.json'),
    *('--methods=rigl', '--num_env_steps=400', '--hidden_units=16,16'),
    *('--initial_collect_env_steps=100', '--batch_size=16'),
    *('--eval_period=200', '--num_eval_episodes=1', '--backend=masked'),
  ]
  options = {
    'env': {**os.environ, 'PYTHONPATH': str(_ROOT)},
    'stdout': subprocess.PIPE,
    'text': True,
  }
  with subprocess.Popen(command, **options) as process:
    lines = iter(process.stdout.readline, '')
    told = [line for line, _ in zip((x for x in lines if '/8]' in x), 'ab')]
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
  assert len(told) == 2
  journal = (tmp_path / 'sweep' / 'runs.jsonl').read_text('utf-8')
  begun = [json.loads(line) for line in journal.splitlines()]
  assert 2 < len(begun) < 8
  again = subprocess.run(command, check=True, timeout=1000, **options)
  assert f'To report it: python -m {"tf_sparse_rl.report"}' in again.stdout
  directory = sweep_dir.SweepDir(tmp_path / 'sweep')
  listed = directory.read_runs()
  assert [run.id for run in listed] == [f'trial{i:04d}' for i in range(8)]
  assert [run.to_json() for run in listed][: len(begun)] == begun
  states = {s.state for s in status.read(directory, listed)}
  assert states <= {'finished', 'pruned'}
  backend = optuna.storages.journal.JournalFileBackend(
    str(directory.path / 'optuna.log')
  )
  study = optuna.load_study(
    study_name='search', storage=optuna.storages.JournalStorage(backend)
  )
  assert len(study.trials) == 8
  for trial, run in zip(study.trials, listed):
    assert trial.params['learning_rate'] == run.flags['learning_rate']
    summary = directory.run_dir(run).read_summary()
    assert (summary is None) == (trial.state.name == 'PRUNED')
    assert summary is None or summary.final_return == trial.value
