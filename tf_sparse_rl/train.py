"""Trains one agent: `python -m tf_sparse_rl.train --root_dir=DIR`."""

import shlex
import sys

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import modules, quiet, signals
from tf_sparse_rl import runs as runs_lib


def main(argv):
  """Trains, or says that the run in `root_dir` is finished."""
  del argv
  root_dir = flags.FLAGS.root_dir
  if not root_dir:
    raise run_flags.UserError(
      'Expected --root_dir, the directory of the run. Received none.'
    )
  run_dir = runs_lib.RunDir(root_dir)
  config = _config(run_dir)
  # Imported late: a wrong name is told at once, before TensorFlow starts.
  from tf_sparse_rl import envs

  try:
    if flags.FLAGS.config:
      run_flags.tell_imports(config.imported_modules, flags.FLAGS.config)
    for flag in ('method', 'network'):
      if ':' in getattr(config, flag):
        modules.find(getattr(config, flag), f'--{flag}')
    quiet.filter_warnings()
    envs.try_out(config)
    quiet.silence()
    run_dir.check_config(config)
    from tf_sparse_rl.training import machine

    # Before anything is written: what it asks for may not be there.
    strategy = machine.configure(config)
    with run_dir.locked():
      if run_dir.is_finished(config):
        print(f'The run in {root_dir} is finished. Results: summary.json.')
        return
      _train(config, run_dir, strategy)
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {root_dir} failed: {error}. What was written before stays.'
    ) from error


def _config(run_dir):
  """What the flags ask for: a new run, or one that goes on."""
  try:
    return runs_lib.config_for(run_dir, run_flags.values_from_flags())
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error


def _train(config, run_dir, strategy):
  import tensorflow as tf

  from tf_sparse_rl import envs
  from tf_sparse_rl.exporting import policy
  from tf_sparse_rl.training import checkpoints, loop, terminal

  received = signals.note()
  try:
    with terminal.Progress(config) as progress, strategy.scope():
      outcome = loop.train(
        config, run_dir, progress.update, lambda: received, progress.log
      )
    policy.save(policy.of_agent(outcome.agent), run_dir.policy_path)
  except loop.StoppedError as stopped:
    print(f'{stopped}. {_how_to_continue(run_dir)}', file=sys.stderr)
    sys.exit(128 + received[0])
  except envs.EnvError as error:
    raise modules.UserCodeError(
      error.told(f'{error.context}. {_how_to_continue(run_dir)}')
    ) from error
  except (loop.TrainingError, checkpoints.CheckpointError) as error:
    raise run_flags.UserError(str(error)) from error
  except FloatingPointError as error:
    raise run_flags.UserError(
      f'{error}. Nothing was saved after the last checkpoint.'
    ) from error
  except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
    # TensorFlow's names for a full disk and for a file over its limit.
    raise OSError(error.message) from error
  # Last: from here on the run counts as finished.
  run_dir.finish(outcome.summary)
  print(terminal.closing_table(run_dir, outcome.agent, outcome.summary))


def _how_to_continue(run_dir):
  config_path = shlex.quote(f'{run_dir.path}/config.json')
  return (
    f'To continue: python -m tf_sparse_rl.train --config={config_path} '
    f'--root_dir={shlex.quote(str(run_dir.path))}'
  )


def run():
  """Entry point of the command."""
  run_flags.define_run_flags()
  flags.DEFINE_string('root_dir', None, 'Directory of the run, made if needed.')
  run_flags.show_in_help('root_dir')
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
