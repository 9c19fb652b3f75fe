"""Trains one agent: `python -m tf_sparse_rl.train --root_dir=DIR`."""

import shlex
import sys

from absl import flags

from tf_sparse_rl import api, callbacks, modules
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
  from tf_sparse_rl import envs  # Late: `--help` needs no Gymnasium.

  config = _config(root_dir)
  if flags.FLAGS.config:
    run_flags.tell_imports(config.imported_modules, flags.FLAGS.config)
  try:
    outcome = api.run_training(root_dir, config, [callbacks.ProgressBar()])
  except callbacks.StoppedError as stopped:
    print(f'{stopped}. {_how_to_continue(root_dir)}', file=sys.stderr)
    sys.exit(128 + stopped.signal)
  except envs.EnvError as error:
    told = error.told(f'{error.context}. {_how_to_continue(root_dir)}')
    raise modules.UserCodeError(told) from error
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


def _config(root_dir):
  """The config that the flags ask for: of a new run, or one that goes on."""
  run_dir = runs_lib.RunDir(root_dir)
  try:
    return runs_lib.config_for(run_dir, run_flags.values_from_flags())
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error


def _how_to_continue(root_dir):
  config_path = shlex.quote(f'{root_dir}/config.json')
  return (
    f'To continue: python -m tf_sparse_rl.train --config={config_path} '
    f'--root_dir={shlex.quote(root_dir)}'
  )


def run():
  """Entry point of the command."""
  run_flags.define_run_flags()
  flags.DEFINE_string('root_dir', None, 'Directory of the run, made if needed.')
  run_flags.show_in_help('root_dir')
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
