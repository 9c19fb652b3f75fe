"""Sentences say no more than the intervals allow."""

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import (
  aggregates,
  conditions,
  findings,
  headline,
  study,
)

_CELL = conditions.Cell('dqn', 'rigl', 0.9, 'erk', '')


@pytest.mark.parametrize(
  'low, high, by_chance, expected',
  [
    (0.51, 1.0, 0.01, findings.AHEAD),
    (0.0, 0.49, 0.01, findings.BEHIND),
    (0.5, 0.9, 0.01, findings.UNDECIDED),
    (0.2, 0.5, 0.01, findings.UNDECIDED),
    # Two runs of each that are level are often apart altogether.
    (1.0, 1.0, 1 / 3, findings.UNDECIDED),
    (float('nan'), float('nan'), 0.01, findings.UNDECIDED),
  ],
)
def test_the_rule(low, high, by_chance, expected):
  estimate = aggregates.Estimate(0.5, low, high)
  improvement = study.Improvement(_CELL, _CELL, estimate, by_chance)
  assert findings.verdict(improvement) == expected


def test_sentences_by_hand(tmp_path):
  # Four runs each: of 70 orders two are complete, 2.9 %.
  values = {
    'dense': [100.0, 101.0, 102.0, 103.0],
    'rigl': [104.0, 105.0, 106.0, 107.0],
    'static': [99.0, 101.5, 100.5, 104.0],
    'prune': [50.0, 51.0, 52.0, 53.0],
  }
  for method, returns in values.items():
    for seed, value in enumerate(returns):
      path = tmp_path / f'{method}{seed}'
      studies.make_run(path, [value], method=method, seed=seed, sparsity=0.9)
  studies.make_seeds(
    tmp_path / 'x', 'CartPole-v1', 49.0, range(4), method='prune', sparsity=0.95
  )
  every = conditions.group(runs.read(tmp_path))
  found = headline.build(every, study.build(every, 200))
  assert found.findings == [
    'DQN, against dense networks of full size: clearly ahead is RigL at 0.9; '
    'clearly behind are Pruning at 0.9 and 0.95; undecided is Static at 0.9.'
  ]
  assert found.rule == findings.RULE
  assert found.warnings == []


def test_three_seeds_of_one_environment_are_too_few(tmp_path):
  for method, value in (('dense', 9.0), ('rigl', 90.0)):
    studies.make_seeds(tmp_path, 'CartPole-v1', value, (0, 1, 2), method=method)
  every = conditions.group(runs.read(tmp_path))
  found = headline.build(every, study.build(every, 100))
  assert found.findings == [
    'DQN, against dense networks of full size: none is clearly ahead; none is '
    'clearly behind; undecided is RigL at 0.9.'
  ]
  assert found.warnings == ['DQN has 3 seeds: too few to rank methods.']


def test_without_a_baseline_nothing_is_said(tmp_path):
  studies.make_run(tmp_path / '0', [9.0])
  every = conditions.group(runs.read(tmp_path))
  found = headline.build(every, study.build(every, 100))
  assert (found.findings, found.rule) == ([], '')
