"""The command: `python -m tf_sparse_rl.report --sweep_dir=DIR --out=DIR`."""

from absl import flags, logging

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.report import completeness, conditions, out_dir


def main(argv):
  """Reads the runs, works out the results and writes the report."""
  del argv
  options = flags.FLAGS
  for name, what in (('sweep_dir', 'runs'), ('out', 'report')):
    if not options[name].value:
      raise run_flags.UserError(
        f'Expected --{name}, the directory of the {what}. Received none.'
      )
  out = options.out
  try:
    runs = runs_lib.read(options.sweep_dir)
    unreadable = [run for run in runs if run.config is None]
    every = conditions.group([run for run in runs if run.config is not None])
    if not every:
      raise runs_lib.RunsError(unreadable[0].damage)
    if not options.allow_unfinished:
      completeness.check(every)
    out_dir.check(out)
    page = _writing().write(every, out, options.num_resamples, unreadable)
  except runs_lib.RunsError as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(f'Writing to {out} failed: {error}.') from error
  print(f'Report: {page}')


def _writing():
  """The module that needs the extra; imported late, for mistakes come first."""
  if not flags.FLAGS['verbosity'].present:
    # rliable logs a line for each interval.
    logging.set_verbosity(logging.WARNING)
  try:
    from tf_sparse_rl.report import writing
  except ImportError as error:
    raise run_flags.UserError(
      f'The report needs the packages of the extra "report": {error}. Install '
      "them: pip install 'tf_sparse_rl[report]'."
    ) from error
  return writing


def run():
  """Entry point of the command."""
  flags.DEFINE_string(
    'sweep_dir', None, 'Directory of a sweep, or of run directories.'
  )
  flags.DEFINE_string('out', None, 'Directory of the report, made if needed.')
  flags.DEFINE_boolean(
    'allow_unfinished',
    False,
    'Report what is there although runs are missing, and mark it.',
  )
  flags.DEFINE_integer(
    'num_resamples', 2000, 'Resamples of each bootstrap.', 100, 1_000_000
  )
  run_flags.show_in_help(
    'sweep_dir', 'out', 'allow_unfinished', 'num_resamples'
  )
  run_flags.run_command(main)
