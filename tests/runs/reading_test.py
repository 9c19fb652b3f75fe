"""Reading run directories: finished, unfinished, planned and damaged."""

import json
import re

import pytest

from tests.report import studies
from tf_sparse_rl import runs


def _list(root, *entries):
  lines = [json.dumps({'id': name, 'flags': flags}) for name, flags in entries]
  (root / 'runs.jsonl').write_text('\n'.join(lines) + '\n', 'utf-8')


def test_directories_are_found_wherever_they_are(tmp_path):
  studies.make_run(tmp_path / 'b' / 'deep' / 'run', returns=[1, 5], seed=4)
  studies.make_run(tmp_path / 'a', returns=[1, 2], finished=False)
  (tmp_path / 'a' / 'results.jsonl').open('a').write('{"env_step": 9')
  unfinished, finished = runs.read(tmp_path)
  assert (unfinished.name, unfinished.status) == ('a', 'unfinished')
  assert [r.return_mean for r in unfinished.results] == [1, 2]
  assert (finished.name, finished.status) == ('b/deep/run', 'finished')
  assert finished.config.seed == 4
  assert finished.summary.final_return == 5
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
  assert [(n.noise_std, n.return_mean) for n in run.noise] == [
    (0.0, 9.0),
    (5.0, 2.0),
  ]


@pytest.mark.parametrize(
  'name, text, message',
  [
    (
      'runs.jsonl',
      '{"id": "x"}\n',
      'runs.jsonl, line 1, is damaged: Expected flags of type dict. '
      'Received: none',
    ),
    ('runs.jsonl', '{"id": "x", "flags": {}}\n[1]', 'line 2, .* object'),
    *(
      (
        'runs.jsonl',
        json.dumps({'id': name, 'flags': {}}) + '\n',
        'runs.jsonl, line 1, is damaged: Expected id to name a directory',
      )
      for name in (
        *('../x', '/x', 'x/', 'a/b', '', '.', '..', 'a\0b', 'a\nb', '\ud800'),
        *('\x1b[2J', 'x' * 241, 'é' * 121),
      )
    ),
    ('notes.txt', 'none', 'Found none. Runs come from'),
  ],
)
def test_a_list_that_cannot_be_read_is_named(tmp_path, name, text, message):
  (tmp_path / name).write_text(text, 'utf-8')
  with pytest.raises(runs.RunsError, match=message):
    runs.read(tmp_path)


@pytest.mark.parametrize(
  'name, content, damage',
  [
    ('config.json', b'{"agent": "dq', 'Cannot read the config .*damaged/conf'),
    ('config.json', b'{"agnt": "dqn"}', r"config.json. Received: \['agnt'\]"),
    ('config.json', b'{"agent": "ppq"}', 'config.json is damaged: .*ppo'),
    ('config.json', b'{"versions": 7}', 'config.json is damaged: .*versions'),
    ('summary.json', b'', 'damaged/summary.json is damaged: '),
    ('summary.json', b'[]', r'Expected a JSON object. Received: \[\]'),
    (
      'summary.json',
      b'{"final_return": \xff}',
      'summary.json is damaged: .*utf',
    ),
    ('summary.json', b'[' * 100_000, 'summary.json is damaged: .*recursion'),
    (
      'results.jsonl',
      b'{}\n',
      'results.jsonl, line 1, is damaged: Exp.*env_st',
    ),
    (
      'noise.jsonl',
      b'{"noise_std": NaN}\n',
      'Expected noise_std of type float',
    ),
  ],
)
def test_one_damaged_run_leaves_the_others(tmp_path, name, content, damage):
  studies.make_run(tmp_path / 'whole', returns=[1.0])
  studies.make_run(tmp_path / 'damaged', returns=[1.0], noise={0.0: 1.0})
  (tmp_path / 'damaged' / name).write_bytes(content)
  damaged, whole = runs.read(tmp_path)
  assert (whole.status, damaged.status) == ('finished', 'damaged')
  assert re.search(damage, damaged.damage)
  # What can still be read is there.
  unreadable = name == 'config.json' and b'versions' not in content
  assert (damaged.config is None) == unreadable
  assert bool(damaged.results) == (name in ('summary.json', 'noise.jsonl'))


@pytest.mark.parametrize(
  'flags, damage',
  [({'engine': 'ray'}, "'engine'"), ({'method': 'rigll'}, "'rigl'")],
)
def test_listed_flags_of_no_run_are_damage(tmp_path, flags, damage):
  _list(tmp_path, ('a', {'seed': 1}), ('b', flags))
  good, bad = runs.read(tmp_path)
  assert (good.status, bad.status) == ('not started', 'damaged')
  assert damage in bad.damage and 'runs.jsonl' in bad.damage


def test_no_directory(tmp_path):
  with pytest.raises(runs.RunsError, match='Received: .*nowhere'):
    runs.read(tmp_path / 'nowhere')
