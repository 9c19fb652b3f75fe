"""The runs of a sweep: methods x sparsities x environments x seeds."""

import re
from typing import Any, NamedTuple

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, names
from tf_sparse_rl.methods import METHODS, SMALL_DENSE

# What the lists of a sweep set.
LISTED_FIELDS = ('method', 'sparsity', 'match_sparsity', 'env_name', 'seed')


class Run(NamedTuple):
  """One line of runs.jsonl."""

  id: str  # also the name of its directory
  flags: dict[str, Any]  # of tf_sparse_rl.train, in JSON types

  @property
  def values(self):
    """The flags as values of a Config."""
    return {
      name: tuple(value) if isinstance(value, list) else value
      for name, value in self.flags.items()
    }

  def config(self):
    """The resolved, checked Config of the run.

    Raises:
      ValueError: for a value that does not fit.
    """
    known = [field.name for field in config_lib.fields()]
    for name in self.flags:
      if name not in known:
        raise ValueError(f'{self.id}: {names.unknown("flag", name, known)}')
    return config_lib.make_config(self.values)

  def arguments(self):
    """The flags as `tf_sparse_rl.train` takes them, a list of strings."""
    return [f'--{name}={_text(value)}' for name, value in self.flags.items()]


def _text(value):
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, list):
    return ','.join(str(v) for v in value)
  return str(value)


def make_runs(methods, sparsities, env_names, num_seeds, given=None):
  """Lists every combination once; dense does not depend on the sparsity.

  Args:
    methods: names out of METHODS, or SMALL_DENSE.
    sparsities: floats in [0, 1).
    env_names: ids of Gymnasium environments.
    num_seeds: seeds 0, 1, ... of each combination.
    given: `{field of Config: value}` for every run; what the lists set and
      what follows from that is left out.

  Returns:
    List of Run, seed by seed, so that an unfinished sweep is of use.

  Raises:
    ValueError: for anything that a run would refuse, with the nearest name.
  """
  for method in methods:
    if method not in (*METHODS, SMALL_DENSE):
      raise ValueError(names.unknown('method', method, (*METHODS, SMALL_DENSE)))
  runs = {}
  for seed in range(num_seeds):
    for env_name in env_names:
      for method in methods:
        for sparsity in (None,) if method == 'dense' else sparsities:
          run = _make_run(env_name, method, sparsity, seed, given or {})
          if runs.setdefault(run.id, run) != run:
            raise ValueError(
              f'Expected runs with ids that differ. Received twice: {run.id}.'
            )
  check(runs.values())
  return list(runs.values())


def _make_run(env_name, method, sparsity, seed, given):
  listed = {'env_name': env_name, 'method': method, 'seed': seed}
  # The id is the name of a directory.
  parts = [re.sub('[/:]', '_', env_name), method]
  if sparsity is not None:
    # Not rounded: two sparsities never share an id.
    parts.append(repr(float(sparsity)))
  if method == SMALL_DENSE:
    listed.update(method='dense', match_sparsity=float(sparsity))
  elif method != 'dense':
    listed.update(sparsity=float(sparsity))
  rest = {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in config_lib.without_copies(given, listed).items()
    if name not in LISTED_FIELDS and value is not None
  }
  return Run('-'.join([*parts, f'seed{seed}']), {**listed, **rest})


def check(runs):
  """Resolves every config; sees once that each agent suits its environment.

  Args:
    runs: Runs.

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
