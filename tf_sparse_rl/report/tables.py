"""Tables of values, and how they are written as Markdown and CSV."""

import csv
import html
import io
import math
import os
import urllib.parse
from typing import NamedTuple

from tf_sparse_rl.report import aggregates

# Stands for None, unless a column says otherwise.
MISSING = '–'
NOT_RECORDED = 'not recorded'


class Column(NamedTuple):
  """A column: numbers, Estimates with their intervals, Links or text."""

  title: str
  # After the point; None for text, 'g' for no more than it takes.
  digits: int | str | None = None
  missing: str = MISSING
  signed: bool = False  # '+' before what is above 0
  long: bool = False  # text that may take several lines


class Link(NamedTuple):
  """Text that leads to a file."""

  text: str
  target: str  # a relative path


class Table(NamedTuple):
  """Rows under columns."""

  name: str  # of its files
  title: str
  columns: tuple  # of Column
  rows: list  # of tuples, one value a column
  note: str = ''  # a sentence or more below the table


def text(value, column):
  """A number, str, Estimate, Link or None under a Column, as people read it."""
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
  """Text that any file takes: names of files may have bytes that are none."""
  return words.encode('utf-8', 'backslashreplace').decode()


def url(path):
  """A relative path, a str, as a link: no scheme, whatever its name."""
  return urllib.parse.quote(os.fsencode(path), safe='/(~')


def to_markdown(table):
  """The Table in Markdown, title and note included."""
  titles = [c.title for c in table.columns]
  marks = ['---' if c.digits is None else '--:' for c in table.columns]
  lines = [f'### {table.title}', '', f'| {" | ".join(titles)} |']
  lines.append('|' + '|'.join(marks) + '|')
  for row in table.rows:
    cells = [_markdown_cell(v, c) for v, c in zip(row, table.columns)]
    lines.append(f'| {" | ".join(cells)} |')
  if table.note:
    lines += ['', table.note]
  return '\n'.join(lines) + '\n'


def to_csv(table):
  """The Table as CSV, in full precision; an Estimate takes three columns."""
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
  # A rounded -0.001 is no negative number.
  if rounded.strip('-0.,') == '':
    return rounded.lstrip('-')
  return sign + rounded.replace('-', '−')


def _markdown_cell(value, column):
  words = text(value, column)
  if isinstance(value, Link):
    return f'[{_escaped(words)}]({url(value.target)})'
  return _escaped(words) if isinstance(value, str) else words


def _escaped(words):
  """Text in which Markdown sees no markup, link, HTML or end of the cell."""
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
  """Text that no spreadsheet computes; what is a number stays one."""
  if not words.startswith(('=', '+', '-', '@', '\t', '\r')):
    return words
  try:
    float(words)
    return words
  except ValueError:
    return f"'{words}"


def _is_missing(value):
  return value is None or (isinstance(value, float) and math.isnan(value))
