"""Tables of the runs themselves: links, settings, sources."""

import pathlib

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import conditions, run_tables


def test_runs_lead_to_their_directories(tmp_path):
  studies.make_run(tmp_path / 'a run', [7.0], method='static')
  studies.make_run(tmp_path / 'late', [7.0], seed=1, finished=False)
  every = conditions.group(runs.read(tmp_path))
  out = tmp_path / 'reports' / 'one'
  table = run_tables.runs(every, out)
  links = studies.column(table, 'run')
  assert [(link.text, link.target) for link in links] == [
    ('a run', '../../a run'),
    ('late', '../../late'),
  ]
  for link in studies.column(table, 'settings'):
    assert pathlib.Path(out, link.target).resolve().is_file()
  assert studies.column(table, 'status') == ['finished', 'unfinished']
  assert studies.column(table, 'final return') == [7.0, None]
  assert studies.column(table, 'commit') == ['c0ffeec0ff'] * 2


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
