"""Trains with two checkouts and compares the results, bit for bit.

  python tests/compare_checkouts.py OTHER_CHECKOUT --agents=dqn --methods=rigl

Each combination of agent, method and backend trains a tiny agent in each
checkout, with the same seed: this one and the other, a directory, as made by
`git worktree add OTHER_CHECKOUT COMMIT`. One line per combination says whether
the variables of the last checkpoint and the results are identical. Variables
that have moved to another object are matched by the end of their path. The exit
code is 1 if anything differs. Replays are not compared.
"""

import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np

_HERE = pathlib.Path(__file__).resolve().parents[1]
_CLOCKS = ('wall_seconds', 'env_steps_per_sec')  # Differ between any two runs.
_SUFFIX = '/.ATTRIBUTES/VARIABLE_VALUE'
_INITIAL_ENV_STEPS = 100
_ROLLOUT_TRAIN_STEPS = 20  # 4 epochs of 5 batches of 20.
_AGENTS = {
  'dqn': {'env_name': 'CartPole-v1', 'target_update_period': 30},
  'sac': {'env_name': 'Pendulum-v1'},
  'ppo': {'env_name': 'Pendulum-v1', 'rollout_env_steps': 100, 'num_epochs': 4},
}
_METHODS = ('dense', 'static', 'set', 'rigl', 'prune')
_BACKENDS = ('masked', 'native')


class Comparison(NamedTuple):
  """Differences between the variables of two checkpoints."""

  num_equal: int
  differing: dict  # {name: largest absolute difference}
  only_here: list  # names without a partner
  only_there: list


class RunError(Exception):
  """A run has failed."""


def compare(here, there):
  """Compares the variables of two checkpoints.

  Args:
    here: {name: array}; names are paths, as in 'agent/q_network/kernel'.
    there: the same of the other.

  Returns:
    Comparison. Arrays are equal if all values are: 0.0 is -0.0, NaN is NaN.
  """
  partners = _partners(here, there)
  differing = {}
  for name, partner in partners.items():
    difference = _largest_difference(here[name], there[partner])
    if difference:
      differing[name] = difference
  return Comparison(
    num_equal=len(partners) - len(differing),
    differing=differing,
    only_here=sorted(set(here) - set(partners)),
    only_there=sorted(set(there) - set(partners.values())),
  )


def _partners(here, there):
  """{name here: name there}: of one name, or else moved.

  A variable that has moved keeps its type and shape and the end of its path,
  the longer the better. Among equals the closest values decide.
  """
  partners = {name: name for name in here if name in there}
  left = set(there) - set(partners)
  candidates = []
  for name, other in itertools.product(set(here) - set(partners), left):
    a, b = here[name], there[other]
    size = _common_end(name, other)
    if size and (a.shape, a.dtype) == (b.shape, b.dtype):
      candidates.append((-size, _largest_difference(a, b), name, other))
  for _, _, name, other in sorted(candidates):
    if name not in partners and other in left:
      partners[name] = other
      left.remove(other)
  return partners


def _common_end(name, other):
  """Number of parts that two paths share at their ends."""
  pairs = zip(reversed(name.split('/')), reversed(other.split('/')))
  return sum(
    1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
  )


def _largest_difference(a, b):
  """0 if equal; infinite for other shapes, texts, or NaN on one side only."""
  if a.shape != b.shape:
    return np.inf
  if np.array_equal(a, b, equal_nan=a.dtype.kind == 'f'):
    return 0.0
  if a.dtype.kind not in 'fiub':
    return np.inf
  with np.errstate(invalid='ignore'):
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
  difference = np.where(np.isnan(a) & np.isnan(b), 0.0, difference)
  return float(np.max(np.where(np.isnan(difference), np.inf, difference)))


def differing_results(here, there):
  """The fields that differ in two lists of lines of results.jsonl."""
  if len(here) != len(there):
    return [f'{len(here)} and {len(there)} lines']
  names = {
    name
    for a, b in zip(here, there)
    for name in {*a, *b}
    if a.get(name) != b.get(name)
  }
  return sorted(names - set(_CLOCKS))


def describe(comparison, results):
  """One line: 'identical', or what differs.

  Args:
    comparison: a Comparison.
    results: as `differing_results` returns them.
  """
  parts = []
  if comparison.differing:
    name, largest = max(comparison.differing.items(), key=lambda item: item[1])
    total = comparison.num_equal + len(comparison.differing)
    parts.append(
      f'{len(comparison.differing)} of {total} variables differ, by at most '
      f'{largest:.3g} ({name})'
    )
  for names, where in (
    (comparison.only_here, 'here'),
    (comparison.only_there, 'there'),
  ):
    if names:
      parts.append(f'only {where}: {", ".join(names)}')
  if results:
    parts.append(f'results.jsonl differs: {", ".join(results)}')
  return '; '.join(parts) or f'identical ({comparison.num_equal} variables)'


def fields(agent, method, backend, num_train_steps, seed):
  """The config of one run, by the names of its flags."""
  if agent == 'ppo':
    rollouts = num_train_steps // _ROLLOUT_TRAIN_STEPS
    steps = {'num_env_steps': 100 * rollouts, 'batch_size': 20}
  else:
    steps = {
      'initial_collect_env_steps': _INITIAL_ENV_STEPS,
      'num_env_steps': _INITIAL_ENV_STEPS + num_train_steps,
      'train_period': 1,
      'batch_size': 32,
    }
  return {
    'agent': agent,
    'method': method,
    'backend': backend,
    'seed': seed,
    'hidden_units': '32,32',
    'eval_period': num_train_steps // 2,
    'num_eval_episodes': 1,
    **_AGENTS[agent],
    **steps,
    **_mask_updates(method, num_train_steps),
  }


def _mask_updates(method, num_train_steps):
  """When masks change: every 20 train steps, in the first three quarters."""
  end = num_train_steps * 3 // 4
  if method in ('dense', 'static'):
    return {}
  if method == 'prune':
    begin = num_train_steps // 10
    when = {'prune_begin_train_step': begin, 'prune_end_train_step': end}
  else:
    when = {'mask_update_end_train_step': end}
  return {'mask_update_period': 20, **when}


def _run(checkout, root_dir, config):
  """Trains; returns the variables and the results."""
  environment = {
    **os.environ,
    'PYTHONPATH': str(checkout),
    'TF_USE_LEGACY_KERAS': '1',
    'TF_CPP_MIN_LOG_LEVEL': '3',
  }
  command = [sys.executable, '-m', 'tf_sparse_rl.train']
  command += [f'--{name}={value}' for name, value in config.items()]
  done = subprocess.run(
    [*command, f'--root_dir={root_dir}'],
    cwd=checkout,
    env=environment,
    capture_output=True,
    text=True,
  )
  if done.returncode:
    raise RunError(f'{checkout}: training failed.\n{done.stderr[-2000:]}')
  lines = (root_dir / 'results.jsonl').read_text('utf-8').splitlines()
  return _variables(root_dir), [json.loads(line) for line in lines]


def _variables(root_dir):
  """{name: array} of the last checkpoint of a run."""
  # Not before: comparing needs no TensorFlow.
  import tensorflow as tf

  checkpoints = (root_dir / 'checkpoints').glob('env_step_*/agent.index')
  last = max(checkpoints, key=lambda path: int(path.parent.name.split('_')[-1]))
  reader = tf.train.load_checkpoint(str(last.with_suffix('')))
  return {
    name.removesuffix(_SUFFIX): np.asarray(reader.get_tensor(name))
    for name in reader.get_variable_to_shape_map()
    if name.endswith(_SUFFIX)
  }


def _parse(arguments):
  parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0],
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
  )
  parser.add_argument('other', type=pathlib.Path, help='another checkout')
  choices = {'agents': _AGENTS, 'methods': _METHODS, 'backends': _BACKENDS}
  for name, values in choices.items():
    parser.add_argument(f'--{name}', default=','.join(values))
  parser.add_argument('--num_train_steps', type=int, default=200)
  parser.add_argument('--seed', type=int, default=0)
  parsed = parser.parse_args(arguments)
  for name, values in choices.items():
    given = getattr(parsed, name).split(',')
    if not set(given) <= set(values):
      parser.error(
        f'Expected {name} of {", ".join(values)}. Received: {given}.'
      )
    setattr(parsed, name, given)
  if parsed.num_train_steps < 1 or parsed.num_train_steps % 40:
    parser.error(
      'Expected num_train_steps as a multiple of 40. '
      f'Received: {parsed.num_train_steps}.'
    )
  if not (parsed.other / 'tf_sparse_rl').is_dir():
    parser.error(f'Expected a checkout. Received: {parsed.other}.')
  return parsed


def main(arguments):
  """Compares every combination; returns the exit code."""
  parsed = _parse(arguments)
  if hasattr(os, 'sched_setaffinity'):
    # One core: as users run it, and with equal threads in both checkouts.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  all_equal = True
  for combination in itertools.product(
    parsed.agents, parsed.methods, parsed.backends
  ):
    config = fields(*combination, parsed.num_train_steps, parsed.seed)
    with tempfile.TemporaryDirectory() as directory:
      runs = [
        _run(checkout, pathlib.Path(directory, name), config)
        for name, checkout in (
          ('here', _HERE),
          ('there', parsed.other.resolve()),
        )
      ]
    (here, results), (there, other_results) = runs
    comparison = compare(here, there)
    text = describe(comparison, differing_results(results, other_results))
    print(f'{" ".join(combination):20}{text}', flush=True)
    all_equal = all_equal and text.startswith('identical')
  return 0 if all_equal else 1


if __name__ == '__main__':
  try:
    sys.exit(main(sys.argv[1:]))
  except RunError as error:
    sys.exit(str(error))
