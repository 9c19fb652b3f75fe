"""Lists of values of any field, and the runs that they make."""

import pytest

from tf_sparse_rl.sweeps import field_lists, grid

_INSTEAD = {'method': '--methods=rigl,static'}


def test_every_combination_in_the_type_of_its_field():
  text = 'learning_rate=1e-3,1e-4; batch_size=64,128;double_dqn=true'
  assert field_lists.parse(text, {}) == [
    {'learning_rate': 1e-3, 'batch_size': 64, 'double_dqn': True},
    {'learning_rate': 1e-3, 'batch_size': 128, 'double_dqn': True},
    {'learning_rate': 1e-4, 'batch_size': 64, 'double_dqn': True},
    {'learning_rate': 1e-4, 'batch_size': 128, 'double_dqn': True},
  ]
  assert field_lists.parse('hidden_units=64,64|256', {}) == [
    {'hidden_units': (64, 64)},
    {'hidden_units': (256,)},
  ]
  assert field_lists.parse(None, {}) == field_lists.parse('', {}) == [{}]


@pytest.mark.parametrize(
  'text, message',
  [
    ('learning_rate', "Expected --grid='learning_rate=1e-3,1e-4;batch_size"),
    ('learning_rate=', "Expected --grid='learning_rate"),
    ('lerning_rate=1', 'learning_rate'),
    ('method=rigl', 'Expected --methods=rigl,static. Received: method in'),
    ('batch_size=64,x', "whole numbers for batch_size in --grid. .*'x'"),
    ('batch_size=64,64', 'every value of batch_size once'),
    ('double_dqn=yes', "true or false for double_dqn in --grid. .*'yes'"),
    ('gamma=0.9;gamma=0.8', 'gamma twice'),
  ],
)
def test_mistakes_are_told(text, message):
  with pytest.raises(ValueError, match=message):
    field_lists.parse(text, _INSTEAD)


def test_runs_are_named_by_their_values():
  combinations = field_lists.parse('learning_rate=1e-3,1e-4', {})
  listed = grid.make_runs(
    ['rigl', 'dense'],
    [0.9],
    ['CartPole-v1'],
    1,
    {'hidden_units': (8, 8)},
    combinations,
  )
  assert [run.id for run in listed] == [
    'CartPole-v1-rigl-0.9-learning_rate=0.001-seed0',
    'CartPole-v1-rigl-0.9-learning_rate=0.0001-seed0',
    'CartPole-v1-dense-learning_rate=0.001-seed0',
    'CartPole-v1-dense-learning_rate=0.0001-seed0',
  ]
  assert [run.flags['learning_rate'] for run in listed] == [1e-3, 1e-4] * 2
  assert {tuple(run.flags['hidden_units']) for run in listed} == {(8, 8)}
  [run] = grid.make_runs(
    *(['dense'], [], ['CartPole-v1'], 1),
    combinations=[{'hidden_units': (64, 32)}],
  )
  assert run.id == 'CartPole-v1-dense-hidden_units=64x32-seed0'
  assert run.arguments()[-1] == '--hidden_units=64,32'


def test_what_a_run_refuses_is_refused_here():
  with pytest.raises(ValueError, match='gamma'):
    grid.make_runs(
      *(['dense'], [], ['CartPole-v1'], 1), combinations=[{'gamma': 3.0}]
    )
