"""The file of measurements, and its figures."""

import json

import pytest

from tf_sparse_rl import flags
from tf_sparse_rl.benchmarks import figures, measured

_SPREAD = {'min': 2.0, 'median': 2.5, 'max': 3.0}
_CONDITION = {
  'pinned_cores': [1],
  'num_cores': 2,
  'rounds': 3,
  'others_share': 0.4,
  'quiet': False,
}
_RUNS = {
  **_CONDITION,
  'candidates': {
    'rigl': {
      'env_steps_per_sec': [1200.4, 250.0, 300.0],
      'median': 300.0,
      'others_share': [0.0, 0.0, 0.0],
      'rigl_is_faster_by': {'min': 1.0, 'median': 1.0, 'max': 1.0},
    },
    'dense': {
      'env_steps_per_sec': [100, 100, 150],
      'median': 100,
      'others_share': [0.0, 0.0, 0.01],
      'rigl_is_faster_by': _SPREAD,
    },
    'sb3': {
      'env_steps_per_sec': [50, 60, 70],
      'median': 60,
      'others_share': [0.1, 0.4, 0.0],
      'rigl_is_faster_by': {'min': 4.2, 'median': 5.0, 'max': 20.0},
      'version': '2.9.2',
    },
  },
}
_STEPS = {
  **_CONDITION,
  'pinned_cores': None,
  'quiet': True,
  'method': 'rigl',
  'train_step_ms': {
    'dense': [4.0],
    'masked 0.5': [4.5],
    'native 0.5': [3.0],
    'masked 0.9': [4.5],
    'native 0.9': [1.0],
    'sbx': [8.0],
  },
}


@pytest.fixture(name='results')
def results_fixture(tmp_path):
  """The path of a file of two measurements, one of them repeated."""
  path = tmp_path / 'speed.json'
  config = flags.make_config({'agent': 'sac', 'env_name': 'HalfCheetah-v5'})
  measured.add(path, config, 'training', {**_RUNS, 'rounds': 1})
  measured.add(path, config, 'sparsity', _STEPS)
  measured.add(path, config, 'training', _RUNS)
  return path


def test_a_measurement_takes_the_place_of_an_older_one_of_its_kind(results):
  found = measured.read(results)
  assert list(found) == [
    'sparsity/sac/HalfCheetah-v5/mlp/256-256/256/1/1/1.0/0.9/0-pinned',
    'training/sac/HalfCheetah-v5/mlp/256-256/256/1/1/1.0/0.9/1-pinned',
  ]
  steps, runs = found.values()
  assert steps['train_step_ms'] == _STEPS['train_step_ms']
  assert runs['rounds'] == 3
  assert runs['sparsity'] == 0.9
  assert runs['command'].startswith('python -m tf_sparse_rl.benchmark')


def test_the_command_is_told_without_paths_of_this_machine():
  peers = '--peers=sb3=/home/me/a/bin/python,sbx=b/python'
  assert measured.command(['--agent=sac', peers, '--rounds=3']) == (
    'python -m tf_sparse_rl.benchmark --agent=sac '
    '--peers=sb3=PYTHON,sbx=PYTHON --rounds=3'
  )


@pytest.mark.parametrize('content', ['{"a": 1}', '[]', '{'])
def test_another_file_is_refused(content, tmp_path):
  (tmp_path / 'speed.json').write_text(content)
  with pytest.raises(ValueError, match='to hold what --results has written'):
    measured.read(tmp_path / 'speed.json')


def test_a_table_of_whole_env_steps(results):
  _, runs = measured.read(results).values()
  assert figures.table(runs).splitlines() == [
    'SAC, HalfCheetah-v5, 256-256, batch 256, on one pinned core; 3 rounds in '
    'turn, not quiet: others had up to 40% of that:',
    '',
    '| | env steps per second, round by round | median '
    '| RigL 0.9 is faster by: min, median, max |',
    '|---|---|---|---|',
    '| RigL 0.9 | 1,200, 250, 300 | 300 |  |',
    '| our dense | 100, 100, 150 | 100 | 2.00, 2.50, 3.00 |',
    '| Stable-Baselines3 2.9.2 | 50, 60, 70 | 60 | 4.20, 5.00, 20.00 |',
  ]


def test_figures_say_what_they_show_beside_the_lines(results):
  steps, runs = measured.read(results).values()
  bars = [text.get_text() for text in figures._speeds([runs]).axes[0].texts]
  assert bars[:3] == [' 300', ' 100  (2.5 x)', ' 60  (5.0 x)']
  assert bars[3] == figures.condition(runs)
  [axis] = figures._train_step(steps).axes
  lines = [text.get_text() for text in axis.texts]
  assert lines == [
    'zeros skipped',
    'our dense: 4.0 x at 90 %',
    'zeros multiplied',
    'SBX, dense: 8.0 x at 90 %',
    'all 2 cores; 3 rounds in turn, quiet',
  ]


def test_all_is_drawn_from_one_file(results, tmp_path):
  paths = figures.draw(measured.read(results), tmp_path)
  names = ['speed.png', 'speed.md', 'speed_sac_256-256.png']
  assert [path.name for path in paths] == names
  first = [path.read_bytes() for path in paths]
  figures.draw(json.loads(results.read_text()), tmp_path)
  assert [path.read_bytes() for path in paths] == first
  assert first[0].startswith(b'\x89PNG') and first[1].startswith(b'SAC, ')
