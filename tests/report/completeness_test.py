"""Ragged runs are refused, and what is missing is named."""

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import completeness, conditions


def _group(root):
  return conditions.group(runs.read(root))


def test_ragged_runs_are_refused_and_named(tmp_path):
  studies.make_grid(
    tmp_path, ['Acrobot-v1'], ['dense', 'set'], [0.9], [0, 1, 2]
  )
  (tmp_path / 'Acrobot-v1-set-0.9-seed1' / 'summary.json').unlink()
  gone = tmp_path / 'Acrobot-v1-set-0.9-seed2'
  for path in gone.iterdir():
    path.unlink()
  with pytest.raises(runs.RunsError) as error:
    completeness.check(_group(tmp_path))
  message = str(error.value)
  path = tmp_path / 'Acrobot-v1-set-0.9-seed1'
  assert (
    f'dqn Acrobot-v1 SET 0.9: seeds 1 (unfinished: {path}), 2 (no such run)'
  ) in message
  assert 'Dense' not in message and '--allow_unfinished' in message


def test_a_damaged_run_is_missing_and_its_file_named(tmp_path):
  for seed in (0, 1):
    studies.make_run(tmp_path / str(seed), [1.0], seed=seed)
  (tmp_path / '1' / 'summary.json').write_bytes(b'\xff')
  message = 'RigL 0.9: seed 1 .*/1/summary.json is damaged: '
  with pytest.raises(runs.RunsError, match=message):
    completeness.check(_group(tmp_path))


def test_all_that_is_there_is_accepted(tmp_path):
  studies.make_grid(tmp_path, ['Acrobot-v1'], ['dense', 'set'], [0.9], [3, 5])
  found = _group(tmp_path)
  completeness.check(found)
  assert completeness.missing_seeds(found) == []


def test_agents_may_have_seeds_of_their_own(tmp_path):
  studies.make_run(tmp_path / '0', [1.0], seed=0)
  sac = {'agent': 'sac', 'env_name': 'Walker2d-v5'}
  studies.make_run(tmp_path / '1', [1.0], seed=1, **sac)
  found = _group(tmp_path)
  completeness.check(found)
  assert completeness.missing_seeds(found) == []
