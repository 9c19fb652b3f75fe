"""Figures of a run's returns."""

import math


def final_return(returns):
  """Mean of the last 10 % of the evaluations, of at least one.

  Args:
    returns: mean return of each evaluation, in order.

  Returns:
    float.

  Reference: paper section 2; its code averages everything below ten.
  """
  last = returns[-max(1, math.floor(0.1 * len(returns))) :]
  return sum(last) / len(last)
