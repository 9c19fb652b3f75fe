"""Presets against tables 1 and 6 of the paper and its released code."""

import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags, presets

# paper.md 2.3 (T1) and 2.4, copied by hand; where text and code differ, the
# code's value.
_PAPER_DQN_CLASSIC = {
  'num_env_steps': 100_000,
  'hidden_units': (512, 512),
  'weight_decay': 1e-6,
  'learning_rate': 1e-3,
  'batch_size': 128,
  'gamma': 0.99,
  'reward_scale': 1.0,
  'epsilon': 0.01,
  'target_update_period': 100,
  'target_update_tau': 1.0,
  'replay_capacity': 100_000,
  'initial_collect_env_steps': 1000,
  'train_period': 1,
  'eval_period': 2000,
  'num_eval_episodes': 20,
  'sparsity_aware_init': True,
  'drop_fraction': 0.5,
  'mask_update_period': 1000,
  'mask_update_end_train_step': 75_000,
  'prune_begin_train_step': 20_000,
  'prune_end_train_step': 75_000,
}


@pytest.mark.parametrize('method', ['dense', 'static', 'set', 'rigl', 'prune'])
@pytest.mark.parametrize('env_name', ['CartPole-v1', 'Acrobot-v1'])
def test_dqn_on_classic_control_is_the_papers(method, env_name):
  config = flags.make_config({'method': method, 'env_name': env_name})
  values = {name: getattr(config, name) for name in _PAPER_DQN_CLASSIC}
  assert values == _PAPER_DQN_CLASSIC


def test_a_preset_fills_exactly_what_has_no_default():
  optional = {
    field.name
    for field in config_lib.fields()
    if config_lib.field_kind(field)[1]
  }
  assert optional == set(_PAPER_DQN_CLASSIC)


def test_the_default_is_rigl_at_90_percent_by_erk():
  config = flags.make_config({})
  assert (config.agent, config.env_name) == ('dqn', 'CartPole-v1')
  assert (config.method, config.sparsity) == ('rigl', 0.9)
  assert (config.distribution, config.erk_power) == ('erk', 1.0)
  assert (config.width, config.match_sparsity, config.seed) == (1.0, 0.0, 0)


@pytest.mark.parametrize(
  'num_env_steps, train_period, end, begin',
  [
    (100_000, 1, 75_000, 20_000),
    (20_000, 1, 15_000, 4_000),
    (1_000_000, 1, 750_000, 200_000),
    (100_000, 4, 18_750, 5_000),
    # 75 % of 2000 is past the 1000 train steps that there are.
    (2_000, 1, 1_000, 400),
  ],
)
def test_shares_follow_the_length_of_the_run(
  num_env_steps, train_period, end, begin
):
  config = flags.make_config(
    {
      'method': 'prune',
      'num_env_steps': num_env_steps,
      'train_period': train_period,
    }
  )
  assert config.mask_update_end_train_step == end
  assert config.prune_end_train_step == end
  assert config.prune_begin_train_step == begin


def test_what_is_given_stays():
  given = {
    'hidden_units': (8,),
    'weight_decay': 0,
    'mask_update_end_train_step': 3,
    'sparsity_aware_init': False,
  }
  config = presets.resolve(config_lib.Config(**given))
  assert {name: getattr(config, name) for name in given} == given
  assert config.prune_end_train_step == 75_000


def test_every_value_has_a_source():
  for values in presets._PRESETS.values():
    for name, value in values.items():
      assert value.source.startswith(('table ', 'code')), name
