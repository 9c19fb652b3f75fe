"""Presets against the paper's tables 1 to 8 and its released code."""

import pathlib

import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.config import making, presets
from tf_sparse_rl.config.ppo import Ppo

# Table 1 and the text, copied by hand; where text and code differ, the code's
# value.
_PAPER_DQN_CLASSIC = {
  'num_env_steps': 100_000,
  'hidden_units': (512, 512),
  'weight_decay': 1e-6,
  'network': 'mlp',
  'learning_rate': 1e-3,
  'adam_epsilon': 1e-7,
  'td_loss': 'squared',
  'clip_rewards': False,
  'epsilon_decay_env_steps': 0,
  'batch_size': 128,
  'gamma': 0.99,
  'reward_scale': 1.0,
  'epsilon': 0.01,
  'target_update_period': 100,
  'target_update_tau': 1.0,
  'replay_capacity': 100_000,
  'initial_collect_env_steps': 1000,
  'train_period': 1,
  'eval_epsilon': 0.0,
  'eval_period': 2000,
  'num_eval_env_steps': 0,
  'num_eval_episodes': 20,
  'sparsity_aware_init': True,
  'drop_fraction': 0.5,
  'mask_update_period': 1000,
  'mask_update_end_train_step': 75_000,
  'prune_begin_train_step': 20_000,
  'prune_end_train_step': 75_000,
}


# Tables 4 to 7, and code.
_PAPER_DQN_ATARI = {
  'num_env_steps': 10_000_000,
  'num_train_steps': 2_495_000,  # 2.5 million less the initial collection.
  'hidden_units': (512,),
  'td_loss': 'huber',
  'clip_rewards': True,
  'batch_size': 32,
  'gamma': 0.99,
  'reward_scale': 1.0,
  'epsilon': 0.01,
  'epsilon_decay_env_steps': 250_000,
  'target_update_period': 8000 // 4,  # Train steps; the paper's are env steps.
  'target_update_tau': 1.0,
  'replay_capacity': 1_000_000,
  'initial_collect_env_steps': 20_000,
  'train_period': 4,
  'eval_epsilon': 0.001,
  'eval_period': 250_000,
  'num_eval_env_steps': 125_000,
  'drop_fraction': 0.3,
  'mask_update_period': 5000,
  'mask_update_end_train_step': 2_000_000,
  'prune_begin_train_step': 500_000,
  'prune_end_train_step': 2_000_000,
  'double_dqn': False,
}
_PAPER_DQN_ATARI_NETWORKS = {
  'nature_cnn': {
    'weight_decay': 0.0,
    'learning_rate': 2.5e-4,
    'adam_epsilon': 1e-8,
  },
  'impala_resnet': {
    'weight_decay': 0.5 * 1e-5,  # The code has half the sum of squares.
    'learning_rate': 1e-4,
    'adam_epsilon': 3.125e-4,
  },
}

# The same of SAC: what is one value for all methods and environments.
_PAPER_SAC = {
  'num_env_steps': 1_000_000,
  'hidden_units': (256, 256),
  'actor_width': 1.0,
  'critic_width': 1.0,
  'learning_rate': 3e-4,
  'actor_learning_rate': 3e-4,
  'critic_learning_rate': 3e-4,
  'alpha_learning_rate': 3e-4,
  'initial_log_alpha': 0.0,
  'target_entropy_per_action': -0.5,
  'batch_size': 256,
  'gamma': 0.99,
  'reward_scale': 0.1,
  'target_update_period': 1,
  'target_update_tau': 0.005,
  'replay_capacity': 1_000_000,
  'train_period': 1,
  'eval_period': 10_000,
  'num_eval_env_steps': 0,
  'num_eval_episodes': 30,
  'mask_update_end_train_step': 800_000,
  'prune_begin_train_step': 200_000,
  'prune_end_train_step': 800_000,
}

# Table 2; a method does not have what is not listed.
_PAPER_SAC_METHODS = {
  'dense': {'weight_decay': 1e-4},
  'prune': {
    'weight_decay': 1e-4,
    'mask_update_period': 1000,
    'sparsity_aware_init': True,
  },
  'static': {'weight_decay': 1e-4, 'sparsity_aware_init': False},
  'rigl': {
    'weight_decay': 1e-6,
    'mask_update_period': 1000,
    'drop_fraction': 0.5,
    'sparsity_aware_init': True,
  },
  'set': {
    'weight_decay': 1e-4,
    'mask_update_period': 250,
    'drop_fraction': 0.3,
    'sparsity_aware_init': True,
  },
}

# Table 8.
_PAPER_SAC_INITIAL_COLLECT_ENV_STEPS = {
  'HalfCheetah': 10_000,
  'Ant': 10_000,
  'Hopper': 1000,
  'Walker2d': 1000,
  'Humanoid': 1000,
}


def _assert_values(given, expected):
  config = config_lib.make_config(given)
  assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize('method', _PAPER_SAC_METHODS)
@pytest.mark.parametrize('env_name', ['CartPole-v1', 'Acrobot-v1'])
def test_dqn_on_classic_control_is_the_papers(method, env_name):
  given = {'method': method, 'env_name': env_name}
  _assert_values(given, _PAPER_DQN_CLASSIC)


@pytest.mark.parametrize('method', _PAPER_SAC_METHODS)
@pytest.mark.parametrize('network', _PAPER_DQN_ATARI_NETWORKS)
@pytest.mark.parametrize('env_name', ['VideoPinball', 'ALE/Freeway-v5'])
def test_dqn_on_atari_is_the_papers(env_name, network, method):
  _assert_values(
    {'env_name': env_name, 'network': network, 'method': method},
    {
      **_PAPER_DQN_ATARI,
      **_PAPER_DQN_ATARI_NETWORKS[network],
      'sparsity_aware_init': method != 'prune',
    },
  )


@pytest.mark.parametrize(
  'given, network, env_name',
  [
    ({}, 'mlp', 'CartPole-v1'),
    ({'env_name': 'Acrobot-v1'}, 'mlp', 'Acrobot-v1'),
    ({'env_name': 'ALE/Qbert-v5'}, 'nature_cnn', 'ALE/Qbert-v5'),
    ({'env_name': 'Qbert'}, 'nature_cnn', 'Qbert'),
    ({'network': 'nature_cnn'}, 'nature_cnn', 'Pong'),
    ({'network': 'impala_resnet'}, 'impala_resnet', 'Pong'),
    ({'network': 'mlp', 'env_name': 'ALE/Qbert-v5'}, 'mlp', 'ALE/Qbert-v5'),
    ({'network': 'mlp'}, 'mlp', 'CartPole-v1'),
  ],
)
def test_network_and_environment_go_together(given, network, env_name):
  config = config_lib.make_config(given)
  assert (config.network, config.env_name) == (network, env_name)
  assert config.hidden_units == ((512, 512) if network == 'mlp' else (512,))


def test_the_recipe_of_wide_pruned_networks_needs_four_flags():
  # Obando-Ceron et al. 2024, docs/agents/dqn.md: 20 % to 80 %, to 0.95.
  config = config_lib.make_config(
    {
      'network': 'impala_resnet',
      'method': 'prune',
      'width': 3,
      'sparsity': 0.95,
    }
  )
  assert config.num_env_steps == 10_000_000
  assert config.prune_begin_train_step == 500_000
  assert config.prune_end_train_step == 2_000_000


@pytest.mark.parametrize('version', ['v4', 'v5'])
@pytest.mark.parametrize('name', _PAPER_SAC_INITIAL_COLLECT_ENV_STEPS)
@pytest.mark.parametrize('method', _PAPER_SAC_METHODS)
def test_sac_on_mujoco_is_the_papers(method, name, version):
  _assert_values(
    {'agent': 'sac', 'method': method, 'env_name': f'{name}-{version}'},
    {
      **_PAPER_SAC,
      **_PAPER_SAC_METHODS[method],
      'initial_collect_env_steps': _PAPER_SAC_INITIAL_COLLECT_ENV_STEPS[name],
    },
  )


def test_sac_elsewhere_collects_1000_env_steps():
  config = config_lib.make_config({'agent': 'sac', 'env_name': 'Pendulum-v1'})
  assert config.initial_collect_env_steps == 1000


@pytest.mark.parametrize('network', [None, 'nature_cnn', 'impala_resnet'])
@pytest.mark.parametrize('agent', config_lib.AGENTS)
def test_a_preset_fills_exactly_what_has_no_default(agent, network):
  optional = {
    field.name
    for field in config_lib.fields()
    if field.default is None and agent in field.agents
  }
  assert set(making.rules(agent)) == optional
  if network and agent != 'dqn':
    return
  config = config_lib.make_config({'agent': agent, 'network': network})
  assert [n for n in optional if getattr(config, n) is None] == []


@pytest.mark.parametrize('agent', ['sac', 'td3'])
def test_sizes_of_simba_are_those_of_its_code(agent):
  names = 'hidden_units', 'actor_hidden_units', 'normalize_observations'

  def values(**given):
    config = config_lib.make_config({'agent': agent, **given})
    return [getattr(config, name) for name in names]

  assert values() == [(256, 256), (), False]
  assert values(network='simba') == [(512, 512), (128,), True]


def test_every_preset_value_of_dqn_and_sac_is_tested():
  sac = {'env_name', 'actor_sparsity', 'critic_sparsity', *_PAPER_SAC}
  sac |= {'initial_collect_env_steps', *_PAPER_SAC_METHODS['set']}
  sac |= {'network', 'min_replay_size', 'selection_period'}
  sac |= {'actor_hidden_units', 'normalize_observations'}  # Below.
  assert set(making.rules('sac')) == sac
  dqn = {'env_name', 'selection_period', *_PAPER_DQN_CLASSIC}
  assert set(making.rules('dqn')) == dqn
  atari = {*_PAPER_DQN_ATARI, *_PAPER_DQN_ATARI_NETWORKS['nature_cnn']}
  # What is ours, and what is not the preset's.
  atari |= {'env_name', 'network', 'num_eval_episodes', 'sparsity_aware_init'}
  atari |= {'selection_period'}
  atari -= {'num_train_steps', 'double_dqn'}
  assert atari == dqn


@pytest.mark.parametrize(
  'agent, env_name', [('dqn', 'CartPole-v1'), ('sac', 'HalfCheetah-v5')]
)
def test_each_agent_has_an_environment_to_begin_with(agent, env_name):
  assert config_lib.make_config({'agent': agent}).env_name == env_name


# Fields of SAC that have the value of a shared one unless they are given.
_COPIES = {
  'sparsity': ('actor_sparsity', 'critic_sparsity'),
  'width': ('actor_width', 'critic_width'),
  'learning_rate': (
    'actor_learning_rate',
    'critic_learning_rate',
    'alpha_learning_rate',
  ),
}


@pytest.mark.parametrize(
  'shared, own',
  [(s, name) for s, names in _COPIES.items() for name in (None, *names)],
)
def test_a_shared_field_fills_what_has_no_value_of_its_own(shared, own):
  given = {own: 0.75} if own else {}
  config = config_lib.make_config({'agent': 'sac', shared: 0.25, **given})
  values = {name: getattr(config, name) for name in _COPIES[shared]}
  assert values == {**dict.fromkeys(_COPIES[shared], 0.25), **given}


def test_a_value_of_0_counts_as_given():
  config = config_lib.make_config(
    {'agent': 'sac', 'actor_sparsity': 0, 'alpha_learning_rate': 0}
  )
  assert (config.actor_sparsity, config.critic_sparsity) == (0, 0.9)
  assert (config.alpha_learning_rate, config.actor_learning_rate) == (0, 3e-4)


def test_copies_are_dropped_from_a_config_when_their_source_is_given():
  loaded = {
    'agent': 'sac',
    'sparsity': 0.9,
    'actor_sparsity': 0.9,
    'critic_sparsity': 0.5,  # Its own.
    'width': 1.0,
    'actor_width': 1.0,  # A copy of what is not given.
  }
  kept = config_lib.without_copies(loaded, {'sparsity': 0.8})
  assert kept == {n: v for n, v in loaded.items() if n != 'actor_sparsity'}
  assert config_lib.without_copies(loaded, {}) == loaded
  # DQN has no copies.
  dqn = {'sparsity': 0.9, 'learning_rate': 1e-3}
  assert config_lib.without_copies(dqn, {'sparsity': 0.8}) == dqn


def test_the_default_is_rigl_at_90_percent_by_erk():
  config = config_lib.make_config({})
  assert (config.agent, config.env_name) == ('dqn', 'CartPole-v1')
  assert (config.method, config.sparsity) == ('rigl', 0.9)
  assert (config.distribution, config.erk_power) == ('erk', 1.0)
  assert (config.width, config.match_sparsity, config.seed) == (1.0, 0.0, 0)


_SAC = {'agent': 'sac', 'env_name': 'Hopper-v5'}


@pytest.mark.parametrize(
  'given, num_env_steps, train_period, end, begin',
  [
    ({}, 100_000, 1, 75_000, 20_000),
    ({}, 20_000, 1, 15_000, 4_000),
    ({}, 1_000_000, 1, 750_000, 200_000),
    ({}, 100_000, 4, 18_750, 5_000),
    # 75 % of 2000 is past the 1000 train steps, 0 to 999.
    ({}, 2_000, 1, 999, 400),
    # Of 250,000 train steps, but for the 5000 of the initial collection.
    ({'network': 'nature_cnn'}, 1_000_000, None, 200_000, 50_000),
    ({'network': 'impala_resnet'}, 1_000_000, None, 200_000, 50_000),
    (_SAC, 1_000_000, 1, 800_000, 200_000),
    (_SAC, 100_000, 1, 80_000, 20_000),
    (_SAC, 100_000, 4, 20_000, 5_000),
    # 80 % of 2000 is past the 1000 train steps too.
    (_SAC, 2_000, 1, 999, 400),
  ],
)
def test_shares_follow_the_length_of_the_run(
  given, num_env_steps, train_period, end, begin
):
  length = {'num_env_steps': num_env_steps, 'train_period': train_period}
  config = config_lib.make_config({**given, **length, 'method': 'prune'})
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
  config = config_lib.resolve(config_lib.Config(**given))
  assert {name: getattr(config, name) for name in given} == given
  assert config.prune_end_train_step == 75_000


# The paper's code, and the papers whose values are those of their code too.
_SOURCES = ('code', 'TD3', 'RLx2', 'SimBa', 'EauDeQN')


def _sources(rule):
  if hasattr(rule, 'source'):
    return [rule.source]
  parts = filter(None, vars(rule).values())
  return [source for part in parts for source in _sources(part)]


@pytest.mark.parametrize('agent', config_lib.AGENTS)
def test_every_value_has_a_source(agent):
  for name, rule in making.rules(agent).items():
    for text in _sources(rule):
      source, _, what = text.partition(' ')
      source, what = source.rstrip(':;,'), what or None
      assert source in ('table', 'section', 'ours', *_SOURCES), name
      # A table or a section has a number, a choice of ours a reason.
      assert what or source in _SOURCES, name


def test_an_agent_may_state_its_values_of_shared_fields(monkeypatch):
  shared = {'gamma': presets.Value(0.5, 'ours: short-sighted')}
  monkeypatch.setattr(Ppo, 'shared_presets', shared)
  making.rules.cache_clear()
  try:
    assert config_lib.make_config({'agent': 'ppo'}).gamma == 0.5
    assert config_lib.make_config({'agent': 'sac'}).gamma == 0.99
  finally:
    making.rules.cache_clear()


@pytest.mark.parametrize('name', ['', 'rainbow_'])
def test_the_files_of_a_wide_pruned_resnet_are_whole_configs(name):
  launch = pathlib.Path(__file__).parents[2] / 'launch'
  path = launch / f'{name}wide_pruned_resnet.json'
  config = config_lib.make_config(config_lib.load_values(path))
  assert (config.method, config.sparsity, config.width) == ('prune', 0.95, 3)
  # Obando-Ceron et al. 2024: 40 million frames, 20 % to 80 % of training.
  assert config.num_env_steps == 10_000_000
  assert config.prune_begin_train_step == 500_000
  assert config.prune_end_train_step == 2_000_000
  assert (config.learning_rate, config.adam_epsilon) == (6.25e-5, 1.5e-4)
  assert (config.batch_size, config.train_period) == (32, 4)
  assert (config.epsilon, config.epsilon_decay_env_steps) == (0.01, 250_000)
  assert config.initial_collect_env_steps == 20_000
  assert (config.replay_capacity, config.weight_decay) == (1_000_000, 0)
  # Dopamine's compact Rainbow has all of these, its DQN none.
  parts = config.n_step, config.num_atoms, config.priority_exponent
  assert parts == ((3, 51, 0.5) if name else (1, 1, 0))
  assert (config.min_q_value, config.max_q_value) == (-10, 10)


def test_who_asks_for_a_number_of_episodes_gets_it_on_atari_too():
  config = config_lib.make_config({'env_name': 'Pong', 'num_eval_episodes': 3})
  assert (config.num_eval_env_steps, config.num_eval_episodes) == (0, 3)
  both = {'num_eval_episodes': 3, 'num_eval_env_steps': 500}
  config = config_lib.make_config({'env_name': 'Pong', **both})
  assert (config.num_eval_env_steps, config.num_eval_episodes) == (500, 3)
