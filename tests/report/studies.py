"""Makes run directories as training writes them, without training."""

import json
import pathlib

import numpy as np

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs

VERSIONS = {'tf_sparse_rl': '0.1.0', 'git_commit': 'c0ffee' * 6 + 'c0ff'}
# How much of the dense score a method keeps at sparsity 0.5 and at 0.98.
_KEPT = {
  'dense': (1.0, 1.0),
  'static': (0.95, 0.1),
  'set': (1.0, 0.6),
  'rigl': (1.02, 0.7),
  'prune': (1.0, 0.9),
  'small_dense': (0.97, 0.5),
}
_RANGE = {
  'CartPole-v1': (22.0, 495.0),
  'Acrobot-v1': (-499.0, -70.0),
  'MountainCar-v0': (-200.0, -120.0),
  'HalfCheetah-v5': (-250.0, 11000.0),
  'Walker2d-v5': (10.0, 4900.0),
}
_DENSE_WEIGHTS = {'dqn': 265_216, 'sac': 216_320}


def make_run(
  path, returns=None, finished=True, noise=None, diagnoses=None, **fields
):
  """Writes one run directory.

  Args:
    path: of the run.
    returns: of its evaluations; drawn from the seed if None.
    finished: whether it has a summary.
    noise: `{noise_std: return}`, or None for none.
    diagnoses: list of `{tag: value}`, one an evaluation, or None for none.
    **fields: of the config; `method='small_dense'` with `sparsity` matches it.

  Returns:
    The Config.
  """
  path = pathlib.Path(path)
  path.mkdir(parents=True)
  method = fields.get('method', 'rigl')
  if method == 'small_dense':
    fields = {
      **fields,
      'method': 'dense',
      'match_sparsity': fields.pop('sparsity'),
    }
  config = run_flags.make_config(fields)
  values = {**config_lib.to_dict(config), 'versions': VERSIONS}
  (path / 'config.json').write_text(json.dumps(values), 'utf-8')
  if returns is None:
    returns = _draw_returns(config, method)
  directory = runs.RunDir(path)
  diagnoses = diagnoses or [None] * len(returns)
  results = _results(config, returns, method, diagnoses)
  directory.set_results(results)
  if finished:
    directory.finish(runs.Summary.of(results, **_totals(config, method)))
  if noise:
    lines = [{'noise_std': s, 'return_mean': r} for s, r in noise.items()]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (path / 'noise.jsonl').write_text(text, 'utf-8')
  return config


def make_seeds(root, env_name, value, seeds=(0, 1), **fields):
  """Writes a run of one return for each seed; see make_run."""
  for seed in seeds:
    name = f'{env_name}-{fields.get("method")}-{seed}'
    make_run(
      pathlib.Path(root) / name, [value], env_name=env_name, seed=seed, **fields
    )


def column(table, title):
  """The entries of a report's table under a title."""
  index = [c.title for c in table.columns].index(title)
  return [row[index] for row in table.rows]


def make_grid(root, env_names, methods, sparsities, seeds, **fields):
  """Writes a run for each combination, dense ones once.

  Args:
    root: directory of the run directories.
    env_names: list of str.
    methods: list of str, small_dense included.
    sparsities: list of float.
    seeds: list of int.
    **fields: of all configs.
  """
  for env_name in env_names:
    for method in methods:
      for sparsity in sparsities[:1] if method == 'dense' else sparsities:
        for seed in seeds:
          name = f'{env_name}-{method}-{sparsity:g}-seed{seed}'
          if method == 'dense':
            name = f'{env_name}-dense-seed{seed}'
          make_run(
            pathlib.Path(root) / name,
            env_name=env_name,
            method=method,
            sparsity=sparsity,
            seed=seed,
            **fields,
          )


def _shown_sparsity(config):
  return config.match_sparsity if config.method == 'dense' else config.sparsity


def _draw_returns(config, method):
  key = f'{config.env_name}{method}{_shown_sparsity(config)}{config.seed}'
  rng = np.random.default_rng(list(key.encode()))
  low, high = _RANGE[config.env_name]
  first, last = _KEPT[method]
  kept = first + (last - first) * max(0, _shown_sparsity(config) - 0.5) / 0.48
  kept *= 1 - 50 * abs(config.weight_decay - 1e-4)
  kept *= {'uniform': 0.85}.get(config.distribution, 1) + rng.normal(0, 0.04)
  share = np.linspace(0, 1, 21)
  curve = kept * (1 - np.exp(-5 * share)) + rng.normal(0, 0.03, 21)
  return [float(r) for r in low + (high - low) * np.minimum(curve, 1.05)]


def _results(config, returns, method, diagnoses):
  steps = np.linspace(0, config.num_env_steps, len(returns)).astype(int)
  return [
    runs.Evaluation(
      env_step=int(step),
      train_step=max(0, int(step) - config.initial_collect_env_steps),
      return_mean=value,
      returns=[value],
      sparsity=_shown_sparsity(config),
      nonzero=_nonzero(config, method),
      train_step_flops=8 * config.batch_size * _nonzero(config, method),
      diagnosis=diagnosis,
      wall_seconds=0.004 * int(step),
      env_steps_per_sec=250.0,
    )
    for step, value, diagnosis in zip(steps, returns, diagnoses)
  ]


def _nonzero(config, method):
  return round((1 - _shown_sparsity(config)) * _DENSE_WEIGHTS[config.agent])


def _totals(config, method):
  nonzero = _nonzero(config, method)
  train_steps = config.num_train_steps
  return {
    'env_steps': config.num_env_steps,
    'train_steps': train_steps,
    'sparsity': _shown_sparsity(config),
    'nonzero': nonzero,
    'parameters': nonzero + 1026,
    'inference_flops': 2 * nonzero,
    'train_flops': 8 * config.batch_size * nonzero * train_steps,
    'peak_memory_mib': 840.5,
    'wall_seconds': 0.004 * config.num_env_steps,
    'env_steps_per_sec': 250.0,
  }
