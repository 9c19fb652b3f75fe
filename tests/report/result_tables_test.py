"""The tables of a study: their numbers, what is missing, what is linked."""

import pytest

from tests.report import studies
from tf_sparse_rl.report import (
  result_tables,
  tables,
)


def test_returns_and_aggregates(dqn_study):
  table = result_tables.returns(dqn_study)
  assert len(table.rows) == 2 * (1 + 3 * 2 + 1)
  assert set(studies.column(table, 'seeds')) == {'2'}
  # Nothing is set apart: the column is left out.
  assert 'other fields' not in [c.title for c in table.columns]
  table = result_tables.aggregate_scores(dqn_study)
  assert studies.column(table, 'distribution').count('uniform') == 1
  assert set(studies.column(table, 'envs')) == {2}
  assert 'Acrobot-v1, CartPole-v1' in table.note


def test_a_sparsity_that_runs_find_is_no_0(tmp_path, read_study):
  studies.make_run(tmp_path / 'a', [9.0], method='adaptive')
  studies.make_run(tmp_path / 'b', [9.0], method='dense')
  table = result_tables.returns(read_study(tmp_path))
  assert studies.column(table, 'sparsity') == [0, None]
  assert '| Adaptive pruning | found | erk |' in tables.to_markdown(table)


def test_unfinished_conditions_say_so(tmp_path, read_study):
  studies.make_seeds(tmp_path, 'CartPole-v1', 400.0, method='rigl')
  studies.make_run(tmp_path / 'set', [9.0], method='set', finished=False)
  study = read_study(tmp_path)
  table = result_tables.returns(study)
  assert studies.column(table, 'seeds') == ['0 of 2', '2']
  assert 'no finished run' in tables.to_markdown(table)
  assert result_tables.aggregate_scores(study).note.endswith(': SET 0.9.')


def test_cost(tmp_path, read_study):
  studies.make_run(tmp_path / 'run', [7.0], method='static')
  summary = tmp_path / 'run' / 'summary.json'
  text = summary.read_text('utf-8')
  table = result_tables.cost(read_study(tmp_path))
  # A tenth of 265,216 weights, two FLOPs each.
  assert studies.column(table, 'non-zeros') == [26_522]
  assert studies.column(table, 'inference kFLOPs') == [2 * 26.522]
  # Batches of 128, 99,000 train steps, four passes.
  [tera] = studies.column(table, 'train TFLOPs')
  assert tera == pytest.approx(8 * 128 * 26_522 * 99_000 / 1e12)
  assert studies.column(table, 'peak MiB') == [840.5]
  assert tables.NOT_RECORDED not in tables.to_markdown(table)
  summary.write_text(text.replace('peak_memory_mib', 'x'), 'utf-8')
  table = result_tables.cost(read_study(tmp_path))
  assert tables.to_markdown(table).count(tables.NOT_RECORDED) == 1


def test_variants_are_told(sac_study):
  table = result_tables.returns(sac_study)
  assert sorted(filter(None, studies.column(table, 'other fields'))) == [
    'actor_parameter_share=0.1 parameter_budget=0.2',
    'actor_parameter_share=0.5 parameter_budget=0.2',
    'sparsity_aware_init=False',
    'weight_decay=0.001',
  ]
