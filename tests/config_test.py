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

# Written out by hand: for each field values past either end of its range.
_OUT_OF_RANGE = {
  'seed': (-1, 2**31),
  'num_env_steps': (0, -5),
  'sparsity': (-0.1, 1.0, 1, math.nan),
  'erk_power': (0, -1.0, 101, math.inf),
  'drop_fraction': (-0.1, 1.1, math.nan),
  'mask_update_period': (0, -1),
  'mask_update_end_train_step': (-1,),
  'prune_begin_train_step': (-1,),
  'prune_end_train_step': (-1,),
  'hidden_units': ((), (0,), (32, -1), (10**6 + 1,)),
  'width': (0, -1.0, 1001, math.inf),
  'match_sparsity': (-0.1, 1.0),
  'weight_decay': (-1e-9, math.inf, math.nan),
  'learning_rate': (0, -1e-3, math.inf, math.nan),
  'batch_size': (0, 10**6 + 1),
  'gamma': (-0.01, 1.01, math.nan),
  'reward_scale': (0, -1, math.inf),
  'epsilon': (-0.01, 1.01),
  'target_update_period': (0,),
  'target_update_tau': (0, 1.01),
  'replay_capacity': (0, 10**9 + 1),
  'initial_collect_env_steps': (0, 100_000),
  'train_period': (0, -1),
  'eval_period': (0,),
  'num_eval_episodes': (0, 10_001),
  'summary_period': (0,),
  'intra_op_threads': (-1, 1025),
  'inter_op_threads': (-1, 1025),
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


def _cases(table):
  return [(name, value) for name, values in table.items() for value in values]


def test_every_field_has_a_range_a_choice_or_no_limits():
  others = {'agent', 'env_name', 'method', 'distribution'}  # Names.
  others |= {'sparsity_aware_init', 'mask_images', 'jit_compile'}  # Booleans.
  assert {*_OUT_OF_RANGE, *others} == set(_NAMES)


@pytest.mark.parametrize('name, value', _cases(_OUT_OF_RANGE))
def test_a_value_out_of_range_is_refused_by_name(name, value):
  with pytest.raises(ValueError, match=f'(?s)Received.*{name}|{name}.*Rec'):
    flags.make_config({name: value})


@pytest.mark.parametrize(
  'name, value',
  [
    (field.name, value)
    for field in config_lib.fields()
    for value in _WRONG_TYPES[config_lib.field_kind(field)[0]]
    if field.name not in ('agent', 'method', 'distribution')
  ],
)
def test_a_value_of_another_type_is_refused_by_name(name, value):
  with pytest.raises(ValueError, match=f'(?s)Received.*{name}|{name}.*Rec'):
    flags.make_config({name: value})


@pytest.mark.parametrize('name', ['agent', 'method', 'distribution'])
@pytest.mark.parametrize('value', [1, None, True, (), {}, 'nothing like it'])
def test_a_choice_of_another_kind_is_refused_by_name(name, value):
  with pytest.raises(ValueError, match=f'Unknown {name} .*Valid: '):
    flags.make_config({name: value})


@pytest.mark.parametrize(
  'values, expected',
  [
    ({'num_env_steps': 100}, 'initial_collect_env_steps'),
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
      {'method': 'prune', 'prune_end_train_step': 99_001},
      '99000 train steps.*prune_end_train_step=99001',
    ),
    ({'method': 'rigl', 'match_sparsity': 0.9}, 'method=dense'),
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
    {'method': 'prune', 'prune_end_train_step': 99_000},
    {'method': 'dense', 'match_sparsity': 0.9},
    {'gamma': 1, 'epsilon': 0, 'weight_decay': 0},
    {'seed': 2**31 - 1},
    {'hidden_units': (1,)},
    {'replay_capacity': 1},
  ],
)
def test_values_at_the_end_of_their_range_are_fine(values):
  config = flags.make_config(values)
  assert {name: getattr(config, name) for name in values} == values


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


def test_a_written_config_is_read_as_it_was(tmp_path):
  config = flags.make_config(
    {'method': 'prune', 'hidden_units': (7, 5), 'learning_rate': 0.1 + 0.2}
  )
  values = config_lib.to_dict(config)
  assert list(values) == _NAMES
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({**values, 'versions': {'numpy': '2'}}))
  assert flags.make_config(config_lib.load_values(path)) == config


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
@given(st.dictionaries(st.sampled_from(_NAMES), _json_values, max_size=4))
def test_any_json_gives_a_checked_config_or_a_value_error(
  tmp_path_factory, values
):
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
