"""Writes a report: figures, tables and the HTML page."""

import pathlib

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files
from tf_sparse_rl.report import (
  catalogue,
  claims,
  drawing,
  headline,
  out_dir,
  page,
  result_tables,
  run_page,
  run_tables,
  study,
  tables,
)

# Names of the tables of all agents together.
_ABOUT = ('runs', 'settings', 'references', 'versions')
_SUFFIXES = ('.svg', '.png', '.csv', '.md')
# Of one agent, in this order.
_TABLES = (
  claims.table,
  result_tables.aggregate_scores,
  result_tables.iqm_beside_the_paper,
  result_tables.beside_the_paper,
  result_tables.returns,
  result_tables.improvements,
  result_tables.cost,
)


def write(every, out, num_resamples=2000, unreadable=(), made=None):
  """Writes the report on runs.

  Args:
    every: list of Condition; missing runs are marked.
    out: directory of the report; an older one there is replaced.
    num_resamples: number of bootstrap resamples.
    unreadable: Runs without a config, shown as damaged.
    made: an Origin of the runs.

  Returns:
    Path of index.html.

  Raises:
    RunsError: if `out` has other files.
  """
  out_dir.check(out)
  out = pathlib.Path(out)
  _make_directories(out)  # Fails now, if it does.
  studies = study.build(every, num_resamples)
  sections = [_section(s) for s in studies]
  about = [
    run_tables.runs(every, out, unreadable),
    run_tables.settings(every),
    run_tables.references(studies),
    run_tables.versions(every),
  ]
  about = [table for table in about if table is not None]
  summary = headline.build(every, studies, unreadable, made)
  return _write_all(out, summary, sections, about)


def write_run(run, out):
  """Writes the page of one run.

  Args:
    run: a Run.
    out: directory of the page; an older one there is replaced.

  Returns:
    Path of index.html.
  """
  out = pathlib.Path(out)
  _make_directories(out)
  summary, pictures, found = run_page.build(run)
  with drawing.settings():
    figures = [_shown(*picture) for picture in pictures]
  section = page.Section('The run', figures, found)
  about = [run_tables.config(run)]
  return _write_all(out, summary, [section], about)


def _write_all(out, summary, sections, about):
  """Writes the page, and its figures and tables beside it."""
  # First, since it marks the directory as a report.
  index = out / 'index.html'
  files.write(index, page.render(summary, sections, about))
  for part in ('figures', 'tables'):
    _remove_older(out / part)
  for section in sections:
    for shown in section.figures:
      for form, content in shown.files.items():
        _write(out / 'figures' / f'{shown.name}.{form}', content)
  for table in [*(t for s in sections for t in s.tables), *about]:
    for form, write_as in (('csv', tables.to_csv), ('md', tables.to_markdown)):
      content = write_as(table).encode()
      _write(out / 'tables' / f'{table.name}.{form}', content)
  return index


def _make_directories(out):
  """Makes the directories of a report; refuses links in their places."""
  files.make_directory(out)
  files.refuse_links(out / 'index.html', out / 'figures', out / 'tables')
  for part in ('figures', 'tables'):
    files.make_directory(out / part)


def _write(path, content):
  """Writes a file that can be made again: it is not seen onto the disk."""
  files.refuse_links(path)
  path.write_bytes(content)


def _remove_older(directory):
  """Removes the files of an older report; other files stay."""
  for path in directory.iterdir():
    is_ours = (
      path.stem in _ABOUT or path.stem.split('_')[0] in config_lib.AGENTS
    )
    if is_ours and path.suffix in _SUFFIXES and not path.is_dir():
      path.unlink()


def _section(agent_study):
  """The figures and tables of one agent."""
  with drawing.settings():
    figures = [
      _shown(f'{agent_study.agent}_{name}', *rest)
      for name, *rest in catalogue.draw_all(agent_study)
    ]
  made = [make(agent_study) for make in _TABLES]
  found = [table for table in made if table is not None]
  return page.Section(agent_study.agent.upper(), figures, found)


def _shown(name, title, caption, figure):
  """Renders a Figure in all formats."""
  forms = {form: drawing.to_bytes(figure, form) for form in ('svg', 'png')}
  is_wide = drawing.stack(figure)
  narrow = drawing.to_bytes(figure, 'svg') if is_wide else None
  return page.ShownFigure(name, title, caption, forms, narrow)
