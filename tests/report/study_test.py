"""Results of conditions by hand."""

import json

import numpy as np
import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import conditions
from tf_sparse_rl.report import study as study_lib


def _make(root, env_name, returns_by_seed, **fields):
  for seed, returns in returns_by_seed.items():
    studies.make_run(
      root / f'{env_name}{fields.get("method")}{seed}',
      returns=returns,
      env_name=env_name,
      seed=seed,
      **fields,
    )


def test_scores_by_hand(tmp_path, read_study):
  # CartPole-v1: 22.2 is 0, 500 is 1. Acrobot: -499.1 is 0, -67 is 1.
  _make(tmp_path, 'CartPole-v1', {0: [9.0, 500.0], 1: [9.0, 22.2]})
  _make(tmp_path, 'Acrobot-v1', {0: [-500.0, -67.0], 1: [-500.0, -283.05]})
  study = read_study(tmp_path)
  [aggregate] = study.aggregates
  # One row per seed, one column per environment by name.
  np.testing.assert_allclose(aggregate.matrix, [[1, 1], [0.5, 0]], atol=1e-9)
  # Of 0, 0.5, 1, 1 the middle two.
  assert aggregate.estimates['iqm'].value == pytest.approx(0.75)
  assert aggregate.estimates['optimality_gap'].value == pytest.approx(0.375)
  acrobot, cartpole = study.results
  assert acrobot.final_return.value == pytest.approx(-175.025)
  assert acrobot.normalized.value == pytest.approx(0.75)
  assert cartpole.normalized == pytest.approx((0.5, 0, 1), abs=1e-9)
  assert study.seeds == (0, 1)
  assert study.env_names == ('Acrobot-v1', 'CartPole-v1')


def test_a_cell_without_some_environment_is_not_aggregated(
  tmp_path, read_study
):
  for env_name in ('CartPole-v1', 'Acrobot-v1'):
    _make(tmp_path, env_name, {0: [-70.0]}, method='rigl')
  _make(tmp_path, 'Acrobot-v1', {0: [-70.0]}, method='set')
  study = read_study(tmp_path)
  assert len(study.results) == 3
  assert [a.cell.method for a in study.aggregates] == ['rigl']


def test_without_reference_scores_there_is_no_aggregate(tmp_path, read_study):
  _make(tmp_path, 'MountainCarContinuous-v0', {0: [3.0]}, agent='sac')
  study = read_study(tmp_path)
  assert study.aggregates == () and study.improvements == ()
  [result] = study.results
  assert result.final_return.value == 3 and result.normalized is None


def test_unfinished_runs_do_not_count(tmp_path, read_study):
  _make(tmp_path, 'CartPole-v1', {0: [100.0], 1: [300.0]})
  studies.make_run(tmp_path / 'late', returns=[9.0], seed=2, finished=False)
  study = read_study(tmp_path)
  [result] = study.results
  assert result.final_return.value == 200
  assert result.condition.seeds == (0, 1)
  assert study.seeds == (0, 1, 2)
  assert len(study.aggregates[0].matrix) == 2
  every = conditions.group(runs.read(tmp_path))
  assert study_lib.statuses(every) == {
    'finished': 2,
    'unfinished': 1,
    'not started': 0,
    'damaged': 0,
  }


def test_only_seeds_of_all_environments_are_aggregated(tmp_path, read_study):
  _make(tmp_path, 'CartPole-v1', {0: [500.0], 1: [22.2]})
  _make(tmp_path, 'Acrobot-v1', {1: [-67.0], 2: [-67.0]})
  [aggregate] = read_study(tmp_path).aggregates
  np.testing.assert_allclose(aggregate.matrix, [[1, 0]], atol=1e-9)


def test_improvement_is_over_dense_of_full_and_of_equal_size(dqn_study):
  found = [(x.label, y.label) for x, y, *_ in dqn_study.improvements]
  assert found == [
    ('Small dense 0.8', 'Dense'),
    ('Small dense 0.95', 'Dense'),
    ('Static 0.8', 'Dense'),
    ('Static 0.8', 'Small dense 0.8'),
    ('Static 0.95', 'Dense'),
    ('Static 0.95', 'Small dense 0.95'),
    ('RigL 0.8', 'Dense'),
    ('RigL 0.8', 'Small dense 0.8'),
    ('RigL 0.8 uniform', 'Dense'),
    ('RigL 0.8 uniform', 'Small dense 0.8'),
    ('RigL 0.95', 'Dense'),
    ('RigL 0.95', 'Small dense 0.95'),
  ]


def test_costs_are_means_or_not_recorded(tmp_path, read_study):
  _make(tmp_path, 'CartPole-v1', {0: [1.0], 1: [2.0]})
  paths = sorted(tmp_path.glob('*/summary.json'))
  summaries = [json.loads(path.read_text('utf-8')) for path in paths]
  summaries[0]['nonzero'] += 10
  del summaries[1]['train_flops']  # As of an older version.
  for path, summary in zip(paths, summaries):
    path.write_text(json.dumps(summary), 'utf-8')
  [result] = read_study(tmp_path).results
  assert result.costs['nonzero'] == summaries[1]['nonzero'] + 5
  assert result.costs['train_flops'] is None
  assert result.costs['peak_memory_mib'] == 840.5


def test_curves(tmp_path):
  _make(tmp_path, 'CartPole-v1', {0: [1.0, 2.0, 3.0], 1: [5.0, 6.0, 7.0]})
  [condition] = conditions.group(runs.read(tmp_path))
  env_steps, returns = study_lib.curves(condition)
  assert env_steps.tolist() == [0, 50_000, 100_000]
  assert returns.tolist() == [[1, 2, 3], [5, 6, 7]]
  _, returns = study_lib.curves(condition, seeds={1})
  assert returns.tolist() == [[5, 6, 7]]
  # Where none is finished, as far as all have come.
  for path in tmp_path.glob('*/summary.json'):
    path.unlink()
  results = tmp_path / 'CartPole-v1None0' / 'results.jsonl'
  lines = results.read_text('utf-8').splitlines(keepends=True)
  results.write_text(''.join(lines[:2]), 'utf-8')
  [condition] = conditions.group(runs.read(tmp_path))
  env_steps, returns = study_lib.curves(condition)
  assert env_steps.tolist() == [0, 50_000]
  assert returns.tolist() == [[1, 2], [5, 6]]
