"""The tables of one agent's results, each one function."""

from tf_sparse_rl.report import aggregates, conditions, scores, tables
from tf_sparse_rl.report.tables import Column

_METHOD = (Column('method'), Column('sparsity', 'g'), Column('allocation'))
_VARIANT = Column('set apart by', long=True)


def returns(study):
  """Final returns, environment by environment.

  Args:
    study: an AgentStudy.

  Returns:
    Table.
  """
  rows = []
  for r in study.results:
    rows.append(
      (
        r.env_name,
        *_cell(r.cell),
        r.final_return,
        r.normalized,
        _seeds(study, r),
        _whole(r.costs['parameters']),
        r.cell.variant or None,
      )
    )
  columns = (
    Column('environment'),
    *_METHOD,
    Column('return', 1, missing='no finished run'),
    Column('normalised', 3),
    Column('seeds'),
    Column('parameters', 0, missing=tables.NOT_RECORDED),
    _VARIANT,
  )
  return _table(
    study,
    'returns',
    'Final returns',
    columns,
    rows,
    "Mean over seeds of the mean of the last 10 % of a run's evaluations, with "
    f'{_interval(study)}. Parameters are active weights and all biases.',
  )


def aggregate_scores(study):
  """IQM, median and optimality gap of each cell.

  Args:
    study: an AgentStudy.

  Returns:
    Table, or None if no environment has reference scores.
  """
  if not study.aggregates:
    return None
  rows = [
    (
      *_cell(a.cell),
      *(a.estimates[name] for name in aggregates.AGGREGATES),
      a.matrix.shape[0],
      a.matrix.shape[1],
      a.cell.variant or None,
    )
    for a in study.aggregates
  ]
  columns = (
    *_METHOD,
    Column('IQM', 3),
    Column('median', 3),
    Column('optimality gap', 3),
    Column('seeds', 0),
    Column('envs', 0),
    _VARIANT,
  )
  aggregated = {a.cell for a in study.aggregates}
  left_out = {r.cell.label for r in study.results if r.cell not in aggregated}
  missing = ', '.join(sorted(left_out))
  return _table(
    study,
    'aggregates',
    'Aggregate scores',
    columns,
    rows,
    f'Of normalised returns over {", ".join(study.scored_env_names)}: '
    'interquartile mean over runs and environments, median of the '
    "environments' means, and what is missing to a score of 1; with "
    f'{_interval(study)}, runs drawn within each environment.'
    + (f' Not in all of these environments: {missing}.' if missing else ''),
  )


def improvements(study):
  """How likely a run of a method beats one of a dense network.

  Args:
    study: an AgentStudy.

  Returns:
    Table, or None without dense runs.
  """
  rows = []
  for cell, baseline, estimate in study.improvements:
    rows.append((*_cell(cell), baseline.label, estimate, cell.variant or None))
  columns = (
    *_METHOD,
    Column('against'),
    Column('probability of improvement', 2),
    _VARIANT,
  )
  return (
    _table(
      study,
      'improvement',
      'Probability of improvement',
      columns,
      rows,
      'That a run scores more than one of the baseline in the same '
      'environment, ties counted half, mean over environments; with '
      f'{_interval(study)}.',
    )
    if rows
    else None
  )


def beside_the_paper(study):
  """Our final returns, the paper's, and the difference.

  Args:
    study: an AgentStudy.

  Returns:
    Table, or None if the paper has nothing of this.
  """
  rows = []
  for r in study.results:
    paper = _paper(r.cell, 'return', scores.base_name(r.env_name))
    if paper is None or r.final_return is None:
      continue
    why_not = scores.INCOMPARABLE.get(r.env_name)
    differences = (None, None) if why_not else _beside(r.final_return, paper)
    seeds = len(r.condition.finished)
    rows.append(
      (r.env_name, *_cell(r.cell)[:2], r.final_return, paper)
      + (*differences, seeds, why_not)
    )
  columns = (
    Column('environment'),
    *_METHOD[:2],
    *_paper_columns(digits=1),
    Column('note', long=True),
  )
  return _paper_table(study, 'paper', 'Returns beside the paper', columns, rows)


def iqm_beside_the_paper(study):
  """Our IQMs and the paper's, where the environments are the same.

  Args:
    study: an AgentStudy.

  Returns:
    Table, or None.
  """
  names = tuple(sorted(map(scores.base_name, study.scored_env_names)))
  if names != scores.PAPER_IQM_ENVS:
    return None
  rows = []
  for a in study.aggregates:
    paper = _paper(a.cell, 'iqm', 'all')
    if paper is not None:
      ours = a.estimates['iqm']
      rows.append(
        (*_cell(a.cell)[:2], ours, paper, *_beside(ours, paper), len(a.matrix))
      )
  columns = (*_METHOD[:2], *_paper_columns(digits=3))
  title = 'Aggregate scores beside the paper'
  return _paper_table(study, 'paper_iqm', title, columns, rows)


def _paper(cell, metric, env):
  if cell.variant or cell.distribution not in ('', 'erk'):
    return None
  value = scores.paper_value(
    metric, cell.agent, env, cell.method, cell.sparsity
  )
  return value and aggregates.Estimate(*value)


def _beside(ours, paper):
  """The difference, and that in per cent of the paper's."""
  difference = ours.value - paper.value
  return difference, 100 * difference / abs(paper.value)


def _paper_columns(digits):
  return (
    Column('ours', digits),
    Column('paper', digits),
    Column('difference', digits, signed=True),
    Column('in %', 0, signed=True),
    Column('our seeds', 0),
  )


def _paper_table(study, name, title, columns, rows):
  if not rows:
    return None
  length = scores.PAPER_ENV_STEPS[study.agent.upper()]
  ours = ' and '.join(f'{n:,}' for n in study.num_env_steps)
  note = (
    f"Ours after {ours} env steps; the paper's after {length:,}, read off its "
    'figures (bars to about 0.003, curves to 1 or 2 % of the axis), at least '
    '10 seeds each, older versions of the environments.'
  )
  return _table(study, name, title, columns, rows, note)


def cost(study):
  """What the networks and runs cost, beside what they return.

  Args:
    study: an AgentStudy.

  Returns:
    Table.
  """
  rows = []
  for r in study.results:
    c = r.costs
    rows.append(
      (
        r.env_name,
        *_cell(r.cell),
        r.final_return,
        _whole(c['parameters']),
        _whole(c['nonzero']),
        _scaled(c['inference_flops'], 1e3),
        _scaled(c['train_flops'], 1e12),
        c['env_steps_per_sec'],
        c['peak_memory_mib'],
        _scaled(c['wall_seconds'], 60),
        r.cell.variant or None,
      )
    )
  unknown = {'missing': tables.NOT_RECORDED}
  columns = (
    Column('environment'),
    *_METHOD,
    Column('return', 1, missing='no finished run'),
    Column('parameters', 0, **unknown),
    Column('non-zeros', 0, **unknown),
    Column('inference kFLOPs', 1, **unknown),
    Column('train TFLOPs', 3, **unknown),
    Column('env steps/s', 0, **unknown),
    Column('peak MiB', 0, **unknown),
    Column('minutes', 1, **unknown),
    _VARIANT,
  )
  return _table(
    study,
    'cost',
    'Cost beside return',
    columns,
    rows,
    'Means over seeds. Non-zeros are active kernel entries at the end. FLOPs '
    'leave zeros out, which a processor without sparse kernels still '
    'multiplies: of one greedy action, and of all train steps. Peak memory is '
    'that of the whole process.',
  )


def _table(study, name, title, columns, rows, note):
  """A table without the columns that nothing stands in."""
  keep = [
    i
    for i, column in enumerate(columns)
    if column.missing != '–' or any(row[i] is not None for row in rows)
  ]
  return tables.Table(
    f'{study.agent}_{name}',
    title,
    tuple(columns[i] for i in keep),
    [tuple(row[i] for i in keep) for row in rows],
    note,
  )


def _cell(cell):
  return (
    conditions.METHOD_NAMES[cell.method],
    cell.sparsity,
    cell.distribution or None,
  )


def _interval(study):
  return (
    f'{100 * aggregates.INTERVAL:.0f} % intervals of a stratified bootstrap '
    f'({study.num_resamples:,} resamples)'
  )


def _seeds(study, result):
  finished = len(result.condition.finished)
  if finished == len(study.seeds):
    return str(finished)
  return f'{finished} of {len(study.seeds)}'


def _whole(value):
  return None if value is None else round(value)


def _scaled(value, unit):
  return None if value is None else value / unit
