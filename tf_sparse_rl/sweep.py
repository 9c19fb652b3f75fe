"""Trains many runs in parallel: `python -m tf_sparse_rl.sweep`.

Methods x sparsities x environments x seeds, in parallel; TensorFlow is not
imported here.
"""

import contextlib
import shlex
import sys

from absl import flags

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import methods, packages, quiet, signals
from tf_sparse_rl import runs as runs_lib

_LISTS = ('methods', 'sparsities', 'env_names', 'seeds', 'grid')
_SEARCH = ('optuna', 'space')
_ENGINE = (
  'engine',
  'max_parallel',
  'max_retries',
  'index',
  'ray_address',
  'cpus_per_run',
  'gpus_per_run',
  'run_timeout',
  'stall_timeout',
)
# A field of a run that the lists set: the flag that does it.
_INSTEAD = {
  'method': '--methods=rigl,static',
  'sparsity': '--sparsities=0.8,0.9',
  'match_sparsity': '--methods=small_dense with --sparsities',
  'env_name': '--env_names=CartPole-v1,Acrobot-v1',
  'seed': '--seeds=3, their number',
}
_HELP = run_flags.Help(
  'Trains many runs in parallel: methods x sparsities x environments x seeds. '
  'The same command again continues; flags of train hold for all runs.',
  'sweep',
  {
    'RigL and dense networks at two sparsities, five seeds each': '--sweep_dir='
    'runs/study --methods=rigl,dense --sparsities=0.8,0.9 --seeds=5',
    'What that would run, without running it': '--sweep_dir=runs/study '
    '--methods=rigl,dense --sparsities=0.8,0.9 --seeds=5 --dry_run',
    'How far it is': '--sweep_dir=runs/study --status',
  },
)


def main(argv):
  """Writes the list of runs and works it off, or shows how far it is."""
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
  from tf_sparse_rl.sweeps import local_engine
  from tf_sparse_rl.sweeps import status as status_lib

  if options.optuna or options.space:
    from tf_sparse_rl.sweeps import search_command

    search_command.main(options, sweep_dir, _asked_runs, _own_command())
    print(_how_to_report(sweep_dir, '--allow_unfinished'))
    return
  asked = _asked_runs(options)
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
    statuses = status_lib.read(sweep_dir, runs)
    num_parallel = (
      options.max_parallel
      or sum(status.state == 'running' for status in statuses)
      or len(local_engine.available_cores())
    )
    print(status_lib.table(statuses, num_parallel))
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
  num_added = len(sweep_dir.add(asked))
  if asked:
    runs_lib.note_command(sweep_dir.path, _own_command())
  if there and num_added:
    print(f'{len(there)} runs were on the list, {num_added} were added.')
  if options.list_only:
    print(f'{len(runs)} runs, a line each: {sweep_dir.list_path}')
    return
  _work_off(options, sweep_dir, sweep_dir.read_runs())


def _asked_runs(options):
  """The runs that the flags list; none if no flag is about runs."""
  from tf_sparse_rl.sweeps import field_lists, grid

  for name, instead in _INSTEAD.items():
    if flags.FLAGS[name].present:
      raise run_flags.UserError(
        f'Expected {instead}, for a sweep. Received: '
        f'--{name}={flags.FLAGS[name].value}.'
      )
  fields = ('config', *(field.name for field in config_lib.fields()))
  if not any(flags.FLAGS[name].present for name in (*_LISTS, *fields)):
    return []
  try:
    sparsities = [float(text) for text in options.sparsities]
  except ValueError:
    raise ValueError(
      'Expected numbers with commas, as in --sparsities=0.8,0.9. Received: '
      f'--sparsities={",".join(options.sparsities)}.'
    ) from None
  given = run_flags.values_from_flags()
  env_names = options.env_names
  if not env_names:
    known = {
      name: given[name] for name in ('agent', 'env_name') if name in given
    }
    of_preset = run_flags.make_config(known)
    env_names = [of_preset.env_name]
  combinations = field_lists.parse(options.grid, _INSTEAD)
  twice = sorted({*given} & {*combinations[0]})
  if twice:
    raise run_flags.UserError(
      f'Expected {twice[0]} as a flag of its own or in --grid. Received both.'
    )
  return grid.make_runs(
    options.methods,
    sparsities,
    env_names,
    options.seeds,
    given,
    combinations,
  )


def _print_commands(sweep_dir, runs):
  for run in runs:
    root_dir = f'--root_dir={sweep_dir.run_dir(run).path}'
    command = ['python', '-m', 'tf_sparse_rl.train']
    print(f'{run.id}:')
    print(f'  {shlex.join([*command, *run.arguments(), root_dir])}')
  print(f'{len(runs)} runs. Nothing was written or started.')


def _work_off(options, sweep_dir, runs):
  from tf_sparse_rl.sweeps import driver, grid, terminal
  from tf_sparse_rl.sweeps import status as status_lib

  held = sweep_dir.worked_on()
  if options.index is not None:
    runs = [runs[options.index]]
    # Others work off other lines; the run itself is held by its process.
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
      f'{_how_to_report(sweep_dir)}'
    )
    return
  grid.check(unfinished)
  with held:
    engine = _make_engine(options, sweep_dir)
    # Last: Ray takes SIGTERM for itself when it starts.
    received = signals.note()
    print(
      f'{sweep_dir.path}: {len(unfinished)} of {len(runs)} runs to do, '
      f'{engine.num_parallel} at a time',
      flush=True,
    )
    try:
      with terminal.Progress(sweep_dir, statuses) as progress:
        report = driver.work_off(
          unfinished,
          engine,
          options.max_retries,
          progress.on_event,
          lambda: received,
        )
    finally:
      engine.close()
  failed = {**report.failed, **damaged}
  num_finished = (
    len(runs) - len(damaged) - len(unfinished) + len(report.finished)
  )
  counts = f'{num_finished} of {len(runs)} runs are finished'
  if report.stopped:
    command = _command_to_continue(sweep_dir)
    print(f'Stopped: {counts}. To continue: {command}', file=sys.stderr)
    sys.exit(128 + received[0])
  if failed:
    _print_failed(sweep_dir, counts, failed)
    sys.exit(1)
  print(f'{counts}.\n{_how_to_report(sweep_dir)}')


def _how_to_report(sweep_dir, *more):
  """The command that reports the sweep, in a line for a person."""
  path = sweep_dir.path
  arguments = [f'--sweep_dir={path}', f'--out={path / "report"}', *more]
  command = shlex.join(['python', '-m', 'tf_sparse_rl.report', *arguments])
  return f'To report it: {command}'


def _own_command():
  """This command as a shell takes it."""
  return shlex.join(['python', '-m', 'tf_sparse_rl.sweep', *sys.argv[1:]])


def _print_failed(sweep_dir, counts, failed):
  lines = [
    f'{counts}, {len(failed)} failed:',
    *(f'  {run_id}  {reason}' for run_id, reason in failed.items()),
    f'Their logs: {sweep_dir.path}/logs. To try again: '
    f'{_command_to_continue(sweep_dir)}',
  ]
  print('\n'.join(lines), file=sys.stderr)


def _make_engine(options, sweep_dir):
  from tf_sparse_rl.sweeps import local_engine

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


def _command_to_continue(sweep_dir):
  given = [
    f'--{name}={flags.FLAGS[name].value}'
    for name in _ENGINE
    if flags.FLAGS[name].present
  ]
  command = ['python', '-m', 'tf_sparse_rl.sweep']
  return shlex.join([*command, f'--sweep_dir={sweep_dir.path}', *given])


def run():
  """Entry point of the command."""
  run_flags.show_in_help('sweep_dir', *_LISTS)
  modes = ('dry_run', 'list_only', 'status')
  run_flags.show_in_help(*_SEARCH, group='Search')
  run_flags.show_in_help(*modes, *_ENGINE, group='How runs are executed')
  run_flags.define_run_flags(without=_INSTEAD)
  flags.DEFINE_string(
    'sweep_dir', None, 'Directory of the sweep, made if needed.'
  )
  flags.DEFINE_list(
    'methods',
    list(methods.OF_THE_PAPER),
    f'Some of: {", ".join(methods.METHODS)}, {methods.SMALL_DENSE}.',
  )
  flags.DEFINE_list('sparsities', ['0.9'], 'Fractions of zeros, in [0, 1).')
  flags.DEFINE_list('env_names', None, 'Gymnasium ids. Default: by preset.')
  run_flags.define_integer('seeds', 3, 'Number of seeds: 0, 1, ...', 1, 100_000)
  flags.DEFINE_string(
    'grid',
    None,
    'Lists of values of any fields, as in learning_rate=1e-3,1e-4;'
    'batch_size=64,128. Lists of a field that is one: 64,64|256,256.',
  )
  run_flags.define_integer(
    'optuna', None, 'Number of trials of a search; needs --space.', 1
  )
  flags.DEFINE_string(
    'space',
    None,
    'The space of a search, a JSON file: docs/guides/tuning.md.',
  )
  flags.DEFINE_enum(
    'engine', 'local', ['local', 'ray'], 'Executes the queued runs: local, ray.'
  )
  run_flags.define_integer(
    'max_parallel', None, 'Runs at a time. Default: one per core.', 1, 10_000
  )
  run_flags.define_integer(
    'max_retries', 2, 'How often a run that fails is tried again.', 0
  )
  run_flags.define_integer(
    'index',
    None,
    'Execute this line of runs.jsonl only, from 0: for arrays.',
    0,
  )
  flags.DEFINE_string(
    'ray_address',
    None,
    "Ray: address of a cluster, or 'auto'. Default: starts one here.",
  )
  flags.DEFINE_float('cpus_per_run', 1.0, 'Ray: CPUs reserved for a run.', 0)
  flags.DEFINE_float(
    'gpus_per_run', 0.0, 'Ray: GPUs reserved for a run; 0.25 for a quarter.', 0
  )
  flags.DEFINE_float(
    'run_timeout',
    None,
    'Seconds after which an attempt of a run is ended; it counts as failed, '
    'and the next one goes on from its checkpoint. Default: none.',
    1,
  )
  flags.DEFINE_float(
    'stall_timeout',
    None,
    'The same after so many seconds without an env step. Default: none.',
    60,
  )
  flags.DEFINE_boolean(
    'dry_run', False, 'Print the runs with their commands; write nothing.'
  )
  flags.DEFINE_boolean(
    'list_only', False, 'Write runs.jsonl and start nothing: for arrays.'
  )
  flags.DEFINE_boolean(
    'status', False, 'Print what is finished, running, failed and missing.'
  )
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
