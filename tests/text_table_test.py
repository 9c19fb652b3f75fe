"""Text tables by hand, and times in words."""

import pytest

from tf_sparse_rl import text_table


def test_names_to_the_left_numbers_to_the_right():
  table = text_table.format_table(
    ('name', 'n'), [('a', '1,000'), ('total', '7')], total=True
  )
  assert table.splitlines() == [
    'name       n',
    '------------',
    'a      1,000',
    '------------',
    'total      7',
  ]


def test_more_columns_of_names():
  table = text_table.format_table(('a', 'b'), [('x', 'y')] * 2, left=2)
  assert table.splitlines() == ['a  b', '----', 'x  y', 'x  y']


@pytest.mark.parametrize(
  'seconds, text',
  [(0.4, '0 s'), (89, '89 s'), (150, '2 min'), (7260, '2 h 1 min')],
)
def test_duration(seconds, text):
  assert text_table.duration(seconds) == text
