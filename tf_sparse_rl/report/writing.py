"""Writes a report: figures, tables and the page that shows them."""

import pathlib
import shutil

from tf_sparse_rl import files
from tf_sparse_rl.report import (
  catalogue,
  drawing,
  headline,
  out_dir,
  page,
  paper_tables,
  result_tables,
  run_tables,
  study,
  tables,
)

# What a report consists of besides index.html.
_PARTS = ('figures', 'tables')


def write(every, out, num_resamples=2000):
  """Writes the report on some runs.

  Args:
    every: list of Condition; missing runs are marked.
    out: directory of the report; an older one there is replaced.
    num_resamples: of each bootstrap.

  Returns:
    Path of index.html.

  Raises:
    ReportError: if `out` has other files.
  """
  out_dir.check(out)
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)  # Fails now, if it does.
  studies = study.build(every, num_resamples)
  sections = [_section(s, out) for s in studies]
  about = [
    run_tables.runs(every, out),
    run_tables.settings(every),
    run_tables.references(studies),
    run_tables.versions(every),
  ]
  about = [table for table in about if table is not None]
  # First, for by it the directory is known as one of a report.
  index = out / 'index.html'
  summary = headline.build(every, studies)
  files.write(index, page.render(summary, sections, about))
  for part in _PARTS:
    shutil.rmtree(out / part, ignore_errors=True)
    (out / part).mkdir(parents=True)
  for section in sections:
    for shown in section.figures:
      for form, content in shown.files.items():
        (out / 'figures' / f'{shown.name}.{form}').write_bytes(content)
  for table in [*(t for s in sections for t in s.tables), *about]:
    _write_table(table, out / 'tables')
  return index


def _section(agent_study, out):
  """The figures and tables of one agent."""
  with drawing.settings():
    drawn = [_draw(entry, agent_study) for entry in catalogue.FIGURES]
  made = [
    make(agent_study)
    for make in (
      result_tables.aggregate_scores,
      paper_tables.iqm_beside_the_paper,
      paper_tables.beside_the_paper,
      result_tables.returns,
      result_tables.improvements,
      result_tables.cost,
    )
  ]
  return page.Section(
    agent_study.agent,
    [figure for figure in drawn if figure is not None],
    [table for table in made if table is not None],
  )


def _draw(entry, agent_study):
  """A figure as it is shown, or None."""
  figure = entry.draw(agent_study)
  if figure is None:
    return None
  files = {form: drawing.to_bytes(figure, form) for form in ('svg', 'png')}
  name = f'{agent_study.agent}_{entry.name}'
  return page.ShownFigure(name, entry.title, entry.caption, files)


def _write_table(table, directory):
  (directory / f'{table.name}.csv').write_text(tables.to_csv(table), 'utf-8')
  text = tables.to_markdown(table)
  (directory / f'{table.name}.md').write_text(text, 'utf-8')
