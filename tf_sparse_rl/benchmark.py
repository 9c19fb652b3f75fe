"""Measures how fast runs train: `python -m tf_sparse_rl.benchmark`.

Without --methods or --peers: one measurement of the run that the flags
describe. With them: all named candidates in turn, for --rounds rounds.
"""

import dataclasses
import json
import pathlib
import sys

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import packages, quiet
from tf_sparse_rl.benchmarks import in_turn
from tf_sparse_rl.sweeps import local_engine

_WHAT = (
  *('training', 'sparsity', 'dense_layer', 'mask_update', 'checkpoint'),
  *('diagnostics', 'sweep'),
)
_HELP = run_flags.Help(
  'Measures how fast runs train on this machine, and prints JSON. It takes the '
  'flags of train, which describe the run.',
  'benchmark',
  {
    'Env steps per second of the default run': '',
    'RigL and dense SAC in turn, five rounds': '--agent=sac '
    '--methods=rigl,dense',
    'Speed against sparsity, as a figure': '--what=sparsity --agent=sac '
    '--figure=speed.png',
  },
)


def main(argv):
  """Measures what the flags ask for."""
  del argv
  try:
    print(json.dumps(_measure(flags.FLAGS), indent=2))
  except (
    ValueError,
    in_turn.CandidateError,
    local_engine.EngineError,
  ) as error:
    raise run_flags.UserError(str(error)) from error


def _measure(options):
  """The figures, a dict of JSON types."""
  if options.what == 'sweep':
    from tf_sparse_rl.benchmarks import sweep

    # Whole runs, as they come: evaluations are timed too.
    run_flags.config_from_flags()
    return sweep.measure(run_flags.values_from_flags(), options.rounds)
  config = _config(options.warmup_env_steps)
  _check_figure(config, options)
  if options.what == 'training' and (options.methods or options.peers):
    return in_turn.measure(_commands(config, options), options.rounds)
  peers = _peer_commands(config, options) if options.what == 'sparsity' else {}
  packages.require('Measuring agents', 'tf_agents')
  # Imported late: mistakes come first.
  quiet.silence()
  from tf_sparse_rl.benchmarks import dense_layer
  from tf_sparse_rl.training import machine

  if options.what == 'mask_update':
    return dense_layer.measure_mask_update(options.rounds)
  if options.what in ('sparsity', 'dense_layer'):
    config = dataclasses.replace(config, backend='native')
  with machine.configure(config).scope():
    return _measure_here(config, options, peers)


def _measure_here(config, options, peers):
  """The figures of what is timed in this process."""
  from tf_sparse_rl.benchmarks import (
    checkpoint,
    dense_layer,
    diagnosis,
    sparsities,
    training,
  )
  from tf_sparse_rl.training import machine

  if options.what == 'dense_layer':
    result = dense_layer.measure_train_step(options.rounds)
    return {**result, 'machine': machine.kernels()}
  if options.what == 'checkpoint':
    return checkpoint.measure(config, options.rounds)
  if options.what == 'diagnostics':
    return diagnosis.measure(config, options.warmup_env_steps, options.rounds)
  if options.what == 'training':
    return training.measure(config, options.warmup_env_steps)
  result = sparsities.measure(config, peers, options.rounds)
  if options.figure:
    sparsities.draw(result, options.figure)
  return {**result, 'machine': machine.kernels()}


def _config(warmup):
  """The run, long enough to measure; collection at random is warm-up."""
  if run_flags.values_from_flags().get('agent') == 'ppo':
    # Whole rollouts: as many are trained on as are collected.
    defaults = {'num_env_steps': warmup + 6 * 2048}
  else:
    defaults = {
      'num_env_steps': warmup + 4000,
      'initial_collect_env_steps': min(200, warmup - 1),
    }
  config = run_flags.config_from_flags(**defaults)
  if config.num_env_steps < warmup + 10 * config.num_envs:
    raise run_flags.UserError(
      'Expected num_env_steps >= warmup_env_steps + 10 * num_envs. Received: '
      f'{config.num_env_steps}, {warmup} and {config.num_envs}.'
    )
  # The only evaluations left are the first and the last: not timed.
  return dataclasses.replace(
    config,
    eval_period=config.num_env_steps,
    num_eval_episodes=1,
    num_eval_env_steps=0,
  )


def _commands(config, options):
  """{name: command} of --methods and --peers."""
  ours = ('--methods', '--method', '--peers', '--rounds')
  arguments = [a for a in sys.argv[1:] if a.partition('=')[0] not in ours]
  command = [sys.executable, '-m', 'tf_sparse_rl.benchmark', *arguments]
  methods = options.methods or [config.method]
  commands = {m: [*command, f'--method={m}'] for m in methods}
  return {**commands, **_peer_commands(config, options)}


def _peer_commands(config, options):
  """{name: command} of --peers."""
  commands = {}
  if options.peers and (
    config.num_envs > 1
    or config.width != 1
    or config.network == 'impala_resnet'
  ):
    raise run_flags.UserError(
      'Expected num_envs=1, width=1 and network=mlp or nature_cnn with '
      '--peers, which do the same work. Received: '
      f'num_envs={config.num_envs}, width={config.width:g}, '
      f'network={config.network}.'
    )
  for peer in options.peers or []:
    name, _, python = peer.partition('=')
    if name not in ('sb3', 'sbx') or not python:
      raise run_flags.UserError(
        'Expected --peers=sb3=PYTHON,sbx=PYTHON with the interpreters of '
        f'environments that have them. Received: {peer!r}.'
      )
    commands[name] = in_turn.peer_command(
      name, python, config, options.warmup_env_steps
    )
  return commands


def _check_figure(config, options):
  """Refuses, before anything is measured, what could not be drawn."""
  if options.what == 'sparsity' and config.method == 'dense':
    raise run_flags.UserError(
      'Expected a sparse --method with --what=sparsity. Received: dense.'
    )
  if options.figure is None:
    return
  if options.what != 'sparsity':
    raise run_flags.UserError('--figure goes with --what=sparsity only.')
  path = pathlib.Path(options.figure)
  if path.suffix not in ('.png', '.svg') or not path.parent.is_dir():
    raise run_flags.UserError(
      f'Expected --figure=FILE.png or .svg in a directory that exists. '
      f'Received: {path}.'
    )
  packages.require('--figure', 'matplotlib')


def run():
  """Entry point of the command."""
  own = ('what', 'methods', 'peers', 'rounds', 'warmup_env_steps', 'figure')
  run_flags.show_in_help(*own)
  run_flags.define_run_flags()
  flags.DEFINE_enum(
    'what', 'training', _WHAT, f'What to measure, one of: {", ".join(_WHAT)}.'
  )
  run_flags.define_integer(
    'warmup_env_steps', 1000, 'Env steps before the clock starts.', 20
  )
  flags.DEFINE_list(
    'methods',
    None,
    'Methods to compare; the first is compared with the others.',
  )
  flags.DEFINE_list(
    'peers',
    None,
    'Other libraries to compare with, and their Python interpreters: '
    'sb3=PYTHON,sbx=PYTHON.',
  )
  run_flags.define_integer(
    'rounds',
    5,
    'How often everything is measured: rounds in turn, mask updates, '
    'checkpoints or diagnoses.',
    1,
    10**6,
  )
  flags.DEFINE_string(
    'figure', None, 'With --what=sparsity: picture to draw, PNG or SVG.'
  )
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
