"""Results of conditions: returns, scores, aggregates and cost."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import methods
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.report import aggregates, conditions, scores

# Fields of Summary that are averaged over runs.
COSTS = (
  *('parameters', 'nonzero', 'inference_flops', 'train_flops'),
  *('env_steps_per_sec', 'peak_memory_mib', 'wall_seconds'),
)


_MOST_BY_CHANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Result:
  """The results of a condition."""

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
  def config(self):
    """The Config of the first run; others differ in their seeds only."""
    return self.condition.runs[0].config

  @property
  def normalized(self):
    """The normalised final return, or None."""
    reference = scores.reference(self.env_name)
    if reference is None or self.final_return is None:
      return None
    return aggregates.Estimate(*map(reference.normalize, self.final_return))


@dataclasses.dataclass(frozen=True)
class Aggregate:
  """The results of a cell over all environments of a study."""

  cell: conditions.Cell
  matrix: np.ndarray  # normalised final returns, [runs, environments]
  estimates: dict  # {name in aggregates.AGGREGATES: Estimate}


class Improvement(NamedTuple):
  """Probability of improvement of a cell over another one."""

  cell: conditions.Cell
  baseline: conditions.Cell
  estimate: aggregates.Estimate
  # Probability that chance alone separates equal methods completely.
  by_chance: float

  @property
  def is_too_few(self):
    """Whether there are too few runs to compare the methods."""
    return self.by_chance > _MOST_BY_CHANCE


@dataclasses.dataclass(frozen=True)
class AgentStudy:
  """All results of one agent."""

  agent: str
  seeds: tuple
  results: tuple  # of Result
  aggregates: tuple  # of Aggregate, without cells that lack an environment
  improvements: tuple  # of Improvement
  num_resamples: int

  @property
  def env_names(self):
    """The environments, sorted."""
    return tuple(sorted({r.env_name for r in self.results}))

  @property
  def scored_env_names(self):
    """The environments with reference scores."""
    return tuple(n for n in self.env_names if scores.reference(n) is not None)

  @property
  def num_env_steps(self):
    """The lengths of the runs, sorted."""
    runs = (run for r in self.results for run in r.condition.runs)
    return tuple(sorted({run.config.num_env_steps for run in runs}))

  def result(self, cell, env_name):
    """The Result of a cell in an environment, or None."""
    wanted = (cell, env_name)
    found = (r for r in self.results if (r.cell, r.env_name) == wanted)
    return next(found, None)

  def compare(self, one, other):
    """The Improvement of one Aggregate over another, computed once if known."""
    cells = one.cell, other.cell
    known = (x for x in self.improvements if (x.cell, x.baseline) == cells)
    return next(known, None) or _compare(one, other, self.num_resamples)

  def aggregate(self, method, sparsity=0.0):
    """The Aggregate of a plain dense or small dense cell, or None."""
    return _baseline(self.aggregates, method, sparsity)


def build(all_conditions, num_resamples):
  """Computes the results of each agent.

  Args:
    all_conditions: list of Condition; missing seeds are ignored.
    num_resamples: number of bootstrap resamples.

  Returns:
    List of AgentStudy.
  """
  by_agent = {}
  for condition in all_conditions:
    by_agent.setdefault(condition.cell.agent, []).append(condition)
  studies = []
  for agent, members in sorted(by_agent.items()):
    found = _aggregates(members, num_resamples)
    studies.append(
      AgentStudy(
        agent,
        tuple(sorted({run.config.seed for c in members for run in c.runs})),
        tuple(_result(c, num_resamples) for c in members),
        found,
        _improvements(found, num_resamples),
        num_resamples,
      )
    )
  return studies


def _result(condition, num_resamples):
  summaries = [run.summary for run in condition.finished]
  returns = [summary.final_return for summary in summaries]
  costs = {}
  for name in COSTS:
    values = [getattr(summary, name) for summary in summaries]
    known = values and None not in values
    costs[name] = sum(values) / len(values) if known else None
  final_return = aggregates.mean(returns, num_resamples) if returns else None
  return Result(condition, final_return, costs)


def _aggregates(members, num_resamples):
  scored = [c for c in members if scores.reference(c.env_name) is not None]
  env_names = sorted({c.env_name for c in scored})
  by_cell = {}
  for condition in scored:
    by_cell.setdefault(condition.cell, {})[condition.env_name] = condition
  result = []
  for cell, by_env in sorted(by_cell.items(), key=lambda x: _order(x[0])):
    if sorted(by_env) != env_names:
      continue
    matrix = _score_matrix([by_env[name] for name in env_names])
    if len(matrix):
      estimates = aggregates.aggregate(matrix, num_resamples)
      result.append(Aggregate(cell, matrix, estimates))
  return tuple(result)


def _improvements(found, num_resamples):
  """Compares cells with dense networks of full size and of equal size."""
  result = []
  for a in found:
    if a.cell.method == 'dense':
      continue
    baselines = [_baseline(found, 'dense', 0.0)]
    if a.cell.method != methods.SMALL_DENSE:
      baselines.append(_baseline(found, methods.SMALL_DENSE, a.cell.sparsity))
    for baseline in baselines:
      if baseline is not None:
        result.append(_compare(a, baseline, num_resamples))
  return tuple(result)


def _compare(one, other, num_resamples):
  """The Improvement of one Aggregate over another."""
  pair = (one.matrix, other.matrix)
  return Improvement(
    one.cell,
    other.cell,
    aggregates.probability_of_improvement(*pair, num_resamples),
    aggregates.chance_of_separation(*pair),
  )


def _baseline(found, method, sparsity):
  plain = (method, sparsity, '', '')
  return next((a for a in found if a.cell[1:] == plain), None)


def _order(cell):
  return (methods.order(cell.method), *cell[2:])


def _score_matrix(members):
  """Normalised final returns `[runs, environments]` of a cell.

  Runs are the seeds that are finished in all environments.
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
  """Returns of the runs of a Condition, at their common evaluations.

  Args:
    condition: a Condition.
    seeds: of the runs to use; None for all finished runs, or if there are
      none, for all with results.

  Returns:
    (env steps `[points]`, returns `[runs, points]`).
  """
  chosen = condition.finished or [r for r in condition.runs if r.results]
  if seeds is not None:
    chosen = [run for run in chosen if run.config.seed in seeds]
  return at_common_points(
    {r.env_step: r.return_mean for r in run.results} for run in chosen
  )


def at_common_points(curves_of_runs):
  """Values of several runs at their common points.

  Args:
    curves_of_runs: iterable of `{point: value}`, one per run.

  Returns:
    (points, ascending, `[points]`; values `[runs, points]`).
  """
  by_run = list(curves_of_runs)
  if not by_run:
    return np.zeros(0), np.zeros((0, 0))
  points = sorted(set.intersection(*map(set, by_run)))
  values = [[curve[point] for point in points] for curve in by_run]
  return np.array(points), np.array(values, float)


def statuses(all_conditions):
  """Counts `{status: number of runs}` of a list of Condition."""
  every = [run.status for c in all_conditions for run in c.runs]
  return {status: every.count(status) for status in runs_lib.STATUSES}
