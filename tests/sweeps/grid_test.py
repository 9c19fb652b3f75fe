"""The list of runs: ids, combinations, small_dense, what is refused."""

import re

import pytest

from tf_sparse_rl import envs, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import grid


def test_every_combination_once_and_dense_at_no_sparsity():
  runs = grid.make_runs(
    ['dense', 'rigl', 'small_dense', 'adaptive'],
    [0.5, 0.9],
    ['CartPole-v1', 'Acrobot-v1'],
    num_seeds=2,
  )
  of_one_seed = [
    'CartPole-v1-dense',
    'CartPole-v1-rigl-0.5',
    'CartPole-v1-rigl-0.9',
    'CartPole-v1-small_dense-0.5',
    'CartPole-v1-small_dense-0.9',
    'CartPole-v1-adaptive',
    'Acrobot-v1-dense',
    'Acrobot-v1-rigl-0.5',
    'Acrobot-v1-rigl-0.9',
    'Acrobot-v1-small_dense-0.5',
    'Acrobot-v1-small_dense-0.9',
    'Acrobot-v1-adaptive',
  ]
  # Seed by seed: what is there of an unfinished sweep can be compared.
  assert [run.id for run in runs] == [
    *(f'{name}-seed0' for name in of_one_seed),
    *(f'{name}-seed1' for name in of_one_seed),
  ]


def test_flags_of_each_kind_of_run():
  runs = grid.make_runs(
    ['dense', 'set', 'small_dense'],
    [0.8],
    ['CartPole-v1'],
    1,
    {'hidden_units': (32, 16), 'mask_images': True},
  )
  common = {'env_name': 'CartPole-v1', 'seed': 0, 'hidden_units': [32, 16]}
  common['mask_images'] = True
  assert [run.flags for run in runs] == [
    {**common, 'method': 'dense'},
    {**common, 'method': 'set', 'sparsity': 0.8},
    {**common, 'method': 'dense', 'match_sparsity': 0.8},
  ]
  assert set(runs[2].arguments()) == {
    '--env_name=CartPole-v1',
    '--seed=0',
    '--hidden_units=32,16',
    '--mask_images=true',
    '--method=dense',
    '--match_sparsity=0.8',
  }


def test_what_is_named_twice_is_one_run():
  runs = grid.make_runs(['rigl', 'rigl'], [0.9, 0.90], ['CartPole-v1'] * 2, 1)
  assert [run.id for run in runs] == ['CartPole-v1-rigl-0.9-seed0']


def test_sparsities_that_differ_little_are_two_runs():
  runs = grid.make_runs(['rigl'], [0.9999999, 0.99999999], ['CartPole-v1'], 1)
  assert len({run.id for run in runs}) == 2


def test_a_list_that_grows_keeps_its_ids():
  small = grid.make_runs(['rigl'], [0.9], ['CartPole-v1'], 2)
  large = grid.make_runs(['dense', 'rigl'], [0.5, 0.9], ['CartPole-v1'], 5)
  assert set(run.id for run in small) < set(run.id for run in large)
  by_id = {run.id: run for run in large}
  assert all(by_id[run.id] == run for run in small)


def test_an_id_is_the_name_of_a_file():
  pytest.importorskip('ale_py')
  try:
    runs = grid.make_runs(['rigl'], [0.9], ['ALE/Pong-v5'], 1)
  except ValueError as error:
    # Its frames suit no agent yet: refused, as `train` does.
    assert 'Pong' in str(error)
    return
  assert '/' not in runs[0].id


def test_small_dense_has_the_parameters_of_the_sparse_network():
  sparse, small = grid.make_runs(
    ['static', 'small_dense'], [0.9], ['CartPole-v1'], 1
  )
  counts = []
  for run in (sparse, small):
    config = run.config()
    env = envs.make(config)
    parts = registry.build(config, env.spec)
    env.close()
    count = sparsity.counting.count(list(parts.networks.values()))
    counts.append(sparsity.counting.total(count).parameters)
  # 26,523 of 265,216 weights, and biases; in whole units, so not exactly.
  assert counts[0] == 26_523 + 1_026
  assert counts[1] == pytest.approx(counts[0], rel=0.01)


def test_values_of_a_config_file_give_way_to_the_lists():
  resolved = grid.make_runs(
    ['rigl'], [0.9], ['Pendulum-v1'], 1, {'agent': 'sac'}
  )[0].config()
  values = {
    name: getattr(resolved, name) for name in resolved.__dataclass_fields__
  }
  run, small = grid.make_runs(
    ['set', 'small_dense'], [0.5], ['Pendulum-v1'], 1, values
  )
  config = run.config()
  assert (config.method, config.sparsity) == ('set', 0.5)
  assert (config.actor_sparsity, config.critic_sparsity) == (0.5, 0.5)
  assert small.config().match_sparsity == 0.5
  # What DQN alone has is None in it, and no flag.
  assert not any('None' in argument for argument in run.arguments())


@pytest.mark.parametrize(
  'change, message',
  [
    ({'methods': ['rigll']}, "Unknown method 'rigll'. Did you mean 'rigl'?"),
    ({'methods': ['smal_dense']}, "Did you mean 'small_dense'?"),
    ({'env_names': ['CartPole']}, "Did you mean 'CartPole-v1'?"),
    ({'sparsities': [1.0]}, 'Received: sparsity=1.0'),
    ({'given': {'agent': 'dqm'}}, "Did you mean 'dqn'?"),
    ({'given': {'agent': 'sac'}}, 'CartPole-v1'),
    ({'given': {'num_env_steps': 0}}, 'num_env_steps=0'),
  ],
)
def test_what_a_run_would_refuse_is_refused(change, message):
  arguments = {
    'methods': ['rigl'],
    'sparsities': [0.9],
    'env_names': ['CartPole-v1'],
    'num_seeds': 1,
    **change,
  }
  with pytest.raises(ValueError, match=re.escape(message)):
    grid.make_runs(**arguments)


def test_a_list_written_by_hand_with_a_wrong_flag():
  run = ListedRun('mine', {'env_name': 'CartPole-v1', 'sparsty': 0.9})
  with pytest.raises(
    ValueError, match="Unknown flag 'sparsty'. Did you mean 'sparsity'"
  ):
    grid.check([run])
