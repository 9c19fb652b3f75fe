"""Our numbers beside the paper's, by hand."""

import pytest

from tests.report import studies
from tf_sparse_rl.report import paper_tables


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
  table = paper_tables.beside_the_paper(read_study(tmp_path))
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
  table = paper_tables.iqm_beside_the_paper(study)
  [ours], [paper] = _column(table, 'ours'), _column(table, 'paper')
  assert ours.value == pytest.approx(1)
  assert paper == (1.117, 1.07, 1.16)
  assert _column(table, 'difference') == [pytest.approx(-0.117)]
  for path in tmp_path.glob('Ant-v5-*/config.json'):
    path.unlink()
  assert paper_tables.iqm_beside_the_paper(read_study(tmp_path)) is None


def test_nothing_of_the_paper_no_table(tmp_path, read_study):
  _write(tmp_path, 'CartPole-v1', 400.0, sparsity=0.12)
  assert paper_tables.beside_the_paper(read_study(tmp_path)) is None


def test_other_allocations_are_not_the_papers(dqn_study):
  table = paper_tables.beside_the_paper(dqn_study)
  methods = _column(table, 'method')
  assert 'Static' in methods
  # One at 0.8; the paper has RigL there, and shows none of Acrobot at 0.95.
  assert methods.count('RigL') == 1
