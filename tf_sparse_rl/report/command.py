"""The report command: `python -m tf_sparse_rl.report`."""

import pathlib

from absl import flags, logging

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import packages
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.report import (
  completeness,
  conditions,
  origins,
  out_dir,
  raw_results,
)

_SOURCES = {
  'sweep_dir': 'the directory of the runs',
  'results': 'that of raw results',
  'root_dir': 'that of one run',
}

_HELP = run_flags.Help(
  'Writes an HTML report on many runs: scores with confidence intervals, '
  'figures, tables and costs. Figures and tables are also written as files.',
  'report',
  {
    'A finished sweep': '--sweep_dir=runs/study --out=report',
    'A sweep that is still running': '--sweep_dir=runs/study --out=report '
    '--allow_unfinished',
    'Finer intervals': '--sweep_dir=runs/study --out=report '
    '--num_resamples=50000',
  },
)

_PACKAGES = ('jinja2', 'matplotlib', 'pandas', 'rliable')


def main(argv):
  """Reads the runs and writes the report."""
  del argv
  options = flags.FLAGS
  source = _source(options)
  out = options.raw_out or options.out
  if not out and source != 'sweep_dir':
    # Raw results have their report beside them, a run in its directory.
    out = options.results or str(pathlib.Path(options.root_dir, 'report'))
  if not out:
    raise run_flags.UserError(
      'Expected --out, the directory of the report. Received none.'
    )
  try:
    if source == 'root_dir':
      page = _report_run(options.root_dir, out)
    elif options.raw_out:
      return _write_raw(options.sweep_dir, out, options.results)
    else:
      page = _report_study(*_read(options, source), out, options)
  except runs_lib.RunsError as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(f'Writing to {out} failed: {error}.') from error
  print(f'Report: {page}')


def _source(options):
  """Name of the flag that says where the runs are."""
  given = [name for name in _SOURCES if options[name].value]
  if options.raw_out and not options.out and given == ['sweep_dir', 'results']:
    return 'sweep_dir'
  if len(given) != 1:
    words = [f'--{name}, {what}' for name, what in _SOURCES.items()]
    received = ' and '.join(f'--{name}' for name in given) or 'none'
    raise run_flags.UserError(
      f'Expected {"; or ".join(words)}. Received: {received}.'
    )
  if options.raw_out and (options.out or given != ['sweep_dir']):
    received = [f'--{name}' for name in (*given, 'out') if options[name].value]
    raise run_flags.UserError(
      'Expected --raw_out with --sweep_dir, with or without --results, and '
      f'without --out. Received: {" and ".join(received)}.'
    )
  return given[0]


def _read(options, source):
  """(list of Run, Origin) of a study."""
  if source == 'results':
    found, study = raw_results.read(options.results)
    return found, origins.of(found, **vars(study))
  found = runs_lib.read(options.sweep_dir)
  commands = runs_lib.read_commands(pathlib.Path(options.sweep_dir))
  return found, origins.of(found, commands)


def _report_study(found, origin_of_all, out, options):
  unreadable = [run for run in found if run.config is None]
  every = conditions.group([run for run in found if run.config is not None])
  if not every:
    raise runs_lib.RunsError(unreadable[0].damage)
  if not options.allow_unfinished:
    completeness.check(every)
  out_dir.check(out)
  return _writing().write(
    every, out, options.num_resamples, unreadable, origin_of_all
  )


def _write_raw(sweep_dir, out, base):
  """Writes raw results of `sweep_dir`, added to those of `base` if given."""
  found = runs_lib.read(sweep_dir)
  every = conditions.group([run for run in found if run.config is not None])
  commands = runs_lib.read_commands(pathlib.Path(sweep_dir))
  left_out = raw_results.write(every, out, commands, base)
  for condition in left_out:
    label = f'{condition.cell.agent} {condition.env_name}'
    print(f'Not finished, left out: {label} {condition.cell.label}')
  count = len(every) - len(left_out)
  print(f'Raw results of {count} condition{"s" * (count != 1)}: {out}')


def _report_run(root_dir, out):
  run = runs_lib.read_run(root_dir)
  out_dir.check(out)
  return _writing().write_run(run, out)


def _writing():
  """The module that needs the extra; imported after flags are checked."""
  if not flags.FLAGS['verbosity'].present:
    # rliable logs a line for each interval.
    logging.set_verbosity(logging.WARNING)
  packages.require('A report', *_PACKAGES)
  try:
    from tf_sparse_rl.report import writing
  except ImportError as error:  # One is there in a version that does not fit.
    raise run_flags.UserError(
      f'The packages of a report cannot be imported: {error}. To install them: '
      f'{packages.command(_PACKAGES)}'
    ) from error
  return writing


def run():
  """Entry point of the command."""
  flags.DEFINE_string(
    'sweep_dir', None, 'Directory of a sweep, or of run directories.'
  )
  flags.DEFINE_string(
    'results', None, 'Directory of raw results, as --raw_out writes them.'
  )
  flags.DEFINE_string('root_dir', None, 'Directory of one run.')
  flags.DEFINE_string(
    'out',
    None,
    'Directory of the report, created if needed. Default: that of --results, '
    'or report/ in --root_dir.',
  )
  flags.DEFINE_string(
    'raw_out',
    None,
    'Write the raw results of the finished conditions of --sweep_dir to this '
    'directory, instead of a report. With --results they are added to those.',
  )
  flags.DEFINE_boolean(
    'allow_unfinished',
    False,
    'Report although runs are missing or unfinished; the report says so.',
  )
  run_flags.define_integer(
    'num_resamples', 2000, 'Number of bootstrap resamples.', 100, 1_000_000
  )
  run_flags.show_in_help(
    *(*_SOURCES, 'out', 'raw_out', 'allow_unfinished', 'num_resamples')
  )
  run_flags.run_command(main, _HELP)
