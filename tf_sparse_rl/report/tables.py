"""Tables of values, and how they are written as Markdown and CSV."""

import csv
import io
import math
from typing import NamedTuple

from tf_sparse_rl.report import aggregates

NOT_RECORDED = 'not recorded'


class Column(NamedTuple):
  """A column: numbers, Estimates with their intervals, Links or text."""

  title: str
  # After the point; None for text, 'g' for no more than it takes.
  digits: int | str | None = None
  missing: str = '–'  # what stands for None
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
  """A value as people read it.

  Args:
    value: number, str, Estimate, Link or None.
    column: its Column.

  Returns:
    str.
  """
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return column.missing
  if isinstance(value, Link):
    return value.text
  if isinstance(value, aggregates.Estimate):
    point = _number(value.value, column)
    if math.isnan(value.low):
      return point
    return f'{point} [{_number(value.low, column)}, ' + (
      f'{_number(value.high, column)}]'
    )
  return value if isinstance(value, str) else _number(value, column)


def to_markdown(table):
  """The table in Markdown, title and note included.

  Args:
    table: a Table.

  Returns:
    str.
  """
  lines = [f'### {table.title}', '']
  lines.append('| ' + ' | '.join(c.title for c in table.columns) + ' |')
  marks = ['---' if c.digits is None else '--:' for c in table.columns]
  lines.append('|' + '|'.join(marks) + '|')
  for row in table.rows:
    cells = [_markdown_cell(v, c) for v, c in zip(row, table.columns)]
    lines.append('| ' + ' | '.join(cells) + ' |')
  if table.note:
    lines += ['', table.note]
  return '\n'.join(lines) + '\n'


def to_csv(table):
  """The table as CSV; an Estimate takes three columns.

  Args:
    table: a Table.

  Returns:
    str.
  """
  file = io.StringIO()
  writer = csv.writer(file, lineterminator='\n')
  wide = [
    any(isinstance(row[i], aggregates.Estimate) for row in table.rows)
    for i in range(len(table.columns))
  ]
  header = []
  for column, is_wide in zip(table.columns, wide):
    ends = ('', ' low', ' high') if is_wide else ('',)
    header += [column.title + end for end in ends]
  writer.writerow(header)
  for row in table.rows:
    cells = []
    for value, is_wide in zip(row, wide):
      cells += _csv_cells(value, is_wide)
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
  if isinstance(value, Link):
    target = value.target.replace(' ', '%20').replace(')', '%29')
    return f'[{_escaped(value.text)}]({target})'
  return _escaped(text(value, column))


def _escaped(words):
  return words.replace('|', '\\|').replace('\n', ' ')


def _csv_cells(value, is_wide):
  if isinstance(value, aggregates.Estimate):
    return [_csv_cell(v) for v in value]
  return [_csv_cell(value)] + [''] * (2 * is_wide)


def _csv_cell(value):
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return ''
  if isinstance(value, Link):
    return value.target
  return f'{value:.10g}' if isinstance(value, float) else str(value)
