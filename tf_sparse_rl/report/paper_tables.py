"""Our results beside the paper's."""

from tf_sparse_rl.report import aggregates, result_tables, scores
from tf_sparse_rl.report.tables import Column


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
      (
        r.env_name,
        *result_tables.cell_values(r.cell)[:2],
        r.final_return,
        paper,
      )
      + (*differences, seeds, why_not)
    )
  columns = (
    Column('environment'),
    *result_tables.METHOD[:2],
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
        (
          *result_tables.cell_values(a.cell)[:2],
          ours,
          paper,
          *_beside(ours, paper),
          len(a.matrix),
        )
      )
  columns = (*result_tables.METHOD[:2], *_paper_columns(digits=3))
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
  return result_tables.make_table(study, name, title, columns, rows, note)
