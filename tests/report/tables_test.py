"""Tables as people and as programs read them."""

import csv
import io

import pytest

from tf_sparse_rl.report import aggregates, tables

_NAN = float('nan')
_TABLE = tables.Table(
  'name',
  'Title',
  (
    tables.Column('method'),
    tables.Column('sparsity', 'g'),
    tables.Column('return', 1),
    tables.Column('bytes', 0, missing='not recorded'),
    tables.Column('run'),
  ),
  [
    (
      'a|b',
      0.95,
      aggregates.Estimate(1234.56, 1000.0, 2000.0),
      None,
      tables.Link('a run', '../runs/a run (1)'),
    ),
    ('c', 0, aggregates.Estimate(-2.0, _NAN, _NAN), 7, None),
  ],
  'A note.',
)


def test_markdown():
  assert tables.to_markdown(_TABLE) == (
    '### Title\n\n'
    '| method | sparsity | return | bytes | run |\n'
    '|---|--:|--:|--:|---|\n'
    '| a\\|b | 0.95 | 1,234.6 [1,000.0, 2,000.0] | not recorded '
    '| [a run](../runs/a%20run%20(1%29) |\n'
    '| c | 0 | −2.0 | 7 | – |\n'
    '\nA note.\n'
  )


def test_csv_has_all_digits_and_intervals_in_columns():
  rows = list(csv.reader(io.StringIO(tables.to_csv(_TABLE))))
  assert rows == [
    ['method', 'sparsity', 'return', 'return low', 'return high']
    + ['bytes', 'run'],
    ['a|b', '0.95', '1234.56', '1000', '2000', '', '../runs/a run (1)'],
    ['c', '0', '-2', '', '', '7', ''],
  ]


@pytest.mark.parametrize(
  'value, column, shown',
  [
    (0.0004, tables.Column('x', 2, signed=True), '0.00'),
    (-0.0004, tables.Column('x', 2, signed=True), '0.00'),
    (3.0, tables.Column('x', 1, signed=True), '+3.0'),
    (-3.25, tables.Column('x', 1, signed=True), '−3.2'),
    (1_000_000, tables.Column('x', 0), '1,000,000'),
    (_NAN, tables.Column('x', 2), '–'),
  ],
)
def test_numbers(value, column, shown):
  assert tables.text(value, column) == shown


def _of_text(*values):
  columns = tuple(tables.Column(f'{i}') for i, _ in enumerate(values))
  return tables.Table('name', 'Title', columns, [values])


@pytest.mark.parametrize(
  'text, cell',
  [
    ('=1+1', "'=1+1"),
    ('+x', "'+x"),
    ('-x', "'-x"),
    ('@SUM(A1)', "'@SUM(A1)"),
    ('\t=1', "'\t=1"),
    ('-1.5', '-1.5'),
    ('+1e5', '+1e5'),
    ('a=1', 'a=1'),
    ('\udcff', '\\udcff'),
  ],
)
def test_csv_has_no_formulas(text, cell):
  table = _of_text(text, tables.Link('run', text), -1.5, 7)
  [_, row] = csv.reader(io.StringIO(tables.to_csv(table), newline=''))
  assert row == [cell, cell, '-1.5', '7']


@pytest.mark.parametrize(
  'text, cell',
  [
    ('<img src=x onerror=y>', '&lt;img src=x onerror=y&gt;'),
    ('a & b', 'a &amp; b'),
    ('[a](javascript:b)', '\\[a\\](javascript:b)'),
    ('`a`|\\', '\\`a\\`\\|\\\\'),
    ('a\nb', 'a b'),
    ('\udcff', '\\\\udcff'),
  ],
)
def test_markdown_has_no_markup_but_ours(text, cell):
  shown = tables.to_markdown(_of_text(text, tables.Link(text, 'run')))
  assert shown.splitlines()[-1] == f'| {cell} | [{cell}](run) |'
  # What is the same in all rows goes into the note.
  columns = tables.Column('method'), tables.Column('env_name')
  rows = [('a', text), ('b', text)]
  shown = tables.to_markdown(tables.Table('n', text, columns, rows))
  title, *_, note = shown.splitlines()
  assert title == f'### {cell}'
  assert note == f'The same in all rows: env_name: {cell}.'


@pytest.mark.parametrize(
  'path, url',
  [
    ('javascript:alert(1)', 'javascript%3Aalert(1%29'),
    ('../a run/config.json', '../a%20run/config.json'),
    ('a#b?c%d"e\'f<g', 'a%23b%3Fc%25d%22e%27f%3Cg'),
    ('\udcff', '%FF'),
  ],
)
def test_a_link_has_no_scheme(path, url):
  assert tables.url(path) == url
