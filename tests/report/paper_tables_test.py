"""Our numbers beside the paper's, by hand."""

import pytest

from tests.report import studies
from tf_sparse_rl.report import result_tables


def test_returns_beside_the_paper_by_hand(tmp_path, read_study):
  studies.make_seeds(tmp_path, 'Acrobot-v1', -91.25, method='rigl')
  studies.make_seeds(tmp_path, 'Acrobot-v1', -60.3, method='dense')
  studies.make_seeds(tmp_path, 'CartPole-v1', 400.0, method='dense')
  table = result_tables.beside_the_paper(read_study(tmp_path))
  assert studies.column(table, 'environment') == ['Acrobot-v1'] * 2 + [
    'CartPole-v1'
  ]
  assert studies.column(table, 'method') == ['Dense', 'RigL', 'Dense']
  assert [e.value for e in studies.column(table, 'paper')] == [-67, -73, 198]
  first, second, third = studies.column(table, 'difference')
  assert (first, second) == (pytest.approx(6.7), pytest.approx(-18.25))
  assert studies.column(table, 'in %')[1] == pytest.approx(-25)
  # Our maximum is 500, the paper's 200.
  assert third is None
  assert 'ends at 200' in studies.column(table, 'note')[2]
  assert studies.column(table, 'our seeds') == [2, 2, 2]
  assert 'Ours are after 100,000 env steps.' in table.note
  assert "The paper's are after 100,000, with at least 10 seeds" in table.note


def test_iqms_beside_the_paper_need_its_environments(tmp_path, read_study):
  full = {
    'Ant-v5': 4920.0,
    'HalfCheetah-v5': 11210.0,
    'Hopper-v5': 2670.0,
    'Humanoid-v5': 4700.0,
    'Walker2d-v5': 4930.0,
  }
  for env_name, value in full.items():
    studies.make_seeds(tmp_path, env_name, value, agent='sac', method='dense')
  study = read_study(tmp_path)
  table = result_tables.iqm_beside_the_paper(study)
  [ours], [paper] = (
    studies.column(table, 'ours'),
    studies.column(table, 'paper'),
  )
  assert ours.value == pytest.approx(1)
  assert paper == (1.117, 1.07, 1.16)
  assert studies.column(table, 'difference') == [pytest.approx(-0.117)]
  for path in tmp_path.glob('Ant-v5-*/config.json'):
    path.unlink()
  assert result_tables.iqm_beside_the_paper(read_study(tmp_path)) is None


def test_nothing_of_the_paper_no_table(tmp_path, read_study):
  studies.make_seeds(tmp_path, 'CartPole-v1', 400.0, sparsity=0.12)
  assert result_tables.beside_the_paper(read_study(tmp_path)) is None


def test_other_allocations_are_not_the_papers(dqn_study):
  table = result_tables.beside_the_paper(dqn_study)
  methods = studies.column(table, 'method')
  assert 'Static' in methods
  # One at 0.8; the paper has RigL there, and shows none of Acrobot at 0.95.
  assert methods.count('RigL') == 1
