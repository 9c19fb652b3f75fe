"""The tables of a study: their numbers, what is missing, what is linked."""

import pathlib

import pytest

from tests.report import studies
from tf_sparse_rl.report import (
  conditions,
  result_tables,
  run_tables,
  runs,
  tables,
)


def _column(table, title):
  index = [c.title for c in table.columns].index(title)
  return [row[index] for row in table.rows]


def _write(root, env_name, value, seeds=(0, 1), **fields):
  for seed in seeds:
    name = f'{env_name}-{fields.get("method")}-{seed}'
    studies.make_run(
      root / name, [value], env_name=env_name, seed=seed, **fields
    )


def test_returns_beside_the_paper_by_hand(tmp_path, read_study):
  _write(tmp_path, 'Acrobot-v1', -91.25, method='rigl')
  _write(tmp_path, 'Acrobot-v1', -60.3, method='dense')
  _write(tmp_path, 'CartPole-v1', 400.0, method='dense')
  table = result_tables.beside_the_paper(read_study(tmp_path))
  assert _column(table, 'environment') == ['Acrobot-v1'] * 2 + ['CartPole-v1']
  assert _column(table, 'method') == ['Dense', 'RigL', 'Dense']
  assert [e.value for e in _column(table, 'paper')] == [-67, -73, 198]
  first, second, third = _column(table, 'difference')
  assert (first, second) == (pytest.approx(6.7), pytest.approx(-18.25))
  assert _column(table, 'in %')[1] == pytest.approx(-25)
  # 500 is the most of ours, 200 of the paper's.
  assert third is None
  assert 'ends at 200' in _column(table, 'note')[2]
  assert _column(table, 'our seeds') == [2, 2, 2]
  assert "Ours after 100,000 env steps; the paper's after 100,000" in table.note


def test_iqms_beside_the_paper_need_its_environments(tmp_path, read_study):
  full = {
    'Ant-v5': 4920.0,
    'HalfCheetah-v5': 11210.0,
    'Hopper-v5': 2670.0,
    'Humanoid-v5': 4700.0,
    'Walker2d-v5': 4930.0,
  }
  for env_name, value in full.items():
    _write(tmp_path, env_name, value, agent='sac', method='dense')
  study = read_study(tmp_path)
  table = result_tables.iqm_beside_the_paper(study)
  [ours], [paper] = _column(table, 'ours'), _column(table, 'paper')
  assert ours.value == pytest.approx(1)
  assert paper == (1.117, 1.07, 1.16)
  assert _column(table, 'difference') == [pytest.approx(-0.117)]
  for path in tmp_path.glob('Ant-v5-*/config.json'):
    path.unlink()
  assert result_tables.iqm_beside_the_paper(read_study(tmp_path)) is None


def test_nothing_of_the_paper_no_table(tmp_path, read_study):
  _write(tmp_path, 'CartPole-v1', 400.0, sparsity=0.12)
  assert result_tables.beside_the_paper(read_study(tmp_path)) is None


def test_other_allocations_are_not_the_papers(dqn_study):
  table = result_tables.beside_the_paper(dqn_study)
  methods = _column(table, 'method')
  assert 'Static' in methods
  # One at 0.8; the paper has RigL there, and shows none of Acrobot at 0.95.
  assert methods.count('RigL') == 1


def test_returns_and_aggregates(dqn_study):
  table = result_tables.returns(dqn_study)
  assert len(table.rows) == 2 * (1 + 3 * 2 + 1)
  assert set(_column(table, 'seeds')) == {'2'}
  # Nothing is set apart: the column is left out.
  assert 'set apart by' not in [c.title for c in table.columns]
  table = result_tables.aggregate_scores(dqn_study)
  assert _column(table, 'allocation').count('uniform') == 1
  assert set(_column(table, 'envs')) == {2}
  assert 'Acrobot-v1, CartPole-v1' in table.note


def test_unfinished_conditions_say_so(tmp_path, read_study):
  _write(tmp_path, 'CartPole-v1', 400.0, method='rigl')
  studies.make_run(tmp_path / 'set', [9.0], method='set', finished=False)
  study = read_study(tmp_path)
  table = result_tables.returns(study)
  assert _column(table, 'seeds') == ['0 of 2', '2']
  assert 'no finished run' in tables.to_markdown(table)
  assert result_tables.aggregate_scores(study).note.endswith(': SET 0.9.')


def test_cost(tmp_path, read_study):
  studies.make_run(tmp_path / 'run', [7.0], method='static')
  summary = tmp_path / 'run' / 'summary.json'
  text = summary.read_text('utf-8')
  table = result_tables.cost(read_study(tmp_path))
  # A tenth of 265,216 weights, two FLOPs each.
  assert _column(table, 'non-zeros') == [26_522]
  assert _column(table, 'inference kFLOPs') == [2 * 26.522]
  # Batches of 128, 99,000 train steps, four passes.
  [tera] = _column(table, 'train TFLOPs')
  assert tera == pytest.approx(8 * 128 * 26_522 * 99_000 / 1e12)
  assert _column(table, 'peak MiB') == [840.5]
  assert tables.NOT_RECORDED not in tables.to_markdown(table)
  summary.write_text(text.replace('peak_memory_mib', 'x'), 'utf-8')
  table = result_tables.cost(read_study(tmp_path))
  assert tables.to_markdown(table).count(tables.NOT_RECORDED) == 1


def test_variants_are_told(sac_study):
  table = result_tables.returns(sac_study)
  assert sorted(filter(None, _column(table, 'set apart by'))) == [
    'actor_parameter_share=0.1 parameter_budget=0.2',
    'actor_parameter_share=0.5 parameter_budget=0.2',
    'sparsity_aware_init=False',
    'weight_decay=0.001',
  ]


def test_runs_lead_to_their_directories(tmp_path):
  studies.make_run(tmp_path / 'a run', [7.0], method='static')
  studies.make_run(tmp_path / 'late', [7.0], seed=1, finished=False)
  every = conditions.group(runs.read(tmp_path))
  out = tmp_path / 'reports' / 'one'
  table = run_tables.runs(every, out)
  links = _column(table, 'run')
  assert [(link.text, link.target) for link in links] == [
    ('a run', '../../a run'),
    ('late', '../../late'),
  ]
  for link in _column(table, 'settings'):
    assert pathlib.Path(out, link.target).resolve().is_file()
  assert _column(table, 'status') == ['finished', 'unfinished']
  assert _column(table, 'final return') == [7.0, None]
  assert _column(table, 'commit') == ['c0ffeec0ff'] * 2


def test_settings_and_versions(tmp_path):
  studies.make_run(tmp_path / '0', [7.0], seed=0, gamma=0.9)
  studies.make_run(tmp_path / '1', [7.0], seed=1, gamma=0.9)
  every = conditions.group(runs.read(tmp_path))
  assert run_tables.settings(every).rows == [('dqn', 'gamma', '0.9', 2)]
  assert ('tf_sparse_rl', '0.1.0', 2) in run_tables.versions(every).rows


def test_presets_need_no_table_of_settings(tmp_path):
  studies.make_run(tmp_path / '0', [7.0])
  every = conditions.group(runs.read(tmp_path))
  assert run_tables.settings(every) is None


def test_references_have_sources(dqn_study, tmp_path, read_study):
  studies.make_run(
    tmp_path / 'x', [1.0], agent='sac', env_name='Pendulum-v1', seed=0
  )
  table = run_tables.references([dqn_study, read_study(tmp_path)])
  assert [row[:3] for row in table.rows] == [
    ('Acrobot-v1', -499.1, -67.0),
    ('CartPole-v1', 22.2, 500.0),
    ('Pendulum-v1', None, None),
  ]
  assert 'not in the aggregates' in table.rows[2][-1]
