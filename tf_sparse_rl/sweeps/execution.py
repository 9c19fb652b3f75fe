"""Executes the queued runs of a sweep and tells how they ended."""

import contextlib
import shlex
import sys

from absl import flags

from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl import signals
from tf_sparse_rl.sweeps import (
  driver,
  grid,
  local_engine,
  sweep_flags,
  terminal,
)
from tf_sparse_rl.sweeps import status as status_lib


def execute(options, sweep_dir, runs):
  """Executes the runs of a sweep that are not finished.

  Exits with status 1 if runs failed, and as a stopped process after a signal.

  Args:
    options: the flags of the command.
    sweep_dir: a SweepDir.
    runs: list of ListedRun, all those of the sweep.
  """
  held = sweep_dir.worked_on()
  if options.index is not None:
    runs = [runs[options.index]]
    # Other processes execute other lines; a run is locked by its own process.
    held = contextlib.nullcontext()
  statuses = status_lib.read(sweep_dir, runs)
  damaged = {
    s.run.id: f'damaged: {s.reason}'
    for s in statuses
    if s.state == runs_lib.DAMAGED
  }
  unfinished = [
    s.run
    for s in statuses
    if s.state not in ('finished', status_lib.PRUNED)
    and s.run.id not in damaged
  ]
  if not unfinished and not damaged:
    print(
      f'All {len(runs)} runs of {sweep_dir.path} are finished.\n'
      f'{how_to_report(sweep_dir)}'
    )
    return
  grid.check(unfinished)
  with held:
    report, received = _drive(options, sweep_dir, unfinished, statuses)
  num_finished = (
    len(runs) - len(damaged) - len(unfinished) + len(report.finished)
  )
  counts = f'{num_finished} of {len(runs)} runs are finished'
  if report.stopped:
    command = _command_to_continue(sweep_dir)
    print(f'Stopped: {counts}. To continue: {command}', file=sys.stderr)
    sys.exit(128 + received[0])
  if failed := {**report.failed, **damaged}:
    _print_failed(sweep_dir, counts, failed)
    sys.exit(1)
  print(f'{counts}.\n{how_to_report(sweep_dir)}')


def _drive(options, sweep_dir, unfinished, statuses):
  """Executes runs; returns a Report and the signals that were received."""
  engine = _make_engine(options, sweep_dir)
  # Last: Ray takes SIGTERM for itself when it starts.
  received = signals.note()
  print(
    f'{sweep_dir.path}: {len(unfinished)} of {len(statuses)} runs to do, '
    f'{engine.num_parallel} at a time',
    flush=True,
  )
  try:
    with terminal.Progress(sweep_dir, statuses) as progress:
      report = driver.execute(
        unfinished,
        engine,
        options.max_retries,
        progress.on_event,
        lambda: received,
      )
  finally:
    engine.close()
  return report, received


def _make_engine(options, sweep_dir):
  limits = local_engine.Limits(
    run=options.run_timeout, stall=options.stall_timeout
  )
  if options.engine == 'ray':
    from tf_sparse_rl.sweeps import ray_engine

    return ray_engine.RayEngine(
      sweep_dir,
      options.max_parallel,
      options.ray_address,
      options.cpus_per_run,
      options.gpus_per_run,
      limits,
    )
  # One line of an array has all the cores that the array gives it.
  num_parallel = options.max_parallel if options.index is None else 1
  return local_engine.LocalEngine(sweep_dir, num_parallel, limits=limits)


def _print_failed(sweep_dir, counts, failed):
  lines = [
    f'{counts}, {len(failed)} failed:',
    *(f'  {run_id}  {reason}' for run_id, reason in failed.items()),
    f'Their logs: {sweep_dir.path}/logs. To try again: '
    f'{_command_to_continue(sweep_dir)}',
  ]
  print('\n'.join(lines), file=sys.stderr)


def _command_to_continue(sweep_dir):
  """The command that executes the rest, with the same engine."""
  given = [
    f'--{name}={flags.FLAGS[name].value}'
    for name in sweep_flags.ENGINE
    if flags.FLAGS[name].present
  ]
  command = ['python', '-m', 'tf_sparse_rl.sweep']
  return shlex.join([*command, f'--sweep_dir={sweep_dir.path}', *given])


def how_to_report(sweep_dir, *more):
  """A line that names the command which reports on the sweep.

  Args:
    sweep_dir: a SweepDir.
    *more: further flags of it.

  Returns:
    str.
  """
  path = sweep_dir.path
  arguments = [f'--sweep_dir={path}', f'--out={path / "report"}', *more]
  command = shlex.join(['python', '-m', 'tf_sparse_rl.report', *arguments])
  return f'To report it: {command}'
