"""Runs that hang, misreport or lose their sweep, in real processes."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from tests.sweeps import processes
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import driver, local_engine
from tf_sparse_rl.sweeps import status as status_lib

_ROOT = pathlib.Path(__file__).parents[2]
_SOON = local_engine.Limits(stop=0.5)
_ENGINE = """
import sys
from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import local_engine, sweep_dir
local_engine._SERVER = 'tests.sweeps.stand_in'
engine = local_engine.LocalEngine(
  sweep_dir.SweepDir(sys.argv[1]), 2, limits=local_engine.Limits(stop=0.5)
)
for do in ('hang', 'save'):
  engine.start(ListedRun(do, {'do': do, 'pid': f'{sys.argv[1]}/{do}'}))
while True:
  engine.wait(1)
"""


@pytest.fixture(autouse=True)
def stand_in_fixture(monkeypatch):
  monkeypatch.setattr(local_engine, '_SERVER', 'tests.sweeps.stand_in')
  monkeypatch.setenv('PYTHONPATH', str(_ROOT))


@pytest.fixture(name='run')
def run_fixture(sweep_dir):
  """Function: what a run does -> a run."""
  sweep_dir.path.mkdir()

  def run(do):
    pid_path = sweep_dir.path / do
    return runs_lib.ListedRun(do, {'do': do, 'pid': str(pid_path)})

  return run


@pytest.fixture(name='make_engine')
def make_engine_fixture(sweep_dir):
  engines = []

  def make(limits=_SOON):
    engines.append(local_engine.LocalEngine(sweep_dir, 2, limits=limits))
    return engines[-1]

  yield make
  for engine in engines:
    engine.close()


def _pid(sweep_dir, name):
  """The process of a run, once it has begun."""
  end = time.monotonic() + 60
  path = sweep_dir.path / name
  while not (path.exists() and path.read_text()):
    assert time.monotonic() < end
    time.sleep(0.01)
  return int(path.read_text())


def _is_gone(pid):
  """Whether a process ends within a minute; one that is none's child."""
  end = time.monotonic() + 60
  while os.path.exists(f'/proc/{pid}') and time.monotonic() < end:
    time.sleep(0.01)
  return not os.path.exists(f'/proc/{pid}')


def _end(engine):
  """The outcomes of all that runs, by id."""
  outcomes, end = {}, time.monotonic() + 60
  while engine._running and time.monotonic() < end:
    outcomes.update({run.id: outcome for run, outcome in engine.wait(0.1)})
  assert not engine._running
  return outcomes


@pytest.mark.parametrize('do', ['hang', 'hang in C', 'finish and hang'])
def test_a_run_that_does_not_stop_is_killed(sweep_dir, run, make_engine, do):
  engine = make_engine()
  engine.start(run(do))
  engine.start(run('save'))
  pids = [_pid(sweep_dir, name) for name in (do, 'save')]
  engine.stop()
  outcomes = _end(engine)
  killed = '' if do == 'finish and hang' else 'killed, since it did not stop'
  assert outcomes[do].reason.startswith(killed)
  assert outcomes[do].finished == (do == 'finish and hang')
  assert outcomes['save'].stopped
  assert outcomes['save'].reason == 'exit code 143: Stopped at env step 5'
  assert not any(os.path.exists(f'/proc/{pid}') for pid in pids)


def test_closing_an_engine_ends_what_hangs(sweep_dir, run, make_engine):
  engine = make_engine()
  engine.start(run('hang'))
  pid = _pid(sweep_dir, 'hang')
  engine.close()
  assert not os.path.exists(f'/proc/{pid}')
  assert not sweep_dir.run_dir(run('hang')).in_use()


@pytest.mark.parametrize('do', ['hang', 'hang in C'])
def test_a_killed_server_leaves_no_run_behind(sweep_dir, run, make_engine, do):
  engine = make_engine()
  engine.start(run(do))
  engine.start(run('save'))
  pids = [_pid(sweep_dir, name) for name in (do, 'save')]
  engine._server.kill()
  assert all(map(_is_gone, pids))
  outcomes = _end(engine)
  assert {o.reason for o in outcomes.values()} == {
    'the process it was forked from was killed by SIGKILL'
  }
  log = sweep_dir.log_path(run('save')).read_text()
  assert log == 'it began\nStopped at env step 5\n'


def test_a_killed_engine_leaves_nothing_behind(sweep_dir):
  sweep_dir.path.mkdir()
  with subprocess.Popen(
    [sys.executable, '-c', _ENGINE, str(sweep_dir.path)], cwd=_ROOT
  ) as engine:
    pids = [_pid(sweep_dir, name) for name in ('hang', 'save')]
    pids.append(processes.parent(pids[0]))
    engine.kill()
  assert all(map(_is_gone, pids))


@pytest.mark.parametrize(
  'limits, reason',
  [
    ({'run': 0.3}, 'it took longer than --run_timeout=0.3'),
    ({'stall': 0.3}, 'no env step for longer than --stall_timeout=0.3'),
  ],
)
def test_what_takes_too_long_is_ended(
  sweep_dir, run, make_engine, limits, reason
):
  engine = make_engine(local_engine.Limits(stop=0.5, **limits))
  engine.start(run('hang'))
  engine.start(run('save'))
  for name in ('hang', 'save'):
    _pid(sweep_dir, name)
  assert {run_id: o.reason for run_id, o in _end(engine).items()} == {
    'hang': f'{reason}; killed, since it did not stop in 0.5 s',
    'save': f'{reason}; exit code 143: Stopped at env step 5',
  }


def test_a_run_with_env_steps_does_not_stall(run, monkeypatch):
  attempt = local_engine._Attempt(run('hang'), [0], 0, begin=1000.0)
  limits = local_engine.Limits(stall=50)
  # (seconds since it began, what the host's clock says of the last env step):
  # of an earlier attempt; the clock is set forward, and back.
  for seconds, last_env_step, too_long in (
    *((1, 7.0, False), (49, 7.0, False), (51, 7.0, True)),
    *((52, 8.0, False), (60, 9e9, False), (100, 9e9, False)),
    *((109, 5.0, False), (158, 5.0, False), (160, 5.0, True)),
  ):
    monkeypatch.setattr(time, 'monotonic', lambda s=seconds: 1000.0 + s)
    assert bool(attempt.too_long(limits, last_env_step)) == too_long, seconds
  assert attempt.too_long(local_engine.Limits(), None) == ''


def test_a_run_that_lies_stops_nobody(sweep_dir, run, make_engine):
  names = ('exit 0', 'exit 0, then finish', 'finish and fail')
  events = []
  report = driver.execute(
    [run(name) for name in names],
    make_engine(),
    max_retries=1,
    on_event=lambda run, event, text: run and events.append((run.id, event)),
    stop=lambda: False,
  )
  assert [r.id for r in report.finished] == ['finish and fail', names[1]]
  assert report.failed == {
    'exit 0': 'it ended without a summary.json: it began'
  }
  assert events.count(('exit 0', 'retried')) == 1
  assert events.count((names[1], 'retried')) == 1


def test_the_status_says_how_long_there_was_no_env_step(sweep_dir, make_runs):
  [run] = make_runs(methods=['dense'])
  sweep_dir.note(run, event='begin')
  run_dir = sweep_dir.run_dir(run)
  with run_dir.locked():
    run_dir.heartbeat()()
    [now] = status_lib.read(sweep_dir, [run])
    ago = time.time() - 12 * 60
    os.utime(run_dir.path / '.lock', (ago, ago))
    [later] = status_lib.read(sweep_dir, [run])
  host = os.uname().nodename
  assert (now.state, now.reason) == ('running', f'starting on {host}')
  assert later.reason == f'starting on {host}, no env step for 12 min'


def test_the_heart_beats_at_its_period(tmp_path):
  run_dir = runs_lib.RunDir(tmp_path)
  assert run_dir.last_env_step_time() is None
  run_dir.heartbeat()()  # Nothing is made.
  assert run_dir.last_env_step_time() is None
  lock = tmp_path / '.lock'
  lock.touch()
  often, seldom = run_dir.heartbeat(0), run_dir.heartbeat(1000)
  for beat, changes in [(often, 1), (often, 1), (seldom, 1), (seldom, 0)]:
    os.utime(lock, (1, 1))
    beat()
    assert (run_dir.last_env_step_time() > 1) == changes
