"""One HTML page with everything in it: nothing is fetched from anywhere."""

import base64
import html
import math
import pathlib
from typing import NamedTuple

from tf_sparse_rl.report import (
  aggregates,
  conditions,
  drawing,
  out_dir,
  runs,
  tables,
)

_DATA = pathlib.Path(__file__).parent / 'data'
# Tables with more rows get a field to filter them.
_MANY_ROWS = 12


class ShownFigure(NamedTuple):
  """A figure as files and with its words."""

  name: str  # of its files
  title: str
  caption: str
  files: dict  # {'svg' or 'png': bytes}


class Section(NamedTuple):
  """What is shown of one agent."""

  agent: str
  figures: list  # of ShownFigure
  tables: list  # of Table


def render(headline, sections, about):
  """The page.

  Args:
    headline: a Headline.
    sections: list of Section.
    about: list of Table, of the runs themselves.

  Returns:
    str, a whole HTML document.
  """
  body = [
    _header(headline),
    '<div class="columns">',
    _contents(sections, about),
  ]
  body.append('<main>')
  for section in sections:
    body.append(f'<h2>{_escape(section.agent.upper())}</h2>')
    # The numbers of a study come first, then what shows them, then the rest.
    body += [_table(table) for table in section.tables[:1]]
    body += [_figure(figure) for figure in section.figures]
    body += [_table(table) for table in section.tables[1:]]
  body.append('<h2>About the runs</h2>')
  body += [_table(table) for table in about]
  body.append('</main></div>')
  return _PAGE.format(
    mark=out_dir.MARK,
    title=_escape(headline.title),
    style=_read('page.css'),
    script=_read('page.js'),
    body='\n'.join(body),
  )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{mark}
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
{body}
<script>
{script}</script>
</body>
</html>
"""


def _header(headline):
  tiles = ''.join(
    f'<div class="tile"><b>{_escape(str(number))}</b>{_escape(what)}</div>'
    for number, what in headline.tiles
  )
  findings = ''.join(f'<p>{_escape(words)}</p>' for words in headline.findings)
  warnings = ''.join(
    f'<li>{_escape(words)}</li>' for words in headline.warnings
  )
  if warnings:
    warnings = f'<ul class="warnings">{warnings}</ul>'
  return (
    f'<header><h1>{_escape(headline.title)}</h1><div class="findings">'
    f'{findings}</div><div class="tiles">{tiles}</div>{warnings}</header>'
  )


def _contents(sections, about):
  """Links to all figures and tables, in the order of the page."""
  groups = [
    (
      section.agent.upper(),
      [*section.tables[:1], *section.figures, *section.tables[1:]],
    )
    for section in sections
  ]
  lines = []
  for title, parts in [*groups, ('About the runs', about)]:
    links = ''.join(
      f'<li><a href="#{_escape(part.name)}">{_escape(part.title)}</a></li>'
      for part in parts
    )
    lines.append(f'<b>{_escape(title)}</b><ul>{links}</ul>')
  return f'<nav aria-label="Contents">{"".join(lines)}</nav>'


def _figure(figure):
  name = _escape(figure.name)
  encoded = base64.b64encode(figure.files['svg']).decode('ascii')
  files = ' '.join(
    f'<a href="figures/{name}.{form}">{form.upper()}</a>'
    for form in figure.files
  )
  return (
    f'<section id="{name}"><h3>{_escape(figure.title)}'
    f'<span class="files">{files}</span></h3><figure>'
    f'<div class="paper"><img src="data:image/svg+xml;base64,{encoded}" '
    f'alt="{_escape(figure.title + ". " + figure.caption)}"></div>'
    f'<figcaption>{_escape(figure.caption)}</figcaption></figure></section>'
  )


def _table(table):
  name = _escape(table.name)
  head = ''.join(
    f'<th scope="col"{_alignment(c)}><button type="button">{_escape(c.title)}'
    '</button></th>'
    for c in table.columns
  )
  rows = '\n'.join(
    '<tr>' + ''.join(map(_cell, row, table.columns)) + '</tr>'
    for row in table.rows
  )
  note = f'<p class="note">{_escape(table.note)}</p>' if table.note else ''
  search = ''
  if len(table.rows) > _MANY_ROWS:
    search = (
      '<input type="search" placeholder="Filter rows" aria-label="Filter the '
      f'rows of {_escape(table.title)}">'
    )
  return (
    f'<section id="{name}"><h3>{_escape(table.title)}<span class="files">'
    f'<a href="tables/{name}.csv">CSV</a> <a href="tables/{name}.md">Markdown'
    f'</a></span></h3>{search}<div class="scroll" tabindex="0"><table><thead>'
    f'<tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>{note}'
    '</section>'
  )


def _cell(value, column):
  shown = _escape(tables.text(value, column))
  if isinstance(value, tables.Link):
    shown = f'<a href="{_escape(_url(value.target))}">{shown}</a>'
  elif isinstance(value, aggregates.Estimate):
    shown = shown.replace(' [', ' <span class="interval">[', 1)
    shown += '</span>' if 'class="interval"' in shown else ''
  elif column.title == 'status' and value != runs.FINISHED:
    shown = f'<b class="unfinished">{shown}</b>'
  elif column.title == 'method':
    shown = f'<i style="background:{_COLORS[value]}"></i>{shown}'
  elif value is None or value == column.missing:
    shown = f'<span class="missing">{shown}</span>'
  key = _sort_key(value)
  attribute = '' if key is None else f' data-key="{key}"'
  return f'<td{_alignment(column)}{attribute}>{shown}</td>'


def _sort_key(value):
  """What a number is sorted by; text sorts by itself."""
  if isinstance(value, aggregates.Estimate):
    value = value.value
  is_number = isinstance(value, int | float) and not math.isnan(value)
  return f'{value:.10g}' if is_number else None


def _alignment(column):
  if column.digits is not None:
    return ' class="number"'
  return ' class="long"' if column.long else ''


def _url(path):
  return path.replace('%', '%25').replace('#', '%23').replace('?', '%3F')


def _escape(words):
  return html.escape(words, quote=True)


def _read(name):
  return (_DATA / name).read_text('utf-8')


_COLORS = {
  label: drawing.style(method)['color']
  for method, label in conditions.METHOD_NAMES.items()
}
