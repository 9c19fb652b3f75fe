"""The paper's claims are decided by the rule that stands below the table."""

import numpy as np
import pytest

from tests.report import studies
from tf_sparse_rl.report import aggregates, claims, conditions, scores, study

_ENV = 'HalfCheetah-v5'


def _study(by_cell, num_resamples=200):
  """An AgentStudy of `{(method, sparsity): normalised returns}`."""
  found = []
  for (method, sparsity), returns in by_cell.items():
    distribution = '' if method in ('dense', 'small_dense') else 'erk'
    cell = conditions.Cell('sac', method, sparsity, distribution, '')
    matrix = np.array(returns, float)[:, np.newaxis]
    estimates = aggregates.aggregate(matrix, num_resamples)
    found.append(study.Aggregate(cell, matrix, estimates))
  result = study.Result(conditions.Condition(found[0].cell, _ENV, ()), None, {})
  return study.AgentStudy('sac', (), (result,), tuple(found), (), num_resamples)


def _verdicts(by_cell):
  """`{(claim, method, against, sparsity): verdict}`."""
  table = claims.table(_study(by_cell))
  titles = ('the paper says', 'method', 'against', 'sparsity', 'verdict')
  columns = [studies.column(table, title) for title in titles]
  return {tuple(row[:-1]): row[-1] for row in zip(*columns)}


_LOW, _HIGH = [0.1, 0.11, 0.12, 0.13, 0.14], [0.95, 0.96, 0.97, 0.98, 0.99]


def test_verdicts_by_hand():
  assert _verdicts(
    {
      ('dense', 0.0): [1.0, 1.01, 1.02, 1.03, 1.04],
      ('small_dense', 0.9): [0.5, 0.51, 0.52, 0.53, 0.54],
      ('rigl', 0.9): _HIGH,
      ('rigl', 0.95): _LOW,  # nothing to compare with: no row
      ('set', 0.9): _LOW,
      ('static', 0.9): [0.1, 0.11, 0.125, 0.13, 0.14],
    }
  ) == {
    ('sparse above dense of the same size', 'RigL', 'Small dense', 0.9): (
      'reproduced'
    ),
    ('sparse above dense of the same size', 'SET', 'Small dense', 0.9): (
      'not reproduced'
    ),
    ('80 to 90 % removed with little loss', 'RigL', 'Dense', 0.9): (
      'reproduced'
    ),
    ('80 to 90 % removed with little loss', 'SET', 'Dense', 0.9): (
      'not reproduced'
    ),
    ('RigL and SET above static', 'RigL', 'Static', 0.9): 'reproduced',
    ('RigL and SET above static', 'SET', 'Static', 0.9): 'undecided',
    ('RigL level with SET', 'RigL', 'SET', 0.9): 'not reproduced',
  }


@pytest.mark.parametrize('num_runs', [1, 2, 3])
def test_too_few_runs_decide_nothing(num_runs):
  verdicts = _verdicts(
    {
      ('dense', 0.0): _LOW[:num_runs],
      ('small_dense', 0.8): _LOW[:num_runs],
      ('prune', 0.8): _HIGH[:num_runs],
      ('rigl', 0.8): _LOW[:num_runs],
    }
  )
  assert len(verdicts) == 5 and set(verdicts.values()) == {'undecided'}


def test_many_runs_can_show_that_two_are_level():
  runs = np.linspace(0.5, 0.6, 60)
  key = ('RigL level with SET', 'RigL', 'SET', 0.9)
  assert _verdicts({('rigl', 0.9): runs, ('set', 0.9): runs[::-1]}) == {
    key: 'reproduced'
  }


def test_the_papers_scores_are_on_the_scale_of_ours():
  table = claims.table(_study({('rigl', 0.9): _HIGH, ('static', 0.9): _LOW}))
  reference = scores.reference(_ENV)
  for title, method in (('paper', 'rigl'), ('paper, against', 'static')):
    value = scores.paper_value('return', 'sac', 'HalfCheetah', method, 0.9)
    [found] = studies.column(table, title)
    assert found == pytest.approx(reference.normalize(value.value))


def test_a_study_without_a_comparison_has_no_table():
  assert claims.table(_study({('rigl', 0.9): _HIGH})) is None


def test_ratio_of_iqms_by_hand():
  # The middle two of four: (2 + 3) / 2 over (4 + 6) / 2.
  found = aggregates.iqm_ratio(
    np.array([[1.0], [2.0], [3.0], [90.0]]),
    np.array([[3.0], [4.0], [6.0], [80.0]]),
    100,
  )
  assert found.value == pytest.approx(0.5)
  assert found.low <= 0.5 <= found.high
