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
