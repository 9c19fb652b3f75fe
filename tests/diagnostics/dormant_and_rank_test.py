"""Dormant units and ranks of features that are known."""

import numpy as np
import pytest

from tf_sparse_rl.diagnostics import dormant, rank


def test_dormant_by_hand():
  # Mean sizes 0, 1, 3, 4: scores 0, 0.5, 1.5 and 2.
  first = np.array([[0, 1, -3, 8], [0, -1, 3, 0]])
  second = np.array([[1.0, 1.0], [1.0, 1.0]])
  for threshold, expected in ((0, 1), (0.4, 1), (0.5, 2), (1, 4), (2, 6)):
    found = dormant.fraction([first, second], threshold)
    assert found == pytest.approx(expected / 6), threshold


def test_the_threshold_of_redo_by_hand():
  # Mean sizes 0, 2, 2, 0.1: scores 0, 1.951, 1.951 and 0.0976.
  layer = np.array([[0, 2, 2, 0.1]])
  np.testing.assert_array_equal(dormant.are_dormant(layer, 0.1), [1, 0, 0, 1])
  np.testing.assert_array_equal(dormant.are_dormant(layer, 0.097), [1, 0, 0, 0])


def test_in_a_layer_of_zeros_all_are_dormant():
  assert dormant.fraction([np.zeros((2, 3))], 0.0) == 1.0


@pytest.mark.parametrize(
  'values, delta, expected',
  [
    ([1, 1, 1, 1], 0.01, 4),
    ([1, 1, 1, 1], 0.25, 3),
    ([98, 1, 1], 0.02, 1),
    ([98, 1, 1], 0.01, 2),
    ([5, 0, 0], 0.01, 1),
    ([0, 0], 0.01, 0),
    ([0.1] * 10, 0.0, 10),
  ],
)
def test_srank_by_hand(values, delta, expected):
  assert rank.srank(np.array(values, float), delta) == expected


def test_effective_rank_by_hand():
  def effective(*values):
    return rank.effective_rank(np.array(values, float))

  assert effective(3, 3, 3) == pytest.approx(3)
  assert effective(2, 0, 0) == 1
  assert effective(0, 0) == 0
  # Shares 1/2, 1/4, 1/4: entropy 1.5 ln 2.
  assert effective(2, 1, 1) == pytest.approx(2**1.5)


def test_of_a_matrix_of_rank_two():
  rng = np.random.default_rng(0)
  matrix = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 20))
  values = np.linalg.svd(matrix, compute_uv=False)
  assert rank.srank(values) == 2
  assert 1 < rank.effective_rank(values) < 2.01
