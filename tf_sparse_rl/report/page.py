"""A self-contained HTML page, which fetches nothing."""

import base64
import math
import pathlib
from typing import NamedTuple

import jinja2
import markupsafe

from tf_sparse_rl import methods, runs
from tf_sparse_rl.report import aggregates, out_dir, tables, theme

_DATA = pathlib.Path(__file__).parent / 'data'
# Tables with more rows get a filter.
_MANY_ROWS = 12
# Tables with more rows scroll.
_TALL_ROWS = 60


class ShownFigure(NamedTuple):
  """A figure as files, with title and caption."""

  name: str  # of its files
  title: str
  caption: str
  files: dict  # {'svg' or 'png': bytes}
  narrow: bytes | None = None  # SVG with stacked panels, for narrow screens


class Section(NamedTuple):
  """The part of the page on one agent, or on one run."""

  title: str
  figures: list  # of ShownFigure
  tables: list  # of Table


def render(headline, sections, about):
  """Renders the page, an HTML document.

  Args:
    headline: a Headline.
    sections: list of Section.
    about: list of Table, on the runs themselves.

  Returns:
    str; text that is not Markup is escaped.
  """
  # The main figure of a study and its table, then the others.
  groups = [
    (
      s.title,
      [*s.figures[:1], *s.tables[:1], *s.figures[1:], *s.tables[1:]],
    )
    for s in sections
  ]
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_DATA),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.globals.update(
    base64=lambda content: base64.b64encode(content).decode('ascii'),
    color_of=_color_of,
    condensed=tables.condensed,
    kind_of=_kind_of,
    many_rows=_MANY_ROWS,
    tall_rows=_TALL_ROWS,
    sort_key=_sort_key,
    text=tables.text,
    url=tables.url,
  )
  return environment.get_template('page.html.jinja').render(
    headline=headline,
    groups=[*groups, *([('About the runs', about)] if about else [])],
    mark=markupsafe.Markup(out_dir.MARK),
    style=_read('page.css') + markupsafe.Markup(theme.swatch_style()),
    script=_read('page.js'),
  )


def _kind_of(value, column):
  """The CSS class of a cell."""
  if isinstance(value, tables.Link):
    return 'link'
  if isinstance(value, aggregates.Estimate):
    return 'estimate'
  if column.title == 'status' and value != runs.FINISHED:
    return 'unfinished'
  if column.title == 'method':
    return 'method'
  return 'missing' if value is None or value == column.missing else 'plain'


def _sort_key(value):
  """The sort key of a number; text is its own key."""
  if isinstance(value, aggregates.Estimate):
    value = value.value
  is_number = isinstance(value, int | float) and not math.isnan(value)
  return f'{value:.10g}' if is_number else None


def _read(name):
  return markupsafe.Markup((_DATA / name).read_text('utf-8'))


def _color_of(label):
  """The colour of a method by its label."""
  names = {row.label: name for name, row in methods.COMPARED.items()}
  return methods.get(names.get(label, label)).color
