"""Measures training speed: `python -m tf_sparse_rl.benchmark`.

Without --methods or --peers it measures the run that the flags describe. With
them it measures all candidates in turn, for --rounds rounds, on all cores or on
those of --pin. --results adds the measurements to a file, --what=figures draws
them.
"""

import dataclasses
import json
import os
import pathlib
import sys

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import packages, quiet
from tf_sparse_rl.benchmarks import candidates, in_turn, measured
from tf_sparse_rl.sweeps import local_engine

_WHAT = (
  *('training', 'sparsity', 'dense_layer', 'mask_update', 'checkpoint'),
  *('diagnostics', 'sweep', 'env_steps', 'figures'),
)
# Flags of the comparison, not of a candidate.
_OF_ALL = (
  *('what', 'methods', 'method', 'peers', 'rounds', 'pin'),
  *('results', 'figures_dir'),
)
_HELP = run_flags.Help(
  'Measures training speed on this machine and prints JSON. Takes the flags of '
  'train, which describe the run.',
  'benchmark',
  {
    'Env steps per second of the default run': '',
    'RigL and dense SAC in turn, five rounds': '--agent=sac '
    '--methods=rigl,dense',
    'Train step times against sparsity, saved for figures': '--what=sparsity '
    '--agent=sac --results=speed.json',
  },
)


def main(argv):
  """Prints the measurements as JSON."""
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
  """Returns the measurements, a dict of JSON types."""
  if options.what == 'figures':
    return _draw(options)
  if options.what == 'sweep':
    from tf_sparse_rl.benchmarks import sweep

    # Whole runs, as they come: evaluations are timed too.
    run_flags.config_from_flags()
    return sweep.measure(run_flags.values_from_flags(), options.rounds)
  config = _config(options.warmup_env_steps)
  cores = _cores(options)
  _check_results(config, options)
  if options.what == 'training' and (options.methods or options.peers):
    commands = _commands(config, options)
    result = in_turn.measure(commands, options.rounds, cores)
  else:
    if cores:  # Before TensorFlow counts them; peers inherit it.
      os.sched_setaffinity(0, cores)
    result = _measure_here(config, options, cores)
  if options.results:
    measured.add(options.results, config, options.what, result)
  return result


def _measure_here(config, options, cores):
  """Returns the measurements made in this process."""
  peers = _peer_commands(config, options) if options.what == 'sparsity' else {}
  packages.require('Measuring agents', 'tf_agents')
  # Imported late: mistakes come first.
  quiet.silence()
  from tf_sparse_rl.benchmarks import (
    checkpoint,
    dense_layer,
    diagnosis,
    sparsities,
    training,
  )
  from tf_sparse_rl.training import machine

  warmup, rounds = options.warmup_env_steps, options.rounds
  if options.what == 'mask_update':
    return dense_layer.measure_mask_update(rounds)
  if options.what in ('sparsity', 'dense_layer'):
    config = dataclasses.replace(config, backend='native')
  measure = {
    'dense_layer': lambda: dense_layer.measure_train_step(rounds),
    'checkpoint': lambda: checkpoint.measure(config, rounds),
    'diagnostics': lambda: diagnosis.measure(config, warmup, rounds),
    'training': lambda: training.measure(config, warmup),
    'env_steps': lambda: training.env_steps(config, warmup),
    'sparsity': lambda: sparsities.measure(config, peers, rounds, cores),
  }
  with machine.configure(config).scope():
    result = measure[options.what]()
    if options.what in ('sparsity', 'dense_layer'):
      result = {**result, 'machine': machine.kernels()}
    return result


def _draw(options):
  """Draws --results; returns the paths of the figures."""
  if not (options.results and options.figures_dir):
    raise run_flags.UserError(
      'Expected --results=FILE, written by an earlier measurement, and '
      '--figures_dir=DIR with --what=figures.'
    )
  packages.require('--what=figures', 'matplotlib')
  if not pathlib.Path(options.figures_dir).is_dir():
    raise run_flags.UserError(
      'Expected --figures_dir=DIR, a directory that exists. Received: '
      f'{options.figures_dir}.'
    )
  found = measured.read(options.results)
  from tf_sparse_rl.benchmarks import figures

  return {'written': list(map(str, figures.draw(found, options.figures_dir)))}


def _cores(options):
  """The cores of --pin, or None."""
  if not options.pin:
    return None
  valid = sorted(os.sched_getaffinity(0))
  cores = [int(core) if core.isdecimal() else core for core in options.pin]
  several = options.what == 'training' and (options.methods or options.peers)
  if (
    not {*cores} <= {*valid}
    or len({*cores}) < len(cores)
    or (len(cores) > 1 and not several)
  ):
    raise run_flags.UserError(
      'Expected --pin=CORE, or with --methods or --peers --pin=CORE,CORE for a '
      f'process on each at the same time, of {valid}. Received: '
      f'{",".join(options.pin)}.'
    )
  return cores


def _config(warmup):
  """The config of the run; its initial collection is part of the warm-up."""
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
  given = [
    flags.FLAGS[name].serialize()
    for name in flags.FLAGS
    if flags.FLAGS[name].present and name not in _OF_ALL
  ]
  methods = options.methods or [config.method]
  ours = candidates.of_methods(methods, given)
  return {**ours, **_peer_commands(config, options)}


def _peer_commands(config, options):
  """{name: command} of --peers."""
  return candidates.of_peers(
    options.peers or [],
    config,
    options.warmup_env_steps,
    is_pinned=bool(options.pin),
    train_steps=options.what == 'sparsity',
  )


def _check_results(config, options):
  """Refuses --results that cannot be written, before anything is measured."""
  if options.what == 'sparsity' and config.method == 'dense':
    raise run_flags.UserError(
      'Expected a sparse --method with --what=sparsity. Received: dense.'
    )
  if options.results is None:
    return
  in_turns = options.what == 'training' and (options.methods or options.peers)
  if options.what != 'sparsity' and not in_turns:
    raise run_flags.UserError(
      '--results goes with --what=sparsity, and with --methods or --peers.'
    )
  path = pathlib.Path(options.results)
  if path.exists():
    measured.read(path)
  elif path.suffix != '.json' or not path.parent.is_dir():
    raise run_flags.UserError(
      f'Expected --results=FILE.json in a directory that exists. '
      f'Received: {path}.'
    )


def run():
  """Entry point of the command."""
  own = ('what', 'methods', 'peers', 'rounds', 'warmup_env_steps', 'pin')
  run_flags.show_in_help(*own, 'results', 'figures_dir')
  run_flags.define_run_flags()
  flags.DEFINE_enum(
    'what', 'training', _WHAT, f'What to measure, one of: {", ".join(_WHAT)}.'
  )
  run_flags.define_integer(
    'warmup_env_steps', 1000, 'Warm-up env steps, which are not timed.', 20
  )
  flags.DEFINE_list(
    'methods',
    None,
    'Methods to measure in turn; the first is compared with the others.',
  )
  flags.DEFINE_list(
    'peers',
    None,
    'Other libraries to measure in turn, with their Python interpreters: '
    'sb3=PYTHON,sbx=PYTHON,rltools=PYTHON.',
  )
  run_flags.define_integer(
    'rounds',
    5,
    'Number of repetitions: rounds in turn, mask updates, checkpoints or '
    'diagnostics.',
    1,
    10**6,
  )
  flags.DEFINE_list(
    'pin',
    None,
    'CPU cores, with one single-threaded process on each. Default: no pinning.',
  )
  flags.DEFINE_string(
    'results',
    None,
    'JSON file to which the measurements are added, for figures.',
  )
  flags.DEFINE_string(
    'figures_dir', None, 'Directory of the figures of --what=figures.'
  )
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
