"""Statistics of a few numbers, by hand."""

import pytest

from tf_sparse_rl import sample


def test_a_sample_by_hand():
  found = sample.describe([1, 2, 3, 4, 5])
  assert (found.mean, found.low, found.high) == (3, 1, 5)
  assert found.std == pytest.approx(2.5**0.5)
  # Student's t with 4 degrees of freedom: 2.776.
  half = 2.776445 * (2.5 / 5) ** 0.5
  assert found.interval == pytest.approx((3 - half, 3 + half))


def test_one_number_has_no_spread():
  assert sample.describe([7]) == (7, None, None, 7, 7)


def test_equal_numbers_have_none_either():
  assert sample.describe([500.0] * 3) == (500, 0, (500, 500), 500, 500)
