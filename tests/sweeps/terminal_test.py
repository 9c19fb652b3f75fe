"""Terminal output of a sweep, with run directories written by hand."""

import io
import sys

import pytest

from tests import tiny
from tf_sparse_rl.sweeps import status as status_lib
from tf_sparse_rl.sweeps import terminal


class _Terminal(io.StringIO):
  def isatty(self):
    return True


@pytest.fixture(name='runs')
def runs_fixture(sweep_dir, make_runs):
  """Three runs of 600 env steps; the first is finished."""
  runs = make_runs(methods=['dense'], num_seeds=3)
  _finish(sweep_dir, runs[0], 8.0)
  return runs


def _finish(sweep_dir, run, final_return):
  run_dir = sweep_dir.run_dir(run)
  run_dir.path.mkdir(parents=True, exist_ok=True)
  evaluations = [tiny.evaluation(600, final_return)]
  run_dir.finish(tiny.summary(evaluations, wall_seconds=100.0))


def _evaluate(sweep_dir, run, env_step):
  run_dir = sweep_dir.run_dir(run)
  run_dir.path.mkdir(parents=True, exist_ok=True)
  run_dir.append_result(tiny.evaluation(env_step))


def _play(sweep_dir, runs):
  """The second run is finished, the third fails after a retry."""
  _, second, third = runs
  with terminal.Progress(
    sweep_dir, status_lib.read(sweep_dir, runs)
  ) as progress:
    for run in (second, third):
      progress.on_event(run, 'started', '')
    _evaluate(sweep_dir, third, 200)
    progress.on_event(third, 'retried', 'killed by SIGKILL')
    progress.on_event(third, 'started', '')
    _finish(sweep_dir, second, 9.5)
    progress.on_event(second, 'finished', '')
    progress.on_event(None, 'waiting', '')
    progress.on_event(third, 'failed', 'exit code 2: bad')


def test_a_line_for_each_run_that_ends(sweep_dir, runs, capsys):
  _play(sweep_dir, runs)
  told = capsys.readouterr()
  assert told.out.splitlines() == [
    '[1/3] CartPole-v1-dense-seed2 retried: killed by SIGKILL',
    '[2/3] CartPole-v1-dense-seed1 finished: final return 9.5, 2 min',
    '[2/3] CartPole-v1-dense-seed2 failed: exit code 2: bad',
  ]
  assert told.err == ''


def test_a_terminal_gets_a_bar_of_env_steps(
  sweep_dir, runs, capsys, monkeypatch
):
  shown = _Terminal()
  monkeypatch.setattr(sys, 'stderr', shown)
  _play(sweep_dir, runs)
  # Two runs of 600 and 200 of the third; all have 1,800.
  bar = shown.getvalue().replace('\n', '\r').split('\r')
  assert any('600/1.80k' in text for text in bar)
  assert any('1.40k/1.80k' in text for text in bar)
  assert any('2 of 3 runs, 0 running, 1 failed' in text for text in bar)
  assert len(capsys.readouterr().out.splitlines()) == 3
