"""Raw results: what is kept of a study, and a report from it alone."""

import gzip
import json
import pathlib

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import conditions, origins, raw_results, writing

_RESULTS = pathlib.Path(__file__).parents[2] / 'docs' / 'results'


def _group(root):
  return conditions.group(runs.read(root))


def _files(path):
  return {
    str(p.relative_to(path)): p.read_bytes()
    for p in sorted(path.rglob('*'))
    if p.is_file()
  }


def test_what_is_read_is_what_was_written(tmp_path):
  diagnoses = [{}, {'SNR/q/active': 0.5, 'Rank/q/srank': 7.0}]
  studies.make_run(
    tmp_path / 'in' / 'a',
    [1.0 / 3, 2.0],
    diagnoses=diagnoses,
    noise={0.0: 9.0, 1.0: 3.0},
    hidden_units=(8, 8),
  )
  studies.make_run(tmp_path / 'in' / 'late', seed=1, method='set')
  studies.make_run(
    tmp_path / 'in' / 'b', [9.0], seed=0, method='set', finished=False
  )
  studies.make_run(
    tmp_path / 'in' / 'c', [9.0, 8.0], seed=1, hidden_units=(8, 8)
  )
  before = _group(tmp_path / 'in')
  left_out = raw_results.write(before, tmp_path / 'raw', ['one', 'two'])
  assert [c.cell.label for c in left_out] == ['SET 0.9']
  found, study = raw_results.read(tmp_path / 'raw')
  assert study.commands == ['one', 'two']
  a, c = found
  original = next(r for r in before[-1].runs if r.name == 'a')
  assert (a.name, c.name) == ('a', 'c')
  for name in ('config', 'versions', 'summary', 'noise'):
    assert getattr(a, name) == getattr(original, name), name
  assert [e.return_mean for e in a.results] == [1.0 / 3, 2.0]
  assert [e.num_episodes for e in a.results] == [1, 1]
  assert [e.diagnosis for e in a.results] == [None, diagnoses[1]]
  assert [e.env_step for e in c.results] == [0, 100_000]


def test_runs_are_added_to_raw_results(tmp_path):
  tag = 'SNR/q/active'
  studies.make_run(tmp_path / 'in' / 'b', [1.0, 2.0])
  studies.make_run(tmp_path / 'in' / 'c', [5.0], method='set')
  raw = tmp_path / 'raw'
  raw_results.write(_group(tmp_path / 'in'), raw, ['one'])
  only = raw / raw_results.RUNS
  kept = gzip.decompress(only.read_bytes()).splitlines()[0]
  # On another machine: one is there already, one is new.
  studies.make_run(tmp_path / 'more' / 'a', [7.0], diagnoses=[{tag: 0.5}])
  studies.make_run(tmp_path / 'more' / 'c', [8.0], method='set')
  every = _group(tmp_path / 'more')
  raw_results.write(every, raw, ['two', 'one'], base=raw)
  found, study = raw_results.read(raw)
  assert {r.name: [e.return_mean for e in r.results] for r in found} == {
    'a': [7.0],
    'b': [1.0, 2.0],
    'c': [8.0],
  }
  assert [e.diagnosis for e in found[0].results] == [{tag: 0.5}]
  assert found[1].results[0].diagnosis is None
  assert study.commands == ['one', 'two']
  assert gzip.decompress(only.read_bytes()).splitlines()[1] == kept
  with pytest.raises(runs.RunsError, match='Expected raw results'):
    raw_results.write(every, tmp_path / 'out', base=tmp_path / 'none')
  assert not (tmp_path / 'out').exists()


def test_a_report_from_raw_results_is_that_of_the_runs(tmp_path):
  for method, value in (('dense', 400.0), ('rigl', 300.0)):
    studies.make_seeds(
      tmp_path / 'in', 'CartPole-v1', value, method=method, sparsity=0.9
    )
  every, raw = _group(tmp_path / 'in'), tmp_path / 'raw'
  first = _files(writing.write(every, tmp_path / 'out', 100).parent)
  assert raw_results.write(every, raw) == []
  written = _files(raw)
  raw_results.write(every, raw)
  assert _files(raw) == written
  found, _ = raw_results.read(raw)
  # Beside the raw results themselves.
  made = origins.of(found)
  index = writing.write(conditions.group(found), raw, 100, made=made)
  second = _files(raw)
  assert first.keys() | set(raw_results.FILES) == second.keys()
  differ = {name for name in first if first[name] != second[name]}
  # Those have links to the directories of the runs.
  assert differ == {'index.html', 'tables/runs.csv', 'tables/runs.md'}
  text = index.read_text('utf-8')
  assert 'config.json' not in text
  assert '<dt>Commit</dt><dd>c0ffeec0ff</dd>' in text


@pytest.mark.parametrize(
  'name, content, message',
  [
    (raw_results.EVALUATIONS, None, 'Expected raw results in '),
    (raw_results.EVALUATIONS, b'no gzip', 'evaluations.csv.gz is damaged'),
    (raw_results.EVALUATIONS, 'a,b\n', 'Expected the columns run, env_step'),
    (raw_results.EVALUATIONS, '{}\na,1\n', 'line 2, is damaged: Expected 6'),
    (
      raw_results.EVALUATIONS,
      '{}\na,1,nan,1,0.9,2\n',
      'line 2, is damaged: Expected finite',
    ),
    (
      raw_results.EVALUATIONS,
      '{}\na,' + '1' * 400 + ',1,1,0.9,2\n',
      'line 2, is damaged: int too large',
    ),
    (
      raw_results.EVALUATIONS,
      '{}\n' + 'a' * 200_000 + ',1,1,1,0.9,2\n',
      'line 2, is damaged: field larger',
    ),
    (raw_results.EVALUATIONS, '', 'line 0, is damaged: not enough values'),
    (raw_results.EVALUATIONS, '{}\nx,1,2,1,0.9,2\n', 'others too: x'),
    (raw_results.RUNS, '', 'Expected one line per run'),
    (raw_results.RUNS, '{"id": 3}\n', 'line 1, is damaged: Expected id'),
    (raw_results.RUNS, '[' * 9999, 'line 1, is damaged: .* recursion'),
    (raw_results.STUDY, b'[]', 'study.json is damaged'),
    (raw_results.STUDY, b'[' * 9999, 'study.json is damaged'),
  ],
)
def test_damage_is_told(tmp_path, name, content, message):
  studies.make_run(tmp_path / 'in' / 'a', [1.0])
  raw = tmp_path / 'raw'
  raw_results.write(_group(tmp_path / 'in'), raw)
  (raw / name).unlink()
  if isinstance(content, str):
    header = 'run,env_step,return_mean,num_episodes,sparsity,env_steps_per_sec'
    content = gzip.compress(content.replace('{}', header).encode())
  if content is not None:
    (raw / name).write_bytes(content)
  with pytest.raises(runs.RunsError, match=message):
    raw_results.read(raw)


def test_nothing_finished_leaves_nothing(tmp_path):
  studies.make_run(tmp_path / 'in' / 'a', [1.0], finished=False)
  with pytest.raises(runs.RunsError, match='every seed is finished'):
    raw_results.write(_group(tmp_path / 'in'), tmp_path / 'raw')
  assert not (tmp_path / 'raw').exists()


def test_commands_and_dates_come_from_runs_or_the_study(tmp_path):
  for seed, date in enumerate(('2026-11-25', '2026-11-28')):
    studies.make_run(tmp_path / str(seed), [1.0], seed=seed)
    path = tmp_path / str(seed) / 'config.json'
    values = json.loads(path.read_text('utf-8'))
    values.update(date=date, machine={'cpu': 'A CPU'})
    path.write_text(json.dumps(values), 'utf-8')
  for command in ('first', 'second', 'first'):
    runs.note_command(tmp_path, command)
  assert runs.read_commands(tmp_path) == ['first', 'second']
  found = origins.of(runs.read(tmp_path), ['c'], 'noted', 'noted')
  assert found.facts == [
    ('Date', '2026-11-25 to 2026-11-28'),
    ('Commit', 'c0ffeec0ff'),
    ('Machine', 'A CPU'),
  ]
  assert origins.of([], date='noted').facts == [
    ('Date', 'noted'),
    ('Commit', 'not recorded'),
    ('Machine', 'not recorded'),
  ]


@pytest.mark.slow
def test_committed_results_give_the_committed_page(tmp_path):
  committed = _RESULTS / 'ppo'
  found, study = raw_results.read(committed)
  every = conditions.group(found)
  made = origins.of(found, **vars(study))
  writing.write(every, tmp_path, made=made)
  for name, content in _files(tmp_path).items():
    assert (committed / name).read_bytes() == content, name
