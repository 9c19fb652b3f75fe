"""Tables of the runs themselves: directories, settings, versions."""

import os
import pathlib

from tf_sparse_rl.report import conditions, scores, tables
from tf_sparse_rl.report.tables import Column, Link


def runs(all_conditions, out_dir, unreadable=()):
  """Every run with links to its directory and config.

  Args:
    all_conditions: list of Condition.
    out_dir: where the report is written; links lead from there.
    unreadable: Runs without a config.

  Returns:
    Table.
  """
  rows = [(r.name, _status(r), *[None] * 8) for r in unreadable]
  for condition in all_conditions:
    for run in condition.runs:
      started = bool(run.versions)
      last = run.results[-1] if run.results else None
      commit = run.versions.get('git_commit')
      rows.append(
        (
          Link(run.name, _relative(run.path, out_dir)) if started else run.name,
          _status(run),
          condition.env_name,
          condition.cell.label,
          run.config.seed,
          run.summary and run.summary.final_return,
          run.summary and run.summary.best_return,
          last.env_step if last else 0,
          Link('config', _relative(run.path / 'config.json', out_dir))
          if started
          else None,
          commit and commit[:10],
        )
      )
  columns = (
    Column('run'),
    Column('status'),
    Column('environment'),
    Column('condition', long=True),
    Column('seed', 0),
    Column('final return', 1),
    Column('best return', 1),
    Column('env steps', 0),
    Column('settings'),
    Column('commit'),
  )
  note = 'Links lead from this report to the directories of the runs.'
  return tables.Table('runs', 'Runs', columns, rows, note)


def settings(all_conditions):
  """Fields that are not what the presets say, and in how many runs.

  Args:
    all_conditions: list of Condition.

  Returns:
    Table, or None if all runs are those of the presets.
  """
  counts = {}
  for condition in all_conditions:
    for run in condition.runs:
      for name, value in conditions.overrides(run).items():
        key = (condition.cell.agent, name, str(value))
        counts[key] = counts.get(key, 0) + 1
  rows = [(*key, count) for key, count in sorted(counts.items())]
  columns = (
    Column('agent'),
    Column('field'),
    Column('value'),
    Column('runs', 0),
  )
  note = (
    "Everything else is as in the presets, whose values are the paper's; each "
    "run's config.json has all of it."
  )
  table = tables.Table(
    'settings', 'Other than the presets', columns, rows, note
  )
  return table if rows else None


def versions(all_conditions):
  """Packages and commits that the runs were made with.

  Args:
    all_conditions: list of Condition.

  Returns:
    Table.
  """
  counts = {}
  for condition in all_conditions:
    for run in condition.runs:
      for package, version in run.versions.items():
        key = (package, str(version))
        counts[key] = counts.get(key, 0) + 1
  rows = [(*key, count) for key, count in sorted(counts.items())]
  columns = (Column('package'), Column('version'), Column('runs', 0))
  return tables.Table('versions', 'Versions', columns, rows)


def references(studies):
  """The scores that stand for 0 and 1, with their sources.

  Args:
    studies: list of AgentStudy.

  Returns:
    Table.
  """
  rows = []
  for name in sorted({n for study in studies for n in study.env_names}):
    reference = scores.reference(name)
    if reference is None:
      rows.append((name, None, None, None, 'none: not in the aggregates'))
    else:
      rows.append((name, *reference[1:]))
  columns = (
    Column('environment'),
    Column('0 is', 1),
    Column('1 is', 1),
    Column('of'),
    Column('source', long=True),
  )
  return tables.Table('references', 'Reference scores', columns, rows)


def _status(run):
  return f'{run.status}: {run.damage}' if run.damage else run.status


def _relative(path, out_dir):
  path, out_dir = pathlib.Path(path).resolve(), pathlib.Path(out_dir).resolve()
  return pathlib.Path(os.path.relpath(path, out_dir)).as_posix()
