"""Times whole runs of a sweep: forked from a run server, or each by itself."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import driver, local_engine
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib


def measure(values, rounds):
  """Executes one run per core, once from a run server and once without.

  Args:
    values: `{field: value}` of the runs; each has a seed of its own.
    rounds: number of repetitions.

  Returns:
    Dict of JSON types, with the seconds that the run server takes to start,
    once per sweep. On a busy machine compare the CPU seconds, not the runs per
    hour.

  Raises:
    EngineError: if a run fails.
  """
  values = {
    k: list(v) if isinstance(v, tuple) else v for k, v in values.items()
  }
  cores = local_engine.available_cores()
  runs = [
    ListedRun(f'run{seed}', {**values, 'seed': seed})
    for seed in range(len(cores))
  ]
  forked, alone = [], []
  for _ in range(rounds):
    for execute, figures in ((_run_server, forked), (_own_processes, alone)):
      with tempfile.TemporaryDirectory() as path:
        start_seconds, seconds, cpu_seconds = execute(runs, pathlib.Path(path))
      figures.append(
        {
          'runs_an_hour': round(3600 * len(runs) / seconds, 1),
          'cpu_seconds_a_run': round(sum(cpu_seconds) / len(runs), 2),
          'start_seconds': round(start_seconds, 2),
        }
      )
  return {
    'num_cores': len(cores),
    'run_server': forked,
    'own_processes': alone,
    'run_server_is_faster_by': {
      'runs_an_hour': _ratios(forked, alone, 'runs_an_hour'),
      'cpu_seconds_a_run': _ratios(alone, forked, 'cpu_seconds_a_run'),
    },
  }


def _ratios(above, below, figure):
  return [round(a[figure] / b[figure], 3) for a, b in zip(above, below)]


def _run_server(runs, path):
  """(seconds to start, seconds of all runs, CPU seconds of each run)."""
  sweep_dir = sweep_dir_lib.SweepDir(path)
  engine = local_engine.LocalEngine(sweep_dir)
  begin = time.perf_counter()
  engine.open()
  opened = time.perf_counter()
  try:
    report = driver.execute(runs, engine, 0, lambda *event: None, lambda: False)
  finally:
    seconds = time.perf_counter() - opened
    engine.close()
  if report.failed:
    raise local_engine.EngineError(f'Runs failed: {report.failed}.')
  cpu_seconds = [sweep_dir.events(run)[-1].cpu_seconds for run in runs]
  return opened - begin, seconds, cpu_seconds


def _own_processes(runs, path):
  """The same where every run starts Python and TensorFlow itself."""
  begin = time.perf_counter()
  processes = []
  for run, core in zip(runs, local_engine.available_cores()):
    train = [sys.executable, '-m', 'tf_sparse_rl.train', *run.arguments()]
    with open(path / f'{run.id}.log', 'wb') as log:
      process = subprocess.Popen(
        [*train, f'--root_dir={path / run.id}'], stdout=log, stderr=log
      )
    # Before Python has come to a thread of its own.
    os.sched_setaffinity(process.pid, [core])
    processes.append(process)
  cpu_seconds = []
  for process in processes:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_seconds.append(used.ru_utime + used.ru_stime)
  failed = [run.id for run, p in zip(runs, processes) if p.returncode]
  if failed:
    raise local_engine.EngineError(f'Runs failed: {failed}.')
  return 0.0, time.perf_counter() - begin, cpu_seconds
