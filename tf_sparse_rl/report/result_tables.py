"""The tables of one agent's results, each one function."""

from tf_sparse_rl import methods
from tf_sparse_rl.report import aggregates, tables
from tf_sparse_rl.report.tables import Column

# Columns of a cell.
METHOD = (Column('method'), Column('sparsity', 'g'), Column('allocation'))
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
        *cell_values(r.cell),
        r.final_return,
        r.normalized,
        _seeds(study, r),
        _whole(r.costs['parameters']),
        r.cell.variant or None,
      )
    )
  columns = (
    Column('environment'),
    *METHOD,
    Column('return', 1, missing='no finished run'),
    Column('normalised', 3),
    Column('seeds'),
    Column('parameters', 0, missing=tables.NOT_RECORDED),
    _VARIANT,
  )
  return make_table(
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
      *cell_values(a.cell),
      *(a.estimates[name] for name in aggregates.AGGREGATES),
      a.matrix.shape[0],
      a.matrix.shape[1],
      a.cell.variant or None,
    )
    for a in study.aggregates
  ]
  columns = (
    *METHOD,
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
  return make_table(
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
    rows.append(
      (*cell_values(cell), baseline.label, estimate, cell.variant or None)
    )
  columns = (
    *METHOD,
    Column('against'),
    Column('probability of improvement', 2),
    _VARIANT,
  )
  return (
    make_table(
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
        *cell_values(r.cell),
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
    *METHOD,
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
  return make_table(
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


def make_table(study, name, title, columns, rows, note):
  """A table of one agent, without the columns that nothing stands in.

  Args:
    study: an AgentStudy.
    name: of its files, after that of the agent.
    title: for people.
    columns: sequence of Column; one whose `missing` is not the usual stays.
    rows: list of tuples.
    note: a sentence or more.

  Returns:
    Table.
  """
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


def cell_values(cell):
  """The values under METHOD.

  Args:
    cell: a Cell.

  Returns:
    (name, sparsity, distribution or None).
  """
  return (
    methods.get(cell.method).label,
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
