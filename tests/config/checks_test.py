"""Checks of a config that need several fields."""

import dataclasses

import pytest

from tf_sparse_rl import config as config_lib

_DENSE_SAC = {'agent': 'sac', 'method': 'dense'}
_BY_SHARE = {
  'agent': 'sac',
  'actor_parameter_share': 0.3,
  'parameter_budget': 0.1,
}
_SOLVED = ('actor_sparsity', 'critic_sparsity', 'actor_width', 'critic_width')


@pytest.mark.parametrize(
  'values, expected',
  [
    ({'num_env_steps': 100}, 'initial_collect_env_steps'),
    ({'num_env_steps': 5000, 'num_envs': 7}, 'num_env_steps as a multiple of'),
    (
      {'n_step': 2, 'initial_collect_env_steps': 1},
      'initial_collect_env_steps of at least n_step',
    ),
    (
      {
        'network': 'nature_cnn',
        'n_step': 5,
        'num_envs': 4,
        'initial_collect_env_steps': 19,
      },
      'initial_collect_env_steps of at least n_step',
    ),
    (
      {'agent': 'ppo', 'num_env_steps': 6000, 'num_envs': 3},
      'rollout_env_steps as a multiple of num_envs',
    ),
    ({'method': 'set', 'drop_fraction': 0}, 'drop_fraction > 0'),
    ({'method': 'rigl', 'drop_fraction': 0}, 'drop_fraction > 0'),
    ({'method': 'srigl', 'block_shape': (4, 1)}, 'no block_shape or n_of_m'),
    (
      {'method': 'neuroplastic', 'mask_update_end_train_step': 999},
      'mask_update_end_train_step >= mask_update_period',
    ),
    (
      {'method': 'rigl', 'mask_update_end_train_step': 0},
      'mask_update_end_train_step >= 1',
    ),
    (
      {
        'method': 'prune',
        'prune_begin_train_step': 500,
        'prune_end_train_step': 500,
      },
      'prune_begin_train_step < prune_end_train_step',
    ),
    (
      {'method': 'prune', 'prune_end_train_step': 99_000},
      'prune_end_train_step < 99000, the.*Received: prune_end_train_step=99000',
    ),
    ({'method': 'rigl', 'match_sparsity': 0.9}, 'method=dense'),
    (
      {'agent': 'sac', 'num_env_steps': 10_000},
      'initial_collect_env_steps=10000, num_env_steps=10000',
    ),
    (
      {
        'agent': 'sac',
        'env_name': 'Hopper-v5',
        'method': 'prune',
        'prune_end_train_step': 999_000,
      },
      'prune_end_train_step < 999000, .*Received: prune_end_train_step=999000',
    ),
    (
      {'agent': 'sac', 'actor_parameter_share': 0.3},
      'parameter_budget together.*Received: 0.3 and 0.0',
    ),
    (
      {'agent': 'sac', 'parameter_budget': 0.1},
      'parameter_budget together.*Received: 0.0 and 0.1',
    ),
    (
      {'agent': 'ppo', 'rollout_env_steps': 100, 'batch_size': 32},
      'divides rollout_env_steps.*batch_size=32, rollout_env_steps=100',
    ),
    (
      {'agent': 'ppo', 'batch_size': 1},
      'at least 2.*batch_size=1, rollout_env_steps=2048',
    ),
    (
      {'agent': 'ppo', 'num_env_steps': 2000},
      'rollout_env_steps <= num_.*rollout_env_steps=2048, num_env_steps=2000',
    ),
    (
      {'agent': 'ppo', 'method': 'set', 'drop_fraction': 0.0},
      "paper's PPO with SET.*drop_fraction=0.0",
    ),
    (
      {**_DENSE_SAC, 'match_sparsity': 0.9, 'actor_width': 0.5},
      'match_sparsity without.*actor_width=0.5, critic_width=1.0',
    ),
    (
      {**_DENSE_SAC, 'match_sparsity': 0.9, 'critic_width': 0.5},
      'match_sparsity without.*actor_width=1.0, critic_width=0.5',
    ),
    (
      {**_DENSE_SAC, **_BY_SHARE, 'match_sparsity': 0.9},
      'match_sparsity without.*actor_parameter_share=0.3',
    ),
  ],
)
def test_fields_that_disagree_are_refused(values, expected):
  with pytest.raises(ValueError, match=expected) as error:
    config_lib.make_config(values)
  assert 'Received' in str(error.value)


@pytest.mark.parametrize(
  'values',
  [
    {'sparsity': 0},
    {'sparsity': 0.999},
    {'method': 'static', 'drop_fraction': 0},
    {'method': 'prune', 'prune_end_train_step': 98_999},
    {'method': 'dense', 'match_sparsity': 0.9},
    {'gamma': 1, 'epsilon': 0, 'weight_decay': 0},
    {'seed': 2**31 - 1},
    {'hidden_units': (1,)},
    {'replay_capacity': 1},
    {'agent': 'sac', 'actor_sparsity': 0, 'critic_sparsity': 0.999},
    {'agent': 'sac', 'actor_width': 1000, 'critic_width': 1e-3},
    {'agent': 'sac', 'alpha_learning_rate': 0, 'initial_log_alpha': -20},
    {'agent': 'sac', 'initial_log_alpha': 20, 'target_entropy_per_action': 0},
    {**_BY_SHARE, 'actor_parameter_share': 0.999, 'parameter_budget': 10},
    {**_DENSE_SAC, 'match_sparsity': 0.9, 'width': 0.5},
    {'agent': 'sac', 'method': 'prune', 'prune_end_train_step': 989_999},
    {'agent': 'sac', 'initial_collect_env_steps': 999_999},
  ],
)
def test_values_at_the_end_of_their_range_are_fine(values):
  config = config_lib.make_config(values)
  assert {name: getattr(config, name) for name in values} == values


def test_a_pattern_leaves_no_other_sparsity():
  pattern = {'n_of_m': (2, 4), 'distribution': 'uniform'}
  assert config_lib.make_config({**pattern, 'sparsity': 0.5}).n_of_m == (2, 4)
  sac = {**pattern, 'agent': 'sac', 'sparsity': 0.5}
  config_lib.make_config({**sac, 'actor_sparsity': 0.0})
  for values in (
    {**pattern, 'sparsity': 0.75},
    {**pattern, 'sparsity': 0.5, 'distribution': 'erk'},
    {**pattern, 'sparsity': 0.5, 'block_shape': (4, 1)},
    {**sac, 'critic_sparsity': 0.6},
    {**pattern, 'agent': 'ppo', 'sparsity': 0.5, 'value_sparsity': 0.6},
  ):
    with pytest.raises(ValueError, match='Expected .* with|and no block_shape'):
      config_lib.make_config(values)


@pytest.mark.parametrize('method', ['dense', 'static', 'rigl', 'prune'])
def test_a_share_leaves_open_what_follows_from_it(method):
  config = config_lib.make_config({**_BY_SHARE, 'method': method})
  assert config.solved_fields == _SOLVED
  assert [getattr(config, name) for name in _SOLVED] == [None] * 4
  unresolved = {
    field.name
    for field in config_lib.fields()
    if 'sac' in field.agents and getattr(config, field.name) is None
  }
  assert unresolved == set(_SOLVED)


@pytest.mark.parametrize('name', _SOLVED)
def test_a_share_refuses_what_follows_from_it(name):
  with pytest.raises(ValueError, match=f'actor_parameter_share.*: {name}[.]$'):
    config_lib.make_config({**_BY_SHARE, name: 0.5})


@pytest.mark.parametrize('name', [*_SOLVED, 'epsilon', 'gamma', 'batch_size'])
def test_none_is_refused_in_a_resolved_config(name):
  agent = 'dqn' if name == 'epsilon' else 'sac'
  config = config_lib.make_config({'agent': agent})
  assert config.solved_fields == ()
  with pytest.raises(ValueError, match=f'Expected {name} to be .*: None'):
    dataclasses.replace(config, **{name: None}).check()


def test_xla_and_native_kernels_exclude_each_other():
  with pytest.raises(ValueError, match='XLA cannot compile.*backend=native'):
    config_lib.make_config({'jit_compile': True, 'backend': 'native'})
  assert config_lib.make_config({'jit_compile': True}).backend == 'auto'


@pytest.mark.parametrize(
  'values, expected',
  [
    (
      {'num_gpus': 2, 'agent': 'ppo'},
      'agent=dqn or sac.*agent=ppo, num_gpus=2',
    ),
    ({'tpu': 'local', 'agent': 'ppo'}, "agent=dqn or sac.*tpu='local'"),
    ({'num_gpus': 1, 'tpu': 'local'}, "num_gpus or tpu.*=1, tpu='local'"),
    ({'num_gpus': 3, 'batch_size': 8}, 'divides.*batch_size=8, num_gpus=3'),
    ({'num_gpus': 2, 'jit_compile': True}, 'jit_compile=false.*=true'),
    ({'tpu': 'local', 'jit_compile': True}, 'jit_compile=false.*=true'),
    ({'num_gpus': 2, 'backend': 'native'}, 'backend=auto.*backend=native'),
    (
      {'precision': 'mixed_bfloat16', 'backend': 'native'},
      'backend=auto or masked.*backend=native',
    ),
    ({'precision': 'float16'}, "Unknown precision 'float16'"),
    ({'tpu': '10.0.0.2'}, "Unknown tpu '10.0.0.2'"),
  ],
)
def test_what_devices_cannot_share_is_refused(values, expected):
  with pytest.raises(ValueError, match=expected):
    config_lib.make_config(values)


def test_what_devices_can_share():
  one = {'num_gpus': 1, 'jit_compile': True, 'agent': 'ppo'}
  assert config_lib.make_config(one).num_gpus == 1
  assert config_lib.make_config({'num_gpus': 4, 'batch_size': 8}).num_gpus == 4
  assert config_lib.make_config({'tpu': 'local', 'agent': 'sac'}).tpu == 'local'


def test_diagnostics_are_checked_by_name():
  config = config_lib.make_config({'diagnostics': 'snr,churn'})
  assert config.diagnostics_kinds == ('snr', 'churn')
  assert config_lib.make_config({}).diagnostics_kinds == ()
  with pytest.raises(ValueError, match="'srn'. Did you mean 'snr'"):
    config_lib.make_config({'diagnostics': 'srn'})
