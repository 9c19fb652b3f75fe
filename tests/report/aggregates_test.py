"""Aggregates by hand and against rliable's own metrics."""

import math

import numpy as np
import pytest
from rliable import library, metrics

from tf_sparse_rl.report import aggregates

# Eight scores: without the two lowest and the two highest, 3, 4, 5, 6 remain.
_SCORES = np.array([[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]])


def test_aggregates_by_hand():
  found = aggregates.aggregate(_SCORES / 8, 100)
  assert found['iqm'].value == pytest.approx((3 + 4 + 5 + 6) / 4 / 8)
  # Means of the two tasks: 2.5 and 6.5.
  assert found['median'].value == pytest.approx((2.5 + 6.5) / 2 / 8)
  assert found['optimality_gap'].value == pytest.approx(1 - 36 / 64)
  over = aggregates.aggregate(_SCORES, 100)['optimality_gap']
  assert over == (0, 0, 0)  # Nothing is missing to a score of 1.


@pytest.mark.parametrize('shape', [(1, 1), (2, 3), (5, 1), (7, 5), (10, 15)])
def test_iqm_is_the_metric_of_rliable(shape):
  scores = np.random.default_rng(0).normal(size=(*shape, 4))
  ours = aggregates.iqm(scores)
  for i in range(4):
    assert ours[i] == pytest.approx(metrics.aggregate_iqm(scores[:, :, i]))


def test_interval_of_two_runs_by_hand():
  # Two draws of 0 and 1: 0, 0.5, 0.5 or 1, a quarter each.
  assert aggregates.mean([0, 1], 1000) == (0.5, 0, 1)


def test_one_run_has_no_interval():
  value, low, high = aggregates.mean([3.0], 100)
  assert value == 3
  assert math.isnan(low) and math.isnan(high)
  estimate = aggregates.probability_of_improvement([[1.0]], [[0.0], [2]], 100)
  assert estimate.value == 0.5 and math.isnan(estimate.low)


def test_intervals_are_those_of_rliable():
  scores = np.random.default_rng(1).normal(size=(6, 3))
  ours = aggregates.aggregate(scores, 500)['iqm']
  np.random.seed(0)
  _, intervals = library.get_interval_estimates(
    {'x': scores}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=500
  )
  assert (ours.low, ours.high) == pytest.approx(tuple(intervals['x'][:, 0]))
  assert ours.low < ours.value < ours.high


def test_probability_of_improvement_by_hand():
  x, y = [[3.0], [1.0]], [[2.0], [1.0]]
  # 3 > 2, 3 > 1, 1 < 2, and 1 = 1 counts half.
  found = aggregates.probability_of_improvement(x, y, 100)
  assert found.value == 2.5 / 4
  assert aggregates.probability_of_improvement(y, x, 100).value == 1.5 / 4


def test_probability_of_improvement_is_the_metric_of_rliable():
  rng = np.random.default_rng(2)
  x, y = rng.integers(0, 5, (4, 3)), rng.integers(0, 5, (6, 3))
  ours = aggregates.probability_of_improvement(x, y, 100)
  assert ours.value == pytest.approx(metrics.probability_of_improvement(x, y))


def test_profile_by_hand_and_of_rliable():
  scores = np.array([[0.1, 0.9], [0.5, 0.7]])
  thresholds = [0.0, 0.5, 0.8, 1.0]
  ours = aggregates.performance_profile(scores, thresholds, 200)
  assert [e.value for e in ours] == [1, 0.5, 0.25, 0]
  np.random.seed(0)
  _, intervals = library.create_performance_profile(
    {'x': scores}, thresholds, reps=200
  )
  np.testing.assert_allclose([e.low for e in ours], intervals['x'][0])
  np.testing.assert_allclose([e.high for e in ours], intervals['x'][1])


def test_curves_by_hand():
  returns = np.array([[1.0, 10.0, 0.0], [3.0, 30.0, 0.0]])
  means = aggregates.mean_curve(returns, 100)
  assert [e.value for e in means] == [2, 20, 0]
  assert means[2] == (0, 0, 0)
  # [runs, tasks, points]: of each point's four scores, the middle two.
  scores = np.array([[[0, 4], [1, 5]], [[2, 6], [9, 99]]])
  assert [e.value for e in aggregates.iqm_curve(scores, 100)] == [1.5, 5.5]


def test_same_input_same_interval_and_nothing_else_is_disturbed():
  np.random.seed(7)
  expected = np.random.random()
  np.random.seed(7)
  first = aggregates.aggregate(_SCORES, 100)
  assert np.random.random() == expected
  assert aggregates.aggregate(_SCORES, 100) == first
