"""The layout of a row, for NumPy and for TensorFlow."""

import subprocess
import sys

import numpy as np
import tensorflow as tf

from tf_sparse_rl import envs
from tf_sparse_rl.replay import rows

_LAYOUT = rows.Layout(observation=3, action=2, reward=1)
_ROWS = np.float32([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
_COLUMNS = {
  'observation': [[1, 2, 3], [7, 8, 9]],
  'action': [[4, 5], [10, 11]],
  'reward': [[6], [12]],
}


def test_arrays_and_tensors_are_cut_alike():
  assert _LAYOUT.size == 6
  for columns in (_LAYOUT.split(_ROWS), _LAYOUT.split(tf.constant(_ROWS))):
    assert list(columns) == list(_COLUMNS)
    for name, expected in _COLUMNS.items():
      np.testing.assert_array_equal(columns[name], expected)


def test_columns_of_an_array_are_views():
  mine = _ROWS.copy()
  _LAYOUT.split(mine)['reward'][:] = 0
  assert mine[:, _LAYOUT['reward']].tolist() == [[0], [0]]
  assert mine[0, :5].tolist() == [1, 2, 3, 4, 5]


def test_rows_of_any_rank_and_back():
  stacked = np.stack([_ROWS, 2 * _ROWS])
  joined = _LAYOUT.join(**_LAYOUT.split(stacked))
  np.testing.assert_array_equal(joined, stacked)


def test_a_transition_has_the_sizes_of_its_environment():
  spec = envs.EnvSpec('Made-v0', 5, None, None, (-1.0, -1.0), (1.0, 1.0))
  layout = rows.transition(spec)
  assert layout.size == 5 + 2 + 1 + 1 + 5
  assert layout['discount'] == slice(8, 9)
  discrete = rows.transition(envs.EnvSpec('Made-v0', 4, 3, None))
  assert discrete.size == 4 + 1 + 1 + 1 + 4


def test_a_step_and_a_rollout_begin_like_a_transition():
  spec = envs.EnvSpec('Made-v0', 5, None, None, (-1.0, -1.0), (1.0, 1.0))
  transition, rollout = rows.transition(spec), rows.rollout(spec)
  assert (rollout.size, rollout['over']) == (transition.size + 1, slice(14, 15))
  step = rows.step(5, 2)
  assert (step.size, step['end']) == (10, slice(9, 10))
  for name in ('observation', 'action', 'reward', 'discount'):
    assert transition[name] == rollout[name] == step[name]
  assert rollout['next_observation'] == transition['next_observation']


def test_it_imports_no_tensorflow():
  script = 'import sys; from tf_sparse_rl import replay; print(*sys.modules)'
  modules = subprocess.run(
    [sys.executable, '-c', script], capture_output=True, text=True, check=True
  ).stdout.split()
  assert 'tf_sparse_rl.replay.rows' in modules
  assert 'tensorflow' not in modules
