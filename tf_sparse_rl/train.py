"""Trains one agent: `python -m tf_sparse_rl.train --root_dir=DIR`."""

import shlex
import sys

from absl import flags

from tf_sparse_rl import api, callbacks
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib


def main(argv):
  """Trains, or says that the run in `root_dir` is finished."""
  del argv
  root_dir = flags.FLAGS.root_dir
  if not root_dir:
    raise run_flags.UserError(
      'Expected --root_dir, the directory of the run. Received none.'
    )
  config = run_flags.config_from_flags()
  try:
    outcome = api.run_training(root_dir, config, [callbacks.ProgressBar()])
  except callbacks.StoppedError as stopped:
    config_path = shlex.quote(f'{root_dir}/config.json')
    print(
      f'{stopped}. To continue: python -m tf_sparse_rl.train '
      f'--config={config_path} --root_dir={shlex.quote(root_dir)}',
      file=sys.stderr,
    )
    sys.exit(128 + stopped.signal)
  except FloatingPointError as error:
    raise run_flags.UserError(
      f'{error}. Nothing was saved after the last checkpoint.'
    ) from error
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {root_dir} failed: {error}. What was written before stays.'
    ) from error
  if outcome is None:
    print(f'The run in {root_dir} is finished. Results: summary.json.')
    return
  from tf_sparse_rl.training import terminal

  print(terminal.closing_table(runs_lib.RunDir(root_dir), *outcome))


def run():
  """Entry point of the command."""
  run_flags.define_run_flags()
  flags.DEFINE_string('root_dir', None, 'Directory of the run, made if needed.')
  run_flags.show_in_help('root_dir')
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
