"""Checks that all conditions have the same finished seeds."""

from tf_sparse_rl import runs as runs_lib


def check(conditions):
  """Checks that the conditions of each agent have the same finished seeds.

  Args:
    conditions: list of Condition.

  Raises:
    RunsError: naming the missing runs.
  """
  missing = [
    f'{c.cell.agent} {c.env_name} {c.cell.label}: {_seed_list(c, seeds)}'
    for c, seeds in missing_seeds(conditions)
  ]
  if missing:
    raise runs_lib.RunsError(
      'Expected a finished run of every seed under every condition. Missing:\n'
      '  ' + '\n  '.join(missing) + '\nFinish these runs, or report without '
      'them with --allow_unfinished; the report says so.'
    )


def missing_seeds(conditions):
  """Lists (Condition, seeds without a finished run) where there are any."""
  expected = {}
  for condition in conditions:
    seeds = expected.setdefault(condition.cell.agent, set())
    seeds.update(run.config.seed for run in condition.runs)
  missing = [
    (c, sorted(expected[c.cell.agent] - set(c.seeds))) for c in conditions
  ]
  return [(c, seeds) for c, seeds in missing if seeds]


def _seed_list(condition, seeds):
  there = {
    run.config.seed: run.damage or f'{run.status}: {run.path}'
    for run in condition.runs
  }
  words = [f'{s} ({there.get(s, "no such run")})' for s in seeds]
  return f'seed{"s" if len(words) > 1 else ""} {", ".join(words)}'
