"""Config: types, ranges, what fields must agree on, and config.json."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags

_NAMES = [field.name for field in config_lib.fields()]

# Fields that some agents have, and a value that they would take.
_OF = {
  ('dqn',): {
    'network': 'mlp',
    'adam_epsilon': 1e-4,
    'td_loss': 'huber',
    'double_dqn': True,
    'clip_rewards': True,
    'epsilon': 0.1,
    'epsilon_decay_env_steps': 1000,
    'n_step': 3,
    'eval_epsilon': 0.1,
  },
  ('sac',): {
    'critic_sparsity': 0.5,
    'actor_parameter_share': 0.3,
    'parameter_budget': 0.1,
    'critic_width': 0.5,
    'actor_learning_rate': 1e-4,
    'critic_learning_rate': 1e-4,
    'alpha_learning_rate': 1e-4,
    'initial_log_alpha': -1.0,
    'target_entropy_per_action': -1.0,
  },
  ('ppo',): {
    'value_sparsity': 0.5,
    'value_width': 0.5,
    'rollout_env_steps': 128,
    'num_epochs': 3,
    'gae_lambda': 0.9,
    'clip_ratio': 0.1,
    'value_loss_weight': 1.0,
    'entropy_weight': 0.01,
    'max_gradient_norm': 1.0,
  },
  ('sac', 'ppo'): {'actor_sparsity': 0.5, 'actor_width': 0.5},
  ('dqn', 'sac'): {
    'reward_scale': 0.5,
    'target_update_period': 2,
    'target_update_tau': 0.5,
    'replay_capacity': 100,
    'initial_collect_env_steps': 100,
    'train_period': 2,
  },
}
_FOREIGN = [
  (agent, owners, name, value)
  for owners, fields in _OF.items()
  for name, value in fields.items()
  for agent in sorted({'dqn', 'sac', 'ppo'} - {*owners})
]

# Written out by hand: for each field values past either end of its range.
_OUT_OF_RANGE = {
  'seed': (-1, 2**31),
  'num_env_steps': (0, -5),
  'num_envs': (0, -1, 10_001),
  'sparsity': (-0.1, 1.0, 1, math.nan),
  'actor_sparsity': (-0.1, 1.0, 1, math.nan),
  'critic_sparsity': (-0.1, 1.0, 1, math.nan),
  'value_sparsity': (-0.1, 1.0, 1, math.nan),
  'actor_parameter_share': (-0.1, 1.0, 1, math.nan, math.inf),
  'parameter_budget': (-0.1, 10.1, math.nan, math.inf),
  'erk_power': (0, -1.0, 101, math.inf),
  'drop_fraction': (-0.1, 1.1, math.nan),
  'mask_update_period': (0, -1),
  'mask_update_end_train_step': (-1,),
  'prune_begin_train_step': (-1,),
  'prune_end_train_step': (-1,),
  'hidden_units': ((), (0,), (32, -1), (10**6 + 1,)),
  'width': (0, -1.0, 1001, math.inf),
  'actor_width': (0, -1.0, 1001, math.inf),
  'critic_width': (0, -1.0, 1001, math.inf),
  'value_width': (0, -1.0, 1001, math.inf),
  'match_sparsity': (-0.1, 1.0),
  'weight_decay': (-1e-9, math.inf, math.nan),
  'learning_rate': (0, -1e-3, math.inf, math.nan),
  'actor_learning_rate': (0, -1e-3, math.inf, math.nan),
  'critic_learning_rate': (0, -1e-3, math.inf, math.nan),
  'alpha_learning_rate': (-1e-3, math.inf, math.nan),
  'initial_log_alpha': (-20.1, 20.1, math.nan),
  'target_entropy_per_action': (-100.1, 100.1, math.nan),
  'batch_size': (0, 10**6 + 1),
  'gamma': (-0.01, 1.01, math.nan),
  'reward_scale': (0, -1, math.inf),
  'adam_epsilon': (0, -1e-8, 1.01, math.nan),
  'epsilon': (-0.01, 1.01),
  'epsilon_decay_env_steps': (-1, 10**12 + 1),
  'n_step': (0, 101),
  'eval_epsilon': (-0.01, 1.01),
  'target_update_period': (0,),
  'target_update_tau': (0, 1.01),
  'replay_capacity': (0, 10**9 + 1),
  'initial_collect_env_steps': (0, 1_000_000),
  'train_period': (0, -1),
  'rollout_env_steps': (0, -1),
  'num_epochs': (0, -1),
  'gae_lambda': (-0.1, 1.1, math.nan),
  'clip_ratio': (0, -0.1, math.inf),
  'value_loss_weight': (-0.1, math.inf, math.nan),
  'entropy_weight': (-0.1, math.inf, math.nan),
  'max_gradient_norm': (-0.1, math.inf, math.nan),
  'eval_period': (0,),
  'num_eval_env_steps': (-1, 10**12 + 1),
  'num_eval_episodes': (0, 10_001),
  'checkpoint_period': (0, -1, 10**12 + 1),
  'summary_period': (0,),
  'diagnostics_period': (0,),
  'intra_op_threads': (-1, 1025),
  'inter_op_threads': (-1, 1025),
  'num_gpus': (-1, 65),
  'block_shape': ((4,), (4, 1, 1), (0, 1), (4, -1)),
  'n_of_m': ((2,), (2, 4, 8), (0, 4), (4, 4), (2, 4)),
  'custom_sparsity': ('a', 'a=', '=0.5', 'a=1', 'a=-0.1', 'a=nan', 'a=0.5,b'),
}

# Values of another type than the field's, as a config.json can hold them.
_WRONG_TYPES = {
  str: (1, 0.5, True, None, ('a',), {}),
  int: ('1', 1.5, True, {}),
  float: ('0.5', True, (0.5,), {}),
  bool: ('yes', 1, 0.0, {}),
  tuple: (512, '512', ('512',), (1.5,), (True,), {}),
}


def _agents(name):
  """The agents that have a field."""
  owners = [list(agents) for agents, fields in _OF.items() if name in fields]
  return owners[0] if owners else ['dqn', 'sac', 'ppo']


def _cases(table):
  return [
    (agent, name, value)
    for name, values in table.items()
    for value in values
    for agent in _agents(name)
  ]


_WRONG_TYPE_CASES = _cases(
  {
    field.name: _WRONG_TYPES[config_lib.field_kind(field)[0]]
    for field in config_lib.fields()
    if field.name not in config_lib.CHOICES
  }
)


def test_a_pattern_leaves_no_other_sparsity():
  pattern = {'n_of_m': (2, 4), 'distribution': 'uniform'}
  assert flags.make_config({**pattern, 'sparsity': 0.5}).n_of_m == (2, 4)
  sac = {**pattern, 'agent': 'sac', 'sparsity': 0.5}
  flags.make_config({**sac, 'actor_sparsity': 0.0})
  for values in (
    {**pattern, 'sparsity': 0.75},
    {**pattern, 'sparsity': 0.5, 'distribution': 'erk'},
    {**pattern, 'sparsity': 0.5, 'block_shape': (4, 1)},
    {**sac, 'critic_sparsity': 0.6},
    {**pattern, 'agent': 'ppo', 'sparsity': 0.5, 'value_sparsity': 0.6},
  ):
    with pytest.raises(ValueError, match='Expected .* with|and no block_shape'):
      flags.make_config(values)


def test_the_agents_of_a_field():
  assert config_lib.AGENTS == ('dqn', 'sac', 'ppo')
  for field in config_lib.fields():
    assert list(field.metadata['agents']) == _agents(field.name), field.name


def test_every_field_has_a_range_a_choice_or_no_limits():
  others = {'env_name', *config_lib.CHOICES}  # Names.
  others |= {'diagnostics'}  # Several names.
  others |= {'sparsity_aware_init', 'mask_images', 'jit_compile'}  # Booleans.
  others |= {'double_dqn', 'clip_rewards'}
  assert {*_OUT_OF_RANGE, *others} == set(_NAMES)


@pytest.mark.parametrize('agent, name, value', _cases(_OUT_OF_RANGE))
def test_a_value_out_of_range_is_refused_by_name(agent, name, value):
  with pytest.raises(ValueError, match=f'(?s)Received.*{name}|{name}.*Rec'):
    flags.make_config({'agent': agent, name: value})


@pytest.mark.parametrize(
  'agent, name, value',
  [
    case
    for case in _WRONG_TYPE_CASES
    # None stands for the default.
    if case[1:] != ('env_name', None)
  ],
)
def test_a_value_of_another_type_is_refused_by_name(agent, name, value):
  with pytest.raises(ValueError, match=f'(?s)Received.*{name}|{name}.*Rec'):
    flags.make_config({'agent': agent, name: value})


@pytest.mark.parametrize(
  'agent, name',
  [
    (agent, field.name)
    for field in config_lib.fields()
    if not config_lib.field_kind(field)[1]
    and field.name not in config_lib.CHOICES
    for agent in _agents(field.name)
  ],
)
def test_none_is_refused_where_there_is_a_default(agent, name):
  with pytest.raises(ValueError, match=f'{name} .*Received: None'):
    flags.make_config({'agent': agent, name: None})


@pytest.mark.parametrize('agent, owners, name, value', _FOREIGN)
def test_a_field_of_another_agent_is_refused(agent, owners, name, value):
  with pytest.raises(ValueError) as error:
    flags.make_config({'agent': agent, name: value})
  assert str(error.value) == (
    f'Expected {name} with agent={" or ".join(owners)} only. '
    f'Received: {name}={value}, agent={agent}.'
  )


@pytest.mark.parametrize(
  'agent, name', [(agent, name) for agent, _, name, _ in _FOREIGN]
)
def test_a_field_of_another_agent_stays_at_its_default(agent, name):
  [default] = {f.default for f in config_lib.fields() if f.name == name}
  # As a config.json of this agent has it.
  config = flags.make_config({'agent': agent, name: default})
  assert getattr(config, name) == default


@pytest.mark.parametrize('name', ['agent', 'method', 'distribution', 'backend'])
@pytest.mark.parametrize('value', [1, None, True, (), {}, 'nothing like it'])
def test_a_choice_of_another_kind_is_refused_by_name(name, value):
  with pytest.raises(ValueError, match=f'Unknown {name} .*Valid: '):
    flags.make_config({name: value})


@pytest.mark.parametrize('name', ['network', 'td_loss'])
@pytest.mark.parametrize('value', [1, True, (), {}, 'nothing like it'])
def test_a_choice_that_presets_make_is_refused_by_name(name, value):
  with pytest.raises(ValueError, match=f'Unknown {name} .*Valid: '):
    flags.make_config({name: value})
  assert getattr(flags.make_config({name: None}), name) is not None


def test_the_nearest_network_is_named():
  with pytest.raises(ValueError, match="Did you mean 'impala_resnet'"):
    flags.make_config({'network': 'resnet'})


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
      {'n_step': 5, 'num_envs': 4, 'initial_collect_env_steps': 19},
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
      '99000 train steps.*prune_end_train_step=99000',
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
      '999000 train steps.*prune_end_train_step=999000',
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
      'one rollout.*rollout_env_steps=2048, num_env_steps=2000',
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
    flags.make_config(values)
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
    {'n_step': 5, 'num_envs': 4, 'initial_collect_env_steps': 20},
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
  config = flags.make_config(values)
  assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize('method', ['dense', 'static', 'rigl', 'prune'])
def test_a_share_leaves_open_what_follows_from_it(method):
  config = flags.make_config({**_BY_SHARE, 'method': method})
  assert config_lib.solved_fields(config) == _SOLVED
  assert [getattr(config, name) for name in _SOLVED] == [None] * 4
  unresolved = {
    field.name
    for field in config_lib.fields()
    if 'sac' in field.metadata['agents'] and getattr(config, field.name) is None
  }
  assert unresolved == set(_SOLVED)


@pytest.mark.parametrize('name', _SOLVED)
def test_a_share_refuses_what_follows_from_it(name):
  with pytest.raises(ValueError, match=f'actor_parameter_share.*: {name}[.]$'):
    flags.make_config({**_BY_SHARE, name: 0.5})


@pytest.mark.parametrize('name', [*_SOLVED, 'epsilon', 'gamma', 'batch_size'])
def test_none_is_refused_in_a_resolved_config(name):
  agent = 'dqn' if name == 'epsilon' else 'sac'
  config = flags.make_config({'agent': agent})
  assert config_lib.solved_fields(config) == ()
  with pytest.raises(ValueError, match=f'Expected {name} to be .*: None'):
    config_lib.check(dataclasses.replace(config, **{name: None}))


@pytest.mark.parametrize(
  'values, expected',
  [
    ({}, 'dqn CartPole-v1 rigl 0.9'),
    ({'method': 'static', 'sparsity': 0.25}, 'dqn CartPole-v1 static 0.25'),
    ({'method': 'dense'}, 'dqn CartPole-v1 dense'),
    ({'agent': 'sac'}, 'sac HalfCheetah-v5 rigl 0.9'),
    ({'agent': 'sac', 'method': 'dense'}, 'sac HalfCheetah-v5 dense'),
    (
      {'agent': 'sac', 'env_name': 'Hopper-v4', 'actor_sparsity': 0.5},
      'sac Hopper-v4 rigl 0.5/0.9',
    ),
    (
      {'agent': 'sac', 'actor_sparsity': 0.98, 'critic_sparsity': 0.98},
      'sac HalfCheetah-v5 rigl 0.98',
    ),
    (
      _BY_SHARE,
      'sac HalfCheetah-v5 rigl, 10% of the parameters, 30% of them for the '
      'actor',
    ),
  ],
)
def test_label(values, expected):
  assert flags.make_config(values).label == expected


@pytest.mark.parametrize(
  'num_env_steps, initial, period, expected',
  [
    (1000, 100, 1, 900),
    (1000, 100, 4, 225),
    (1003, 100, 4, 225),
    # 104, 108, ..., 252: training is at multiples of the period.
    (252, 102, 4, 38),
    (250, 102, 4, 37),
    (100, 100, 1, 0),
  ],
)
def test_num_train_steps(num_env_steps, initial, period, expected):
  config = config_lib.Config(
    num_env_steps=num_env_steps,
    initial_collect_env_steps=initial,
    train_period=period,
  )
  assert config.num_train_steps == expected


def test_custom_sparsities():
  config = config_lib.Config(custom_sparsity='hidden_0=0.5, output=0,')
  assert config_lib.custom_sparsities(config) == {
    'hidden_0': 0.5,
    'output': 0.0,
  }


def test_a_config_cannot_be_changed():
  with pytest.raises(dataclasses.FrozenInstanceError):
    config_lib.Config().seed = 1


@pytest.mark.parametrize(
  'given',
  [
    {'method': 'prune', 'hidden_units': (7, 5), 'learning_rate': 0.1 + 0.2},
    {'agent': 'sac', 'actor_sparsity': 0.5, 'hidden_units': (7, 5)},
    {'agent': 'sac', 'env_name': 'Ant-v4', 'learning_rate': 0.1 + 0.2},
    _DENSE_SAC,
    _BY_SHARE,
    {**_BY_SHARE, 'method': 'dense'},
  ],
)
def test_a_written_config_is_read_as_it_was(tmp_path, given):
  config = flags.make_config(given)
  values = config_lib.to_dict(config)
  assert list(values) == _NAMES
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({**values, 'versions': {'numpy': '2'}}))
  assert flags.make_config(config_lib.load_values(path)) == config


def test_what_an_agent_does_not_have_is_null_in_config_json():
  def null(values):
    config = flags.make_config(values)
    written = json.loads(json.dumps(config_lib.to_dict(config)))
    return {name for name, value in written.items() if value is None}

  def foreign(agent):
    names = {name for other, _, name, _ in _FOREIGN if other == agent}
    # These have a default of 0 or false instead.
    return names - {
      *('actor_parameter_share', 'parameter_budget', 'double_dqn', 'n_step')
    }

  for agent in ('dqn', 'sac', 'ppo'):
    assert null({'agent': agent}) == foreign(agent)
  assert null(_BY_SHARE) == {*foreign('sac'), *_SOLVED}


@pytest.mark.parametrize(
  'content, expected',
  [
    (b'', 'Cannot read'),
    (b'{', 'Cannot read'),
    (b'\xff\xfe{}', 'Cannot read'),
    (b'[' * 100_000, 'Cannot read'),
    (b'1' * 5000, 'Cannot read'),
    (b'[]', 'Expected a JSON object'),
    (b'{"seeed": 1}', r"Expected fields .*Received: \['seeed'\]"),
  ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, expected):
  path = tmp_path / 'config.json'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=expected) as error:
    config_lib.load_values(path)
  assert str(path) in str(error.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
  for path in (tmp_path / 'none.json', tmp_path):
    with pytest.raises(ValueError, match='Cannot read the config'):
      config_lib.load_values(path)


_json_values = st.recursive(
  st.none()
  | st.booleans()
  | st.integers()
  | st.integers(-2, 2)
  | st.floats()
  | st.floats(0, 1)
  | st.text(max_size=8)
  | st.sampled_from(['rigl', 'prune', 'dense', 'er', 'hidden_0=0.5']),
  lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=2)
  ),
  max_leaves=4,
)


@settings(max_examples=500)
@given(
  agent=st.sampled_from(['dqn', 'sac']),
  values=st.dictionaries(st.sampled_from(_NAMES), _json_values, max_size=4),
)
def test_any_json_gives_a_checked_config_or_a_value_error(
  tmp_path_factory, agent, values
):
  values = {'agent': agent, **values}
  path = tmp_path_factory.getbasetemp() / 'fuzz.json'
  path.write_text(json.dumps(values))
  try:
    config = flags.make_config(config_lib.load_values(path))
  except ValueError as error:
    assert str(error)
    return
  config_lib.check(config)
  for name, value in values.items():
    if value is not None:
      assert config_lib.to_dict(config)[name] == value


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_any_bytes_give_values_or_a_value_error(tmp_path_factory, content):
  path = tmp_path_factory.getbasetemp() / 'fuzz.bin'
  path.write_bytes(content)
  try:
    values = config_lib.load_values(path)
  except ValueError as error:
    assert str(path) in str(error)
    return
  assert set(values) <= set(_NAMES)


def test_configs_and_flags_come_without_tensorflow():
  code = (
    'import sys\n'
    'from tf_sparse_rl import config, flags, names, presets, quiet\n'
    'from tf_sparse_rl import train, evaluate, summarize, benchmark\n'
    'from tf_sparse_rl import envs\n'
    'from tf_sparse_rl.training import run_dir\n'
    'flags.make_config({})\n'
    'heavy = {"tensorflow", "keras", "tf_keras", "tf_agents"}\n'
    'sys.exit(" ".join(heavy & set(sys.modules)) or 0)\n'
  )
  result = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=False
  )
  assert (result.returncode, result.stderr) == (0, '')


def test_xla_and_native_kernels_exclude_each_other():
  with pytest.raises(ValueError, match='XLA cannot compile.*backend=native'):
    flags.make_config({'jit_compile': True, 'backend': 'native'})
  assert flags.make_config({'jit_compile': True}).backend == 'auto'


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
    flags.make_config(values)


def test_what_devices_can_share():
  one = {'num_gpus': 1, 'jit_compile': True, 'agent': 'ppo'}
  assert flags.make_config(one).num_gpus == 1
  assert flags.make_config({'num_gpus': 4, 'batch_size': 8}).num_gpus == 4
  assert flags.make_config({'tpu': 'local', 'agent': 'sac'}).tpu == 'local'


def test_diagnostics_are_checked_by_name():
  config = flags.make_config({'diagnostics': 'snr,churn'})
  assert config.diagnostics_kinds == ('snr', 'churn')
  assert flags.make_config({}).diagnostics_kinds == ()
  with pytest.raises(ValueError, match="'srn'. Did you mean 'snr'"):
    flags.make_config({'diagnostics': 'srn'})


@pytest.mark.parametrize('num_envs', [1, 3, 8, 20])
@pytest.mark.parametrize('period', [1, 3, 8])
@pytest.mark.parametrize('collected', [100, 101])
def test_what_is_due_does_not_depend_on_num_envs(num_envs, period, collected):
  config = flags.make_config(
    {
      'num_envs': num_envs,
      'num_env_steps': 240,
      'initial_collect_env_steps': collected,
      'train_period': period,
    }
  )
  steps = range(num_envs, 241, num_envs)
  trainings = [config.num_trainings(step) for step in steps]
  assert sum(trainings) == config.num_train_steps
  assert not any(n for n, step in zip(trainings, steps) if step <= collected)
  due = [step for step in steps if config.is_due(step, 24)]
  assert due == [step for step in steps if step // 24 > (step - num_envs) // 24]


@pytest.mark.parametrize(
  'env_name, expected',
  [
    ('Pong', True),
    ('ALE/Pong-v5', True),
    ('ALE/NoSuchGame', True),  # To be looked for there.
    ('Pong-v5', False),
    ('CartPole-v1', False),
    (None, False),
  ],
)
def test_games_of_atari_are_told_by_name(env_name, expected):
  assert config_lib.is_atari(env_name) == expected
