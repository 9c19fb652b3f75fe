"""Tables of the results of one agent, one function each.

A function takes an AgentStudy and returns a Table, or None without rows. Each
Column is paired with the function of a result that computes its value.
"""

from typing import NamedTuple

from tf_sparse_rl import methods
from tf_sparse_rl.report import aggregates, conditions, scores, tables
from tf_sparse_rl.report.tables import Column

_ENVIRONMENT = {Column('environment'): lambda r: r.env_name}


def _sparsity(result):
  """That of a cell; None if its runs find it."""
  cell = result.cell
  return None if methods.get(cell.method).finds_sparsity else cell.sparsity


_METHOD = {
  Column('method'): lambda r: methods.get(r.cell.method).label,
  Column('sparsity', 'g', missing='found'): _sparsity,
}
_CELL = {
  **_METHOD,
  Column('distribution'): lambda r: r.cell.distribution or None,
}
_RETURN = {
  Column('return', 1, missing='no finished run'): lambda r: r.final_return
}
_VARIANT = {Column('other fields', long=True): lambda r: r.cell.variant or None}


def returns(study):
  """Final returns by environment."""

  def seeds(result):
    finished, asked_for = len(result.condition.finished), len(study.seeds)
    return f'{finished}' + f' of {asked_for}' * (finished < asked_for)

  columns = {
    **_ENVIRONMENT,
    **_CELL,
    **_RETURN,
    Column('normalised', 3): lambda r: r.normalized,
    Column('seeds'): seeds,
    **_cost('parameters', 0, 'parameters', round),
    **_VARIANT,
  }
  note = (
    "Mean over seeds of the mean of the last 10 % of a run's evaluations, with "
    f'{_interval(study)}. Parameters are active weights and all biases.'
  )
  return _table(study, 'returns', 'Final returns', columns, study.results, note)


def aggregate_scores(study):
  """IQM, median and optimality gap of each cell."""
  columns = {
    **_CELL,
    Column('IQM', 3): lambda a: a.estimates['iqm'],
    Column('median', 3): lambda a: a.estimates['median'],
    Column('optimality gap', 3): lambda a: a.estimates['optimality_gap'],
    Column('seeds', 0): lambda a: a.matrix.shape[0],
    Column('envs', 0): lambda a: a.matrix.shape[1],
    **_VARIANT,
  }
  aggregated = {a.cell for a in study.aggregates}
  left_out = {r.cell.label for r in study.results if r.cell not in aggregated}
  missing = ', '.join(sorted(left_out))
  note = (
    f'Normalised returns over {", ".join(study.scored_env_names)}: '
    'interquartile mean (IQM) over runs and environments, median of the means '
    'of the environments, and optimality gap (mean shortfall from a score of '
    f'1), with {_interval(study)} that draws runs within each environment.'
    + (f' Not in all of these environments: {missing}.' if missing else '')
  )
  return _table(
    study, 'aggregates', 'Aggregate scores', columns, study.aggregates, note
  )


def improvements(study):
  """Probability of improvement over dense networks."""
  columns = {
    **_CELL,
    Column('against'): lambda x: x.baseline.label,
    Column('probability of improvement', 2): lambda x: x.estimate,
    **_VARIANT,
  }
  note = (
    'Probability that a run scores more than a run of the baseline in the same '
    'environment, mean over environments; ties count half. With '
    f'{_interval(study)}.'
  )
  return _table(
    study,
    'improvement',
    'Probability of improvement, in numbers',
    columns,
    study.improvements,
    note,
  )


def cost(study):
  """Size, FLOPs, memory and time of the runs, beside their returns."""
  columns = {
    **_ENVIRONMENT,
    **_CELL,
    **_RETURN,
    **_cost('parameters', 0, 'parameters', round),
    **_cost('non-zeros', 0, 'nonzero', round),
    **_cost('inference kFLOPs', 1, 'inference_flops', lambda x: x / 1e3),
    **_cost('train TFLOPs', 3, 'train_flops', lambda x: x / 1e12),
    **_cost('env steps/s', 0, 'env_steps_per_sec'),
    **_cost('peak MiB', 0, 'peak_memory_mib'),
    **_cost('minutes', 1, 'wall_seconds', lambda x: x / 60),
    **_VARIANT,
  }
  note = (
    'Means over seeds. Non-zeros are active kernel entries at the end. '
    'Inference FLOPs are those of one greedy action, train FLOPs those of all '
    'train steps. Neither counts zeros, which hardware without sparse kernels '
    'multiplies all the same. Peak memory is that of the process.'
  )
  return _table(
    study, 'cost', 'Cost beside return', columns, study.results, note
  )


class _Pair(NamedTuple):
  """A result and that of the paper."""

  cell: conditions.Cell
  env_name: str
  ours: aggregates.Estimate
  paper: aggregates.Estimate
  num_seeds: int

  @property
  def why_incomparable(self):
    """A reason, or None."""
    return scores.INCOMPARABLE.get(self.env_name)

  @property
  def difference(self):
    """The result minus the paper's, or None."""
    if self.why_incomparable:
      return None
    return self.ours.value - self.paper.value

  @property
  def percent(self):
    """The difference in per cent of the paper's value, or None."""
    if self.why_incomparable:
      return None
    return 100 * self.difference / abs(self.paper.value)


def beside_the_paper(study):
  """Final returns, those of the paper, and the difference."""
  pairs = [
    _Pair(r.cell, r.env_name, r.final_return, paper, len(r.condition.finished))
    for r in study.results
    if (paper := _paper(r.cell, 'return', scores.base_name(r.env_name)))
    and r.final_return is not None
  ]
  columns = {
    **_ENVIRONMENT,
    **_pair_columns(digits=1),
    Column('note', long=True): lambda p: p.why_incomparable,
  }
  title = 'Returns beside the paper'
  return _table(study, 'paper', title, columns, pairs, _paper_note(study))


def iqm_beside_the_paper(study):
  """IQMs and those of the paper, for the same environments."""
  names = tuple(sorted(map(scores.base_name, study.scored_env_names)))
  if names != scores.PAPER_IQM_ENVS:
    return None
  pairs = [
    _Pair(a.cell, 'all', a.estimates['iqm'], paper, len(a.matrix))
    for a in study.aggregates
    if (paper := _paper(a.cell, 'iqm', 'all'))
  ]
  title = 'Aggregate scores beside the paper'
  columns = _pair_columns(digits=3)
  return _table(study, 'paper_iqm', title, columns, pairs, _paper_note(study))


def _paper(cell, metric, env):
  """The paper's Estimate, or None if it has none."""
  value = cell.is_plain and scores.paper_value(
    metric, cell.agent, env, cell.method, cell.sparsity
  )
  return aggregates.Estimate(*value) if value else None


def _pair_columns(digits):
  return {
    **_METHOD,
    Column('ours', digits): lambda p: p.ours,
    Column('paper', digits): lambda p: p.paper,
    Column('difference', digits, signed=True): lambda p: p.difference,
    Column('in %', 0, signed=True): lambda p: p.percent,
    Column('our seeds', 0): lambda p: p.num_seeds,
  }


def _paper_note(study):
  length = scores.PAPER_ENV_STEPS[study.agent.upper()]
  ours = ' and '.join(f'{n:,}' for n in study.num_env_steps)
  return (
    f"Ours are after {ours} env steps. The paper's are after {length:,}, with "
    'at least 10 seeds and older versions of the environments. They are read '
    'off its figures: bars to about 0.003, curves to 1 or 2 % of the axis.'
  )


def _table(study, name, title, columns, results, note):
  """Makes a table of one agent, without empty columns.

  `columns` is `{Column: function of a result}`. An empty column stays if its
  `missing` is not the default.
  """
  if not results:
    return None
  values = {c: [value(r) for r in results] for c, value in columns.items()}
  kept = {
    c: v
    for c, v in values.items()
    if c.missing != tables.MISSING or any(x is not None for x in v)
  }
  rows = list(zip(*kept.values()))
  return tables.Table(f'{study.agent}_{name}', title, tuple(kept), rows, note)


def _cost(title, digits, name, scale=lambda mean: mean):
  """The column of one of study.COSTS."""

  def value(result):
    mean = result.costs[name]
    return None if mean is None else scale(mean)

  return {Column(title, digits, missing=tables.NOT_RECORDED): value}


def _interval(study):
  return (
    f'{100 * aggregates.INTERVAL:.0f} % intervals of a stratified bootstrap '
    f'({study.num_resamples:,} resamples)'
  )
