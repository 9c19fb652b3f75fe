"""Trains one agent: `python -m tf_sparse_rl.train`."""

import shlex
import sys

from absl import flags

from tf_sparse_rl import api, callbacks, modules
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib

_HELP = run_flags.Help(
  'Trains one agent and saves the whole run in one directory. Repeat the '
  'command to resume a run that was stopped.',
  'train',
  {
    'DQN with RigL at 90 % sparsity on CartPole-v1': '',
    'SAC on HalfCheetah-v5 with SET at 95 % sparsity': '--agent=sac '
    '--env_name=HalfCheetah-v5 --method=set --sparsity=0.95',
    'The same run with another seed, in another directory': '--config='
    'runs/HalfCheetah-v5_sac_set_0.95_0/config.json --seed=1 --root_dir=runs/b',
  },
)


def main(argv):
  """Trains, unless the run in `root_dir` is finished."""
  del argv
  from tf_sparse_rl import envs  # Late: `--help` needs no Gymnasium.

  root_dir, config = _asked()
  run_dir = runs_lib.RunDir(root_dir)
  if flags.FLAGS.config:
    run_flags.tell_imports(config.imported_modules, flags.FLAGS.config)
  try:
    with modules.told(config.imported_modules):
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

  print(terminal.closing_table(run_dir, *outcome))


def _asked():
  """Returns (root_dir, Config) by the flags and the run in the directory."""
  root_dir = flags.FLAGS.root_dir
  try:
    values = run_flags.values_from_flags()
    if not root_dir:
      root_dir = runs_lib.default_root_dir(run_flags.make_config(values))
    config = runs_lib.config_for(runs_lib.RunDir(root_dir), values)
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  run_flags.tell_ignored(config, values)
  return root_dir, config


def _how_to_continue(root_dir):
  config_path = shlex.quote(f'{root_dir}/config.json')
  return (
    f'To continue: python -m tf_sparse_rl.train --config={config_path} '
    f'--root_dir={shlex.quote(root_dir)}'
  )


def run():
  """Entry point of the command."""
  run_flags.define_run_flags()
  flags.DEFINE_string(
    'root_dir',
    None,
    'Directory of the run, created if needed. Default: '
    'runs/<env>_<agent>_<method>_<sparsity>_<seed>.',
  )
  run_flags.show_in_help('root_dir')
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
