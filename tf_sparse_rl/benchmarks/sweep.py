"""Times whole runs of a sweep: forked from a run server, or each by itself."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import driver, local_engine
from tf_sparse_rl.sweeps import outcome as outcome_lib
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

_RUNS_A_CORE = 1


class OwnProcesses:
  """An engine that starts Python and TensorFlow for every run."""

  def __init__(self, sweep_dir):
    """See LocalEngine."""
    self._sweep_dir = sweep_dir
    self._slots = [[core] for core in local_engine.available_cores()]
    self._running = []  # (Run, process, cores)

  @property
  def num_free(self):
    """See LocalEngine."""
    return len(self._slots)

  def open(self):
    """See LocalEngine."""

  def start(self, run):
    """See LocalEngine."""
    cores = self._slots.pop(0)
    root_dir = f'--root_dir={self._sweep_dir.run_dir(run).path}'
    train = [sys.executable, '-m', 'tf_sparse_rl.train']
    with open(self._sweep_dir.path / f'{run.id}.log', 'wb') as log:
      process = subprocess.Popen(
        [*train, *run.arguments(), root_dir], stdout=log, stderr=log
      )
    # Before Python has come to a thread of its own.
    os.sched_setaffinity(process.pid, cores)
    self._running.append((run, process, cores))

  def wait(self, seconds):
    """See LocalEngine."""
    time.sleep(seconds / 4)
    ended, self._running, running = [], [], self._running
    for run, process, cores in running:
      pid, status, used = os.wait4(process.pid, os.WNOHANG)
      if not pid:
        self._running.append((run, process, cores))
        continue
      process.returncode = os.waitstatus_to_exitcode(status)
      self._slots.append(cores)
      cpu_seconds = used.ru_utime + used.ru_stime
      outcome = outcome_lib.Outcome(process.returncode, '', cpu_seconds)
      self._sweep_dir.note(run, event='end', **outcome._asdict())
      ended.append((run, outcome))
    return ended

  def stop(self):
    """See LocalEngine."""

  def close(self):
    """See LocalEngine."""


_ENGINES = {
  'run_server': local_engine.LocalEngine,
  'own_processes': OwnProcesses,
}


def measure(values, rounds):
  """Works a run a core off, one kind of engine after the other.

  Args:
    values: `{field: value}` of the runs; each has a seed of its own.
    rounds: how often.

  Returns:
    Dict of JSON types. Where others use the machine too, the seconds of CPU
    can be compared, the runs an hour cannot. What the run server takes to
    start, once a sweep, is told beside them.
  """
  figures = {name: [] for name in _ENGINES}
  for _ in range(rounds):
    for name, kind in _ENGINES.items():
      figures[name].append(_measure(kind, values))
  forked, alone = figures['run_server'], figures['own_processes']
  return {
    'num_cores': len(local_engine.available_cores()),
    **figures,
    'run_server_is_faster_by': {
      'runs_an_hour': _ratios(forked, alone, 'runs_an_hour'),
      'cpu_seconds_a_run': _ratios(alone, forked, 'cpu_seconds_a_run'),
    },
  }


def _ratios(above, below, figure):
  return [round(a[figure] / b[figure], 3) for a, b in zip(above, below)]


def _measure(kind, values):
  """The figures of one engine."""
  num_runs = _RUNS_A_CORE * len(local_engine.available_cores())
  runs = [
    ListedRun(f'run{seed}', {**_json(values), 'seed': seed})
    for seed in range(num_runs)
  ]
  with tempfile.TemporaryDirectory() as path:
    sweep_dir = sweep_dir_lib.SweepDir(pathlib.Path(path))
    engine = kind(sweep_dir)
    begin = time.perf_counter()
    engine.open()
    opened = time.perf_counter()
    try:
      report = driver.work_off(
        runs, engine, 0, lambda *event: None, lambda: False
      )
    finally:
      seconds = time.perf_counter() - opened
      engine.close()
    if report.failed:
      raise local_engine.EngineError(f'Runs failed: {report.failed}.')
    used = [sweep_dir.events(run)[-1].cpu_seconds for run in runs]
  return {
    'runs_an_hour': round(3600 * num_runs / seconds, 1),
    'cpu_seconds_a_run': round(sum(used) / num_runs, 2),
    'start_seconds': round(opened - begin, 2),
  }


def _json(values):
  return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
