"""Hyperparameter search by the command `sweep`: `--optuna` and `--space`."""

import sys

from tf_sparse_rl import files, packages, signals
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import asked_runs, local_engine, space

# Flags of the command that a search does not support.
_UNFIT = (
  *('dry_run', 'list_only', 'index', 'status', 'grid'),
  *('ray_address', 'cpus_per_run', 'gpus_per_run'),
)
# {field: the flag that takes its list}
_LISTS = {
  'method': 'methods',
  'sparsity': 'sparsities',
  'env_name': 'env_names',
}


def main(options, sweep_dir, own_command):
  """Searches a space of hyperparameters, or resumes a search.

  Args:
    options: the flags of the command.
    sweep_dir: a SweepDir.
    own_command: this command line.

  Raises:
    UserError: for flags that a search does not support.
    MissingError: without Optuna.
  """
  _check(options)
  dimensions = space.read(options.space)
  one = _one_run(options, [d.field for d in dimensions])
  packages.require('--optuna', 'optuna')
  # Late: it imports Optuna.
  from tf_sparse_rl.sweeps import search as search_lib

  search_lib.check(dimensions, one.flags)
  files.make_directory(sweep_dir.path)
  with sweep_dir.worked_on():
    search = search_lib.Search(sweep_dir, dimensions, one.flags, options.optuna)
    runs_lib.note_command(sweep_dir.path, own_command)
    received = _run(search, sweep_dir, options)
    best = search.best()
  if best:
    print(best)
  if received:
    print(f'Stopped. To continue: {own_command}', file=sys.stderr)
    sys.exit(128 + received[0])


def _run(search, sweep_dir, options):
  """Trains trials; returns the signals that stopped it."""
  engine = local_engine.LocalEngine(sweep_dir, options.max_parallel)
  received = signals.note()
  print(
    f'{sweep_dir.path}: {search.num_done} of {options.optuna} trials are '
    f'done, {engine.num_parallel} at a time',
    flush=True,
  )
  try:
    stopped = search.run(
      engine,
      options.max_retries,
      lambda line: print(line, flush=True),
      lambda: received,
    )
  finally:
    engine.close()
  return received if stopped else []


def _check(options):
  """Refuses flags that a search does not support."""
  if not (options.optuna and options.space):
    raise run_flags.UserError(
      'Expected --optuna=N, the number of trials, and --space=FILE. Received '
      f'--{"optuna" if options.optuna else "space"} only.'
    )
  unfit = [name for name in _UNFIT if options[name].present]
  unfit += ['engine'] if options.engine != 'local' else []
  if unfit:
    raise run_flags.UserError(
      f'Expected a search by itself, on this machine. Received: --{unfit[0]}.'
    )
  if options['seeds'].present and options.seeds != 1:
    raise run_flags.UserError(
      f'Expected --seeds=1 for a search. Received: --seeds={options.seeds}.'
    )


def _one_run(options, searched):
  """The ListedRun that all trials are variants of.

  Raises:
    UserError: if the flags list several runs, or set a field of the space.
  """
  given = [name for name in searched if options[name].present]
  if given:
    raise run_flags.UserError(
      f'Expected {given[0]} as a flag of its own or in the space. Received '
      'both.'
    )
  for field, name in _LISTS.items():
    values = options[name].value
    if field in searched:
      options[name].value = values and values[:1]
    elif values and len(values) != 1:
      raise run_flags.UserError(
        f'Expected one value of --{name} for a search, or {field} in its '
        f'space. Received: --{name}={",".join(values)}.'
      )
  options['seeds'].value = 1
  options['seeds'].present += 1  # So that runs are asked for.
  [run] = asked_runs.read(options)
  return run
