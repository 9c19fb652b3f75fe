"""From conditions to results: returns, scores, aggregates and cost."""

import dataclasses

import numpy as np

from tf_sparse_rl import methods
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.report import aggregates, conditions, scores

# Fields of Summary that a condition has the mean of.
COSTS = (
  'parameters',
  'nonzero',
  'inference_flops',
  'train_flops',
  'env_steps_per_sec',
  'peak_memory_mib',
  'wall_seconds',
)


@dataclasses.dataclass(frozen=True)
class Result:
  """What came of a condition."""

  condition: conditions.Condition
  final_return: aggregates.Estimate | None  # None without a finished run
  costs: dict  # {name in COSTS: mean over runs, or None if not recorded}

  @property
  def cell(self):
    """The condition without its environment."""
    return self.condition.cell

  @property
  def env_name(self):
    """The environment."""
    return self.condition.env_name

  @property
  def normalized(self):
    """The final return on the scale of the reference agents, or None."""
    reference = scores.reference(self.env_name)
    if reference is None or self.final_return is None:
      return None
    return aggregates.Estimate(*map(reference.normalize, self.final_return))


@dataclasses.dataclass(frozen=True)
class Aggregate:
  """What came of a cell over all environments of a study."""

  cell: conditions.Cell
  matrix: np.ndarray  # normalised final returns, [runs, environments]
  estimates: dict  # {name in aggregates.AGGREGATES: Estimate}


@dataclasses.dataclass(frozen=True)
class AgentStudy:
  """All results of one agent."""

  agent: str
  seeds: tuple
  results: tuple  # of Result
  aggregates: tuple  # of Aggregate; cells that lack an environment are not in
  improvements: tuple  # of (Cell, Cell of a dense baseline, Estimate)
  num_resamples: int

  @property
  def env_names(self):
    """The environments, sorted."""
    return tuple(sorted({r.env_name for r in self.results}))

  @property
  def scored_env_names(self):
    """Those with reference scores."""
    return tuple(n for n in self.env_names if scores.reference(n) is not None)

  @property
  def num_env_steps(self):
    """The lengths of the runs, sorted."""
    lengths = {
      run.config.num_env_steps for r in self.results for run in r.condition.runs
    }
    return tuple(sorted(lengths))

  def result(self, cell, env_name):
    """The Result of a cell in an environment, or None."""
    for result in self.results:
      if (result.cell, result.env_name) == (cell, env_name):
        return result
    return None

  def aggregate(self, method, sparsity=0.0):
    """The Aggregate of a plain dense or small dense cell, or None."""
    return _baseline(self.aggregates, method, sparsity)


def build(all_conditions, num_resamples):
  """Works the results out, agent by agent.

  Args:
    all_conditions: list of Condition; missing seeds are left out.
    num_resamples: of each bootstrap.

  Returns:
    List of AgentStudy.
  """
  by_agent = {}
  for condition in all_conditions:
    by_agent.setdefault(condition.cell.agent, []).append(condition)
  return [
    _agent_study(agent, members, num_resamples)
    for agent, members in sorted(by_agent.items())
  ]


def _agent_study(agent, members, num_resamples):
  found = _aggregates(members, num_resamples)
  return AgentStudy(
    agent,
    tuple(sorted({run.config.seed for c in members for run in c.runs})),
    tuple(_result(c, num_resamples) for c in members),
    found,
    _improvements(found, num_resamples),
    num_resamples,
  )


def _result(condition, num_resamples):
  finished = condition.finished
  returns = [run.summary.final_return for run in finished]
  return Result(
    condition,
    aggregates.mean(returns, num_resamples) if returns else None,
    {name: _mean_cost(finished, name) for name in COSTS},
  )


def _mean_cost(finished, name):
  values = [getattr(run.summary, name) for run in finished]
  return None if not values or None in values else sum(values) / len(values)


def _aggregates(members, num_resamples):
  scored = [c for c in members if scores.reference(c.env_name) is not None]
  env_names = sorted({c.env_name for c in scored})
  by_cell = {}
  for condition in scored:
    by_cell.setdefault(condition.cell, {})[condition.env_name] = condition
  result = []
  for cell, by_env in sorted(by_cell.items(), key=_cell_order):
    if sorted(by_env) != env_names:
      continue
    matrix = score_matrix([by_env[name] for name in env_names])
    if len(matrix):
      estimates = aggregates.aggregate(matrix, num_resamples)
      result.append(Aggregate(cell, matrix, estimates))
  return tuple(result)


def _improvements(found, num_resamples):
  """Cells beside the dense one of full size and that of equal size."""
  result = []
  for a in found:
    if a.cell.method == 'dense':
      continue
    baselines = [_baseline(found, 'dense', 0.0)]
    if a.cell.method != methods.SMALL_DENSE:
      baselines.append(_baseline(found, methods.SMALL_DENSE, a.cell.sparsity))
    for baseline in baselines:
      if baseline is not None:
        estimate = aggregates.probability_of_improvement(
          a.matrix, baseline.matrix, num_resamples
        )
        result.append((a.cell, baseline.cell, estimate))
  return tuple(result)


def _baseline(found, method, sparsity):
  for a in found:
    if a.cell[1:] == (method, sparsity, '', ''):
      return a
  return None


def _cell_order(item):
  cell = item[0]
  return (methods.order(cell.method), *cell[2:])


def score_matrix(members):
  """Normalised final returns of one cell.

  Args:
    members: list of Condition, one an environment with reference scores.

  Returns:
    `[runs, environments]`; the seeds that are finished in all of them.
  """
  seeds = sorted(set.intersection(*(set(c.seeds) for c in members)))
  columns = []
  for condition in members:
    by_seed = {run.config.seed: run for run in condition.finished}
    returns = [by_seed[s].summary.final_return for s in seeds]
    reference = scores.reference(condition.env_name)
    columns.append(reference.normalize(np.array(returns, float)))
  return np.stack(columns, axis=1)


def curves(condition, seeds=None):
  """Returns of the runs of a condition over time.

  Args:
    condition: a Condition.
    seeds: of the runs to take; None takes all that are finished, or, where
      none is, all that have results.

  Returns:
    (env steps `[points]`, returns `[runs, points]`): the evaluations that all
    of these runs have made.
  """
  chosen = condition.finished or [r for r in condition.runs if r.results]
  if seeds is not None:
    chosen = [run for run in chosen if run.config.seed in seeds]
  if not chosen:
    return np.zeros(0), np.zeros((0, 0))
  by_run = [{r.env_step: r.return_mean for r in run.results} for run in chosen]
  env_steps = sorted(set.intersection(*map(set, by_run)))
  returns = [[values[step] for step in env_steps] for values in by_run]
  return np.array(env_steps), np.array(returns, float)


def statuses(all_conditions):
  """How many runs there are of each status.

  Args:
    all_conditions: list of Condition.

  Returns:
    `{status: number of runs}`.
  """
  every = [run.status for c in all_conditions for run in c.runs]
  return {status: every.count(status) for status in runs_lib.STATUSES}
