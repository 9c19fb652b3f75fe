"""Trains many runs in parallel: `python -m tf_sparse_rl.sweep`.

Methods x sparsities x environments x seeds. This process does not import
TensorFlow.
"""

import shlex
import sys

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import packages, quiet
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import sweep_flags

_HELP = run_flags.Help(
  'Trains many runs in parallel: methods x sparsities x environments x seeds. '
  'Repeat the command to resume. Flags of train apply to all runs.',
  'sweep',
  {
    'RigL and dense networks at two sparsities, five seeds each': '--sweep_dir='
    'runs/study --methods=rigl,dense --sparsities=0.8,0.9 --seeds=5',
    'List the runs of that sweep without training': '--sweep_dir=runs/study '
    '--methods=rigl,dense --sparsities=0.8,0.9 --seeds=5 --dry_run',
    'Show its progress': '--sweep_dir=runs/study --status',
  },
)


def main(argv):
  """Lists the runs and executes them, or shows their progress."""
  del argv
  options = flags.FLAGS
  quiet.log_errors_only()
  if not options.sweep_dir:
    raise run_flags.UserError(
      'Expected --sweep_dir, the directory of the sweep. Received none.'
    )
  # Imported late: `--help` needs no Gymnasium.
  from tf_sparse_rl.sweeps import local_engine
  from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

  try:
    _main(options, sweep_dir_lib.SweepDir(options.sweep_dir))
  except (
    ValueError,
    local_engine.EngineError,
    runs_lib.RunsError,
  ) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Reading or writing {options.sweep_dir} failed: {error}. What was '
      'written before stays.'
    ) from error


def _main(options, sweep_dir):
  from tf_sparse_rl.sweeps import asked_runs, execution

  if options.optuna or options.space:
    from tf_sparse_rl.sweeps import search_command

    search_command.main(options, sweep_dir, _own_command())
    print(execution.how_to_report(sweep_dir, '--allow_unfinished'))
    return
  asked = asked_runs.read(options)
  there = sweep_dir.read_runs()
  runs = there + sweep_dir.missing(asked)
  if not runs:
    raise run_flags.UserError(
      f'Expected a sweep in {sweep_dir.path} or flags that say which runs, as '
      'in --methods=dense,rigl --sparsities=0.9 --seeds=3. Received neither.'
    )
  if options.dry_run:
    _print_commands(sweep_dir, runs)
    return
  if options.status:
    _print_status(options, sweep_dir, runs)
    return
  if options.index is not None and options.index >= len(runs):
    raise run_flags.UserError(
      f'Expected --index from 0 to {len(runs) - 1}, a line of '
      f'{sweep_dir.list_path}. Received: {options.index}.'
    )
  if not options.list_only:
    packages.require('Training', 'tf_agents')
    if options.engine == 'ray':
      packages.require('--engine=ray', 'ray')
  _add(sweep_dir, there, asked)
  if options.list_only:
    print(f'{len(runs)} runs, a line each: {sweep_dir.list_path}')
    return
  execution.execute(options, sweep_dir, sweep_dir.read_runs())


def _add(sweep_dir, there, asked):
  """Adds the runs that were asked for to the list."""
  num_added = len(sweep_dir.add(asked))
  if asked:
    runs_lib.note_command(sweep_dir.path, _own_command())
  if there and num_added:
    print(f'{len(there)} runs were on the list, {num_added} were added.')


def _print_status(options, sweep_dir, runs):
  from tf_sparse_rl.sweeps import local_engine
  from tf_sparse_rl.sweeps import status as status_lib

  statuses = status_lib.read(sweep_dir, runs)
  num_parallel = (
    options.max_parallel
    or sum(status.state == 'running' for status in statuses)
    or len(local_engine.available_cores())
  )
  print(status_lib.table(statuses, num_parallel))


def _print_commands(sweep_dir, runs):
  for run in runs:
    root_dir = f'--root_dir={sweep_dir.run_dir(run).path}'
    command = ['python', '-m', 'tf_sparse_rl.train']
    print(f'{run.id}:')
    print(f'  {shlex.join([*command, *run.arguments(), root_dir])}')
  print(f'{len(runs)} runs. Nothing was written or started.')


def _own_command():
  """This command as a shell takes it."""
  return shlex.join(['python', '-m', 'tf_sparse_rl.sweep', *sys.argv[1:]])


def run():
  """Entry point of the command."""
  sweep_flags.define()
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
