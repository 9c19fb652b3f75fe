"""Tables of values, and their Markdown and CSV."""

import csv
import html
import io
import math
import os
import urllib.parse
from typing import NamedTuple

from tf_sparse_rl.report import aggregates

# Text of None, unless a column has another one.
MISSING = '–'
NOT_RECORDED = 'not recorded'
# Columns that are shown even if all values are equal.
_STAY = ('method', 'status')


class Column(NamedTuple):
  """A column of numbers, Estimates, Links or text."""

  title: str
  # Decimals; None for text, 'g' for as many as needed.
  digits: int | str | None = None
  missing: str = MISSING
  signed: bool = False  # '+' before positive numbers
  long: bool = False  # text that may be wrapped


class Link(NamedTuple):
  """A link to a file."""

  text: str
  target: str  # a relative path


class Table(NamedTuple):
  """Rows under columns."""

  name: str  # of its files
  title: str
  columns: tuple  # of Column
  rows: list  # of tuples, one value per column
  note: str = ''  # a sentence or more below the table


def condensed(table):
  """Moves columns with a single value into the note of a Table.

  The column of the method and tables of a single row stay.
  """
  same = {
    i: text(table.rows[0][i], column)
    for i, column in enumerate(table.columns)
    if len(table.rows) > 1
    and column.title not in _STAY
    and len({row[i] for row in table.rows}) == 1
    and not isinstance(table.rows[0][i], aggregates.Estimate)
  }
  if not same or len(same) == len(table.columns):
    return table
  kept = [i for i in range(len(table.columns)) if i not in same]
  words = [
    f'{table.columns[i].title}: {value}'
    for i, value in same.items()
    if value != table.columns[i].missing
  ]
  note = table.note
  if words:
    note = f'The same in all rows: {"; ".join(words)}. {note}'.strip()
  return table._replace(
    columns=tuple(table.columns[i] for i in kept),
    rows=[tuple(row[i] for i in kept) for row in table.rows],
    note=note,
  )


def text(value, column):
  """Formats a number, str, Estimate, Link or None for a Column."""
  if _is_missing(value):
    return column.missing
  if isinstance(value, Link):
    return printable(value.text)
  if isinstance(value, aggregates.Estimate):
    point = _number(value.value, column)
    if math.isnan(value.low):
      return point
    low, high = _number(value.low, column), _number(value.high, column)
    return f'{point} [{low}, {high}]'
  if isinstance(value, str):
    return printable(value)
  return _number(value, column)


def printable(words):
  """Text that can be encoded; file names may have other bytes."""
  return words.encode('utf-8', 'backslashreplace').decode()


def url(path):
  """Quotes a relative path as a URL without a scheme."""
  return urllib.parse.quote(os.fsencode(path), safe='/(~')


def to_markdown(table):
  """Formats a Table as Markdown with title and note, condensed."""
  table = condensed(table)
  titles = [c.title for c in table.columns]
  marks = ['---' if c.digits is None else '--:' for c in table.columns]
  lines = [f'### {_escaped(table.title)}', '', f'| {" | ".join(titles)} |']
  lines.append('|' + '|'.join(marks) + '|')
  for row in table.rows:
    cells = [_markdown_cell(v, c) for v, c in zip(row, table.columns)]
    lines.append(f'| {" | ".join(cells)} |')
  if table.note:
    lines += ['', _escaped(table.note)]
  return '\n'.join(lines) + '\n'


def to_csv(table):
  """Formats a Table as CSV in full precision; Estimates have 3 columns."""
  file = io.StringIO()
  writer = csv.writer(file, lineterminator='\n')
  wide = [
    any(isinstance(row[i], aggregates.Estimate) for row in table.rows)
    for i, _ in enumerate(table.columns)
  ]
  header = []
  for column, is_wide in zip(table.columns, wide):
    ends = ('', ' low', ' high') if is_wide else ('',)
    header += [column.title + end for end in ends]
  writer.writerow(header)
  for row in table.rows:
    cells = []
    for value, is_wide in zip(row, wide):
      if not isinstance(value, aggregates.Estimate):
        value = (value, None, None) if is_wide else (value,)
      cells += map(_csv_cell, value)
    writer.writerow(cells)
  return file.getvalue()


def _number(value, column):
  if column.digits == 'g':
    return f'{value:g}'
  sign = '+' if column.signed and value > 0 else ''
  rounded = f'{value:,.{column.digits or 0}f}'
  # No minus sign on a rounded -0.001.
  if rounded.strip('-0.,') == '':
    return rounded.lstrip('-')
  return sign + rounded.replace('-', '−')


def _markdown_cell(value, column):
  words = text(value, column)
  if isinstance(value, Link):
    return f'[{_escaped(words)}]({url(value.target)})'
  return _escaped(words) if isinstance(value, str) else words


def _escaped(words):
  """Escapes Markdown markup, links, HTML and cell separators."""
  words = printable(words)
  for mark in '\\`[]|':
    words = words.replace(mark, f'\\{mark}')
  return html.escape(words, quote=False).replace('\n', ' ')


def _csv_cell(value):
  if _is_missing(value):
    return ''
  if isinstance(value, Link):
    value = value.target
  if isinstance(value, str):
    return _no_formula(printable(value))
  return f'{value:.10g}' if isinstance(value, float) else str(value)


def _no_formula(words):
  """Escapes text that a spreadsheet would take for a formula."""
  if not words.startswith(('=', '+', '-', '@', '\t', '\r')):
    return words
  try:
    float(words)
    return words
  except ValueError:
    return f"'{words}"


def _is_missing(value):
  return value is None or (isinstance(value, float) and math.isnan(value))
