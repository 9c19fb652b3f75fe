"""Grouping of runs into conditions, and missing seeds."""

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import conditions


def _group(root):
  return conditions.group(runs.read(root))


def _make(root, *runs_fields):
  for i, fields in enumerate(runs_fields):
    studies.make_run(root / str(i), returns=[1.0], **fields)
  return _group(root)


def test_a_grid_is_sorted_and_named(tmp_path):
  methods = ['prune', 'rigl', 'small_dense', 'dense']
  envs = ['CartPole-v1', 'Acrobot-v1']
  studies.make_grid(tmp_path, envs, methods, [0.95, 0.8], [1, 0])
  found = _group(tmp_path)
  labels = ['Dense', 'Small dense 0.8', 'Small dense 0.95', 'RigL 0.8']
  labels += ['RigL 0.95', 'Pruning 0.8', 'Pruning 0.95']
  assert [c.cell.label for c in found] == 2 * labels
  assert [c.env_name for c in found] == 7 * ['Acrobot-v1'] + 7 * ['CartPole-v1']
  assert {c.seeds for c in found} == {(0, 1)}


@pytest.mark.parametrize(
  'fields, expected',
  [
    ({'method': 'dense', 'match_sparsity': 0.95}, ('small_dense', 0.95, '')),
    ({'method': 'dense', 'width': 0.3}, ('small_dense', 0, 'width=0.3')),
    ({'method': 'dense', 'sparsity': 0.5}, ('dense', 0, '')),
    ({'method': 'dense', 'drop_fraction': 0.1}, ('dense', 0, '')),
    ({'method': 'rigl', 'checkpoint_period': 7}, ('rigl', 0.9, '')),
    ({'method': 'static', 'distribution': 'uniform'}, ('static', 0.9, '')),
    ({'method': 'adaptive', 'sparsity': 0.5}, ('adaptive', 0, '')),
  ],
)
def test_methods_of_a_report(tmp_path, fields, expected):
  [found] = _make(tmp_path, fields)
  cell = found.cell
  assert (cell.method, cell.sparsity, cell.variant) == expected


def test_shares_of_a_budget_are_set_apart(tmp_path):
  budget = {'agent': 'sac', 'env_name': 'Walker2d-v5', 'parameter_budget': 0.2}
  dense, first, second = _make(
    tmp_path,
    {**budget, 'actor_parameter_share': 0.1},
    {**budget, 'actor_parameter_share': 0.34},
    {**budget, 'actor_parameter_share': 0.34, 'method': 'dense'},
  )
  # The budget is the same in all of them.
  assert first.cell.label == 'RigL 0.8 actor_parameter_share=0.1'
  assert second.cell.sparsity == 0.8
  assert dense.cell.method == 'small_dense'


def test_only_what_varies_sets_runs_apart(tmp_path):
  common = {'num_env_steps': 40_000, 'eval_period': 1000}
  plain, other = _make(
    tmp_path, common, {**common, 'weight_decay': 1e-3, 'seed': 0}
  )
  assert plain.cell.variant == ''
  assert other.cell.variant == 'weight_decay=0.001'
  assert conditions.overrides(other.runs[0]) == {
    **common,
    'weight_decay': 1e-3,
  }


def test_shares_of_the_length_are_no_settings(tmp_path):
  # mask_update_end_train_step follows from the length of the run.
  short, long = _make(tmp_path, {'num_env_steps': 20_000}, {})
  assert {short.cell.variant, long.cell.variant} == {'num_env_steps=20000', ''}


def test_the_same_run_twice_is_refused(tmp_path):
  with pytest.raises(runs.RunsError, match='twice: 0 and 1'):
    _make(tmp_path, {'seed': 3}, {'seed': 3})


def test_networks_are_set_apart_by_name_alone(tmp_path):
  # Learning rate and more follow from the network.
  atari = {'env_name': 'ALE/Pong-v5', 'num_env_steps': 100_000}
  cnn, resnet = _make(tmp_path, atari, {**atari, 'network': 'impala_resnet'})
  assert (cnn.cell.variant, resnet.cell.variant) == (
    '',
    'network=impala_resnet',
  )
  assert conditions.overrides(resnet.runs[0]) == {
    'num_env_steps': 100_000,
    'network': 'impala_resnet',
  }
