"""Reading run directories: finished, unfinished, planned and damaged."""

import json

import pytest

from tests.report import studies
from tf_sparse_rl.report import runs


def _list(root, *entries):
  lines = [json.dumps({'id': name, 'flags': flags}) for name, flags in entries]
  (root / 'runs.jsonl').write_text('\n'.join(lines) + '\n', 'utf-8')


def test_directories_are_found_wherever_they_are(tmp_path):
  studies.make_run(tmp_path / 'b' / 'deep' / 'run', returns=[1, 5], seed=4)
  studies.make_run(tmp_path / 'a', returns=[1, 2], finished=False)
  (tmp_path / 'a' / 'results.jsonl').open('a').write('{"env_step": 9')
  unfinished, finished = runs.read(tmp_path)
  assert (unfinished.name, unfinished.status) == ('a', 'unfinished')
  assert [r['return_mean'] for r in unfinished.results] == [1, 2]
  assert (finished.name, finished.status) == ('b/deep/run', 'finished')
  assert finished.config.seed == 4
  assert finished.summary['final_return'] == 5
  assert finished.versions == studies.VERSIONS
  assert finished.noise == []


def test_a_field_younger_than_a_run_is_as_its_preset_has_it(tmp_path):
  studies.make_run(tmp_path / 'a', returns=[1, 2])
  path = tmp_path / 'a' / 'config.json'
  values = json.loads(path.read_text('utf-8'))
  del values['gamma'], values['num_envs']
  path.write_text(json.dumps(values), 'utf-8')
  [run] = runs.read(tmp_path)
  assert (run.config.gamma, run.config.num_envs) == (0.99, 1)


def test_a_list_tells_what_has_not_been_started(tmp_path):
  studies.make_run(tmp_path / 'runs' / 'x-seed0', returns=[1])
  studies.make_run(tmp_path / 'runs' / 'not listed', returns=[1])
  _list(
    tmp_path,
    ('x-seed0', {'method': 'rigl', 'seed': 0}),
    ('x-seed1', {'method': 'rigl', 'seed': 1, 'hidden_units': [8, 8]}),
    ('small', {'method': 'dense', 'match_sparsity': 0.8}),
  )
  small, first, second = runs.read(tmp_path)
  assert (first.name, first.status) == ('x-seed0', 'finished')
  assert (second.name, second.status) == ('x-seed1', 'not started')
  assert (second.config.seed, second.config.hidden_units) == (1, (8, 8))
  assert small.config.method == 'dense'
  assert small.config.match_sparsity == 0.8


def test_noise_is_read(tmp_path):
  studies.make_run(tmp_path / 'run', returns=[1], noise={0.0: 9.0, 5.0: 2.0})
  [run] = runs.read(tmp_path)
  assert run.noise == [
    {'noise_std': 0.0, 'return_mean': 9.0},
    {'noise_std': 5.0, 'return_mean': 2.0},
  ]


@pytest.mark.parametrize(
  'name, text, message',
  [
    (
      'runs.jsonl',
      '{"id": "x"}\n',
      r'"flags".*in line 0 of .*runs.jsonl. Received: .{"id": "x"}',
    ),
    ('runs.jsonl', '[1]\n', 'in line 0 of'),
    ('runs.jsonl', '{"id": "x", "flags": {"engine": "ray"}}\n', "'engine'"),
    ('runs.jsonl', '{"id": "x", "flags": {"method": "rigll"}}\n', "'rigl'"),
    ('run/config.json', '{"agent": "dq', 'Cannot read the run in .*run'),
    ('run/config.json', '{"agnt": "dqn"}', r"Received: \['agnt'\]"),
    ('notes.txt', 'none', 'Found none. Runs come from'),
  ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, message):
  (tmp_path / name).parent.mkdir(exist_ok=True)
  (tmp_path / name).write_text(text, 'utf-8')
  with pytest.raises(runs.ReportError, match=message):
    runs.read(tmp_path)


@pytest.mark.parametrize(
  'name', ['summary.json', 'results.jsonl', 'noise.jsonl']
)
def test_a_damaged_file_is_named(tmp_path, name):
  studies.make_run(tmp_path / 'run', returns=[1])
  (tmp_path / 'run' / name).write_text('{"final_ret\n', 'utf-8')
  message = f'run/{name} is damaged.*Repair it or move it away'
  with pytest.raises(runs.ReportError, match=message):
    runs.read(tmp_path)


def test_no_directory(tmp_path):
  with pytest.raises(runs.ReportError, match='Received: .*nowhere'):
    runs.read(tmp_path / 'nowhere')
