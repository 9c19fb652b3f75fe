"""Figures of returns by hand."""

import pytest

from tf_sparse_rl.training import returns as returns_lib


@pytest.mark.parametrize(
  'returns, expected',
  [
    ([3], 3),
    ([1, 2], 2),
    ([0] * 8 + [9], 9),  # Below ten: the last one.
    ([0] * 9 + [9], 9),
    ([0] * 18 + [9], 9),  # floor(1.9) = 1
    ([0] * 18 + [4, 8], 6),
    ([100] * 46 + [1, 2, 3, 4, 5], 3),  # DQN of the paper: 51 -> 5.
  ],
)
def test_final_return_is_the_mean_of_the_last_tenth(returns, expected):
  assert returns_lib.final_return(returns) == expected
