"""The tables of one agent's results, each one function."""

from tf_sparse_rl.report import aggregates, conditions, scores, tables
from tf_sparse_rl.report.tables import Column

_METHOD = (Column('method'), Column('sparsity', 3), Column('allocation'))
_VARIANT = Column('set apart by')


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
        r.cell.variant or None,
        r.final_return,
        r.normalized,
        _seeds(study, r),
        _whole(r.costs['parameters']),
      )
    )
  columns = (
    Column('environment'),
    *_METHOD,
    _VARIANT,
    Column('return', 1, missing='no finished run'),
    Column('normalised', 3),
    Column('seeds'),
    Column('parameters', 0, missing=tables.NOT_RECORDED),
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
      a.cell.variant or None,
      *(a.estimates[name] for name in aggregates.AGGREGATES),
      a.matrix.shape[0],
      a.matrix.shape[1],
    )
    for a in study.aggregates
  ]
  columns = (
    *_METHOD,
    _VARIANT,
    Column('IQM', 3),
    Column('median', 3),
    Column('optimality gap', 3),
    Column('seeds', 0),
    Column('environments', 0),
  )
  return _table(
    study,
    'aggregates',
    'Aggregate scores',
    columns,
    rows,
    f'Of normalised returns over {", ".join(study.scored_env_names)}: '
    'interquartile mean over runs and environments, median of the '
    "environments' means, and what is missing to a score of 1; with "
    f'{_interval(study)}, runs drawn within each environment.',
  )


def improvements(study):
  """How likely a run of a method beats one of a dense network.

  Args:
    study: an AgentStudy.

  Returns:
    Table, or None without dense runs.
  """
  rows = []
  for aggregate, baseline, estimate in improvement_estimates(study):
    cell = aggregate.cell
    rows.append((*_cell(cell), cell.variant or None, baseline.label, estimate))
  columns = (
    *_METHOD,
    _VARIANT,
    Column('against'),
    Column('probability of improvement', 2),
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


def improvement_estimates(study):
  """The cells beside the dense ones of full and of equal size.

  Args:
    study: an AgentStudy.

  Returns:
    List of (Aggregate, Cell of the baseline, Estimate).
  """
  found = []
  for a in study.aggregates:
    if a.cell.method == 'dense':
      continue
    small = {'method': 'small_dense', 'sparsity': a.cell.sparsity}
    wanted = [{'method': 'dense'}]
    if a.cell.method != 'small_dense':
      wanted.append(small)
    for fields in wanted:
      baseline = study.aggregate(**fields, variant='')
      if baseline is not None:
        estimate = aggregates.probability_of_improvement(
          a.matrix, baseline.matrix, study.num_resamples
        )
        found.append((a, baseline.cell, estimate))
  return found


def beside_the_paper(study):
  """Our numbers, the paper's, and the difference.

  Args:
    study: an AgentStudy.

  Returns:
    Table, or None if the paper has nothing of this.
  """
  rows = []
  for r in study.results:
    paper = _paper(r, 'return', scores.base_name(r.env_name))
    if paper is None or r.final_return is None:
      continue
    why_not = scores.INCOMPARABLE.get(r.env_name)
    difference = None if why_not else r.final_return.value - paper.value
    rows.append(
      (
        r.env_name,
        'return',
        *_cell(r.cell)[:2],
        r.final_return,
        paper,
        difference,
        None if why_not else 100 * difference / abs(paper.value),
        len(r.condition.finished),
        why_not,
      )
    )
  rows += _paper_iqms(study)
  columns = (
    Column('environment'),
    Column('of'),
    *_METHOD[:2],
    Column('ours', 3),
    Column('paper', 3),
    Column('difference', 3, signed=True),
    Column('in %', 0, signed=True),
    Column('our seeds', 0),
    Column('note'),
  )
  length = scores.PAPER_ENV_STEPS.get(study.agent.upper())
  ours = ' and '.join(f'{n:,}' for n in study.num_env_steps)
  return (
    _table(
      study,
      'paper',
      'Beside the paper',
      columns,
      rows,
      f"Ours after {ours} env steps; the paper's after {length:,}, read off "
      'its figures (bars to about 0.003, curves to 1 or 2 % of the axis), at '
      'least 10 seeds each, older versions of the environments.',
    )
    if rows
    else None
  )


def _paper(result, metric, env):
  cell = result.cell
  if cell.variant or cell.distribution not in ('', 'erk'):
    return None
  value = scores.paper_value(
    metric, cell.agent, env, cell.method, cell.sparsity
  )
  return value and aggregates.Estimate(*value)


def _paper_iqms(study):
  """IQMs, where the environments are the paper's."""
  names = tuple(sorted(map(scores.base_name, study.scored_env_names)))
  if names != scores.PAPER_IQM_ENVS:
    return []
  rows = []
  for a in study.aggregates:
    paper = _paper(a, 'iqm', 'all')
    if paper is not None:
      ours = a.estimates['iqm']
      difference = ours.value - paper.value
      percent = 100 * difference / abs(paper.value)
      sizes = (len(a.matrix), None)
      rows.append(
        ('all', 'IQM', *_cell(a.cell)[:2], ours, paper, difference, percent)
        + sizes
      )
  return rows


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
        r.cell.variant or None,
        r.final_return,
        _whole(c['parameters']),
        _whole(c['nonzero']),
        _scaled(c['inference_flops'], 1e3),
        _scaled(c['train_flops'], 1e12),
        c['env_steps_per_sec'],
        c['peak_memory_mib'],
        _scaled(c['wall_seconds'], 60),
      )
    )
  unknown = {'missing': tables.NOT_RECORDED}
  columns = (
    Column('environment'),
    *_METHOD,
    _VARIANT,
    Column('return', 1, missing='no finished run'),
    Column('parameters', 0, **unknown),
    Column('non-zeros', 0, **unknown),
    Column('inference kFLOPs', 1, **unknown),
    Column('train TFLOPs', 3, **unknown),
    Column('env steps/s', 0, **unknown),
    Column('peak MiB', 0, **unknown),
    Column('minutes', 1, **unknown),
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
