"""Tables on the runs themselves: directories, settings, versions."""

import collections
import dataclasses
import os
import pathlib

from tf_sparse_rl.report import conditions, scores, tables
from tf_sparse_rl.report.tables import Column, Link


def runs(all_conditions, out_dir, unreadable=()):
  """Table of all runs, with links to their directories and configs.

  Args:
    all_conditions: list of Condition.
    out_dir: directory of the report, to which links are relative.
    unreadable: Runs without a config.

  Returns:
    Table.
  """
  out_dir = pathlib.Path(out_dir).resolve()

  def link(text, path):
    target = os.path.relpath(path.resolve(), out_dir)
    return Link(text, pathlib.Path(target).as_posix())

  rows = [(run.name, _status(run), *[None] * 8) for run in unreadable]
  for condition in all_conditions:
    for run in condition.runs:
      config = run.path / 'config.json'
      summary, commit = run.summary, run.versions.get('git_commit')
      rows.append(
        (
          link(run.name, run.path) if config.exists() else run.name,
          _status(run),
          condition.env_name,
          condition.cell.label,
          run.config.seed,
          summary and summary.final_return,
          summary and summary.best_return,
          run.results[-1].env_step if run.results else 0,
          link('config', config) if config.exists() else None,
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
  has_links = any(isinstance(row[0], Link) for row in rows)
  note = 'Links are relative to the directory of this report.'
  return tables.Table('runs', 'Runs', columns, rows, note * has_links)


def settings(all_conditions):
  """Table of the fields that differ from the presets, or None."""
  rows = _count(
    (condition.cell.agent, name, str(value))
    for condition in all_conditions
    for run in condition.runs
    for name, value in conditions.overrides(run).items()
  )
  columns = (
    *(Column(title) for title in ('agent', 'field', 'value')),
    Column('runs', 0),
  )
  note = (
    "All other fields have their presets, the paper's values. The config.json "
    'of a run has all fields.'
  )
  title = 'Fields that differ from their presets'
  return tables.Table('settings', title, columns, rows, note) if rows else None


def config(run):
  """Table of the fields of one run, those other than its preset first."""
  differ = conditions.overrides(run)
  values = dataclasses.asdict(run.config)
  rows = [
    (name, str(value), 'no' if name in differ else 'yes')
    for name, value in sorted(
      values.items(), key=lambda item: item[0] not in differ
    )
    if value is not None
  ]
  columns = (Column('field'), Column('value', long=True), Column('preset'))
  return tables.Table('config', 'Config', columns, rows)


def versions(all_conditions):
  """Table of the packages and commits of the runs."""
  rows = _count(
    (package, str(version))
    for condition in all_conditions
    for run in condition.runs
    for package, version in run.versions.items()
  )
  columns = (Column('package'), Column('version'), Column('runs', 0))
  return tables.Table('versions', 'Versions', columns, rows)


def references(studies):
  """Table of the reference scores of normalisation, with sources."""
  rows = []
  for name in sorted({n for study in studies for n in study.env_names}):
    reference = scores.reference(name) or scores.Reference(
      name, None, None, None, 'none, so it is not in the aggregates'
    )
    rows.append((name, *reference[1:]))
  columns = (
    Column('environment'),
    Column('score 0', 1),
    Column('score 1', 1),
    Column('agent'),
    Column('source', long=True),
  )
  return tables.Table('references', 'Reference scores', columns, rows)


def _count(keys):
  """Counts keys; returns sorted rows."""
  counts = collections.Counter(keys)
  return [(*key, count) for key, count in sorted(counts.items())]


def _status(run):
  return f'{run.status}: {run.damage}' if run.damage else run.status
