"""The runs of a sweep: methods x sparsities x environments x seeds."""

import re

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, modules, names
from tf_sparse_rl.methods import METHODS, SMALL_DENSE, get, is_own
from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import field_lists

# Fields that the lists of a sweep set.
LISTED_FIELDS = ('method', 'sparsity', 'match_sparsity', 'env_name', 'seed')


def make_runs(
  methods, sparsities, env_names, num_seeds, given=None, combinations=({},)
):
  """Lists every combination once; some methods do not depend on the sparsity.

  Args:
    methods: names of METHODS, SMALL_DENSE, or 'module:Class' of a custom
      method, whose module must exist but is not imported.
    sparsities: floats in [0, 1).
    env_names: ids of Gymnasium environments.
    num_seeds: seeds 0, 1, ... of each combination.
    given: `{field of Config: value}` for every run, without the fields that
      the lists set and those that depend on them.
    combinations: list of further `{field: value}`, each combined with all of
      the above; see `field_lists.parse`.

  Returns:
    List of ListedRun, seed by seed, so that an unfinished sweep can be used.

  Raises:
    ValueError: for anything that a run would refuse, with the nearest name.
  """
  for method in methods:
    if is_own(method):
      modules.find(method, '--methods')
    elif method not in (*METHODS, SMALL_DENSE):
      raise ValueError(names.unknown('method', method, (*METHODS, SMALL_DENSE)))
  if is_own(network := (given or {}).get('network') or ''):
    modules.find(network, '--network')
  runs = {}
  for seed in range(num_seeds):
    for env_name in env_names:
      for method in methods:
        for sparsity in sparsities if _has_sparsity(method) else (None,):
          for values in combinations:
            run = _make_run(
              env_name, method, sparsity, seed, given or {}, values
            )
            if runs.setdefault(run.id, run) != run:
              raise ValueError(
                f'Expected runs with ids that differ. Received twice: {run.id}.'
              )
  check(runs.values())
  return list(runs.values())


def _has_sparsity(method):
  """Whether runs of a method differ by a sparsity that is asked for."""
  return method == SMALL_DENSE or get(method).has_target


def _make_run(env_name, method, sparsity, seed, given, values):
  listed = {'env_name': env_name, 'method': method, 'seed': seed}
  # The id is the name of a directory.
  parts = [re.sub('[/:]', '_', name) for name in (env_name, method)]
  if sparsity is not None:
    # Not rounded: two sparsities never share an id.
    parts.append(repr(float(sparsity)))
  if method == SMALL_DENSE:
    listed.update(method='dense', match_sparsity=float(sparsity))
  elif sparsity is not None:
    listed.update(sparsity=float(sparsity))
  if values:
    parts.append(re.sub('[/:]', '_', field_lists.label(values)))
    listed.update(values)
  if 'method_kwargs' in given and not is_own(method):
    listed['method_kwargs'] = '{}'
  rest = {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in config_lib.without_copies(given, listed).items()
    if name not in listed and name not in LISTED_FIELDS and value is not None
  }
  listed = {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in listed.items()
  }
  return ListedRun('-'.join([*parts, f'seed{seed}']), {**listed, **rest})


def check(runs):
  """Resolves every config; checks each agent and environment once.

  Args:
    runs: ListedRuns.

  Raises:
    ValueError: for anything that a run would refuse, with the nearest name.
  """
  suited = set()
  for run in runs:
    config = run.config()
    env = (config.env_name, config.env_kwargs, config.env_wrappers)
    if (config.agent, env) not in suited:
      envs.make(config).close()
      suited.add((config.agent, env))
