"""Rows: every field is held to what its row says, whatever the row."""

import dataclasses
import math
import re
import subprocess
import sys

import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import names
from tf_sparse_rl.config import presets, rows

_FIELDS = config_lib.fields()
_MATCH = '(?s)Received.*{0}|{0}.*Received'

# Values of another type than the field's, as a config.json can hold them.
_WRONG_TYPES = {
  str: (1, 0.5, True, None, ('a',), {}),
  int: ('1', 1.5, True, {}),
  float: ('0.5', True, (0.5,), {}),
  bool: ('yes', 1, 0.0, {}),
  tuple: (512, '512', ('512',), (1.5,), (True,), {}),
}
# What records refuse of a single field.
_REFUSED_BY_RECORDS = {
  'hidden_units': ((), (0,), (32, -1), (10**6 + 1,)),
  'block_shape': ((4,), (4, 1, 1), (0, 1), (4, -1)),
  'n_of_m': ((2,), (2, 4, 8), (0, 4), (4, 4), (2, 4)),
  'custom_sparsity': ('a', 'a=', '=0.5', 'a=1', 'a=-0.1', 'a=nan', 'a=0.5,b'),
}


def _outside(field):
  """Values past either end of a field's range, if it has one."""
  if not isinstance(field.allowed, rows.Range):
    return ()
  low, high, _ = field.allowed
  if field.kind is int:
    return (low - 1, high + 1, 10**400)
  ends = (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
  return (*ends, math.nan, math.inf, 10**400, -(10**400))


def _some(condition):
  """Parameters: the fields that meet a condition."""
  found = filter(condition, _FIELDS)
  return pytest.mark.parametrize('field', found, ids=lambda field: field.name)


def _refusals(field, values):
  """(value, error message) of each value, with each agent of the field."""
  for value in values:
    for agent in field.agents:
      with pytest.raises(ValueError) as error:
        config_lib.make_config({'agent': agent, field.name: value})
      yield value, str(error.value)


@_some(lambda field: _outside(field))
def test_a_value_out_of_range_is_refused_by_name(field):
  for value, message in _refusals(field, _outside(field)):
    assert re.search(_MATCH.format(field.name), message), value
    assert message.startswith('Expected '), value


@_some(lambda field: isinstance(field.allowed, rows.Range))
def test_the_ends_of_a_range_are_in_it(field):
  for end in field.allowed[:2]:
    assert isinstance(end, (int, field.kind))
    field.check(end)


@pytest.mark.parametrize(
  'name, fine, refused',
  [
    ('sparsity', (0, 0.999), (1, -0.1)),
    ('seed', (0, 2**31 - 1), (-1, 2**31)),
    ('num_env_steps', (1, 10**12), (0, 10**12 + 1)),
    ('prune_end_train_step', (0,), (-1,)),
    ('learning_rate', (1e-12, 1), (0, -1)),
    ('alpha_learning_rate', (0,), (-1e-9,)),
    ('gamma', (0, 1), (1.01,)),
    ('target_update_tau', (1e-9, 1), (0, 1.01)),
    ('width', (1e-3, 1000), (0, 1001)),
    ('weight_decay', (0,), (-1e-9, math.inf)),
    ('diagnostics', ('', 'snr,churn'), ('srn', 'snr,srn')),
    ('td_loss', ('huber',), ('hubr',)),
  ],
)
def test_ranges_by_hand(name, fine, refused):
  [field] = [field for field in _FIELDS if field.name == name]
  for value in fine:
    field.check(value)
  for value in refused:
    with pytest.raises(ValueError, match=name):
      field.check(value)


def test_every_number_has_a_range():
  for field in _FIELDS:
    is_number = field.kind in (int, float)
    assert isinstance(field.allowed, rows.Range) == is_number, field.name


@_some(lambda field: field.name in _REFUSED_BY_RECORDS)
def test_a_value_that_its_record_refuses(field):
  for value, message in _refusals(field, _REFUSED_BY_RECORDS[field.name]):
    assert re.search(_MATCH.format(field.name), message), value


@_some(lambda field: True)
def test_a_value_of_another_type_is_refused_by_name(field):
  values = [
    value
    for value in _WRONG_TYPES[field.kind]
    if not (value is None and field.optional)  # None asks for the preset.
  ]
  expected = f'{_MATCH.format(field.name)}|Unknown {field.name}'
  for value, message in _refusals(field, values):
    assert re.search(expected, message), value


@_some(lambda field: not field.optional)
def test_none_is_refused_where_there_is_a_default(field):
  expected = f'{field.name} .*Received: None|{field.name} None'
  for _, message in _refusals(field, [None]):
    assert re.search(expected, message)


def _valid(field):
  if isinstance(field.allowed, rows.OneOf):
    return field.allowed.choices[-1]
  return {bool: True, int: 2, float: 0.75, tuple: (1, 2)}[field.kind]


@_some(lambda field: {*config_lib.AGENTS} - {*field.agents})
def test_a_field_of_another_agent_is_refused(field):
  value = _valid(field)
  for agent in {*config_lib.AGENTS} - {*field.agents}:
    with pytest.raises(ValueError) as error:
      config_lib.make_config({'agent': agent, field.name: value})
    assert str(error.value) == (
      f'Expected {field.name} with agent={names.listed(field.agents)} only. '
      f'Received: {field.name}={value}, agent={agent}.'
    )
    # As a config.json of this agent has it.
    config = config_lib.make_config({'agent': agent, field.name: field.default})
    assert getattr(config, field.name) == field.default


@pytest.mark.parametrize(
  'name, agents',
  [
    ('gamma', ('dqn', 'sac', 'td3', 'ppo')),
    ('n_step', ('dqn', 'sac', 'td3')),
    ('critic_sparsity', ('sac', 'td3')),
    ('num_epochs', ('ppo',)),
    ('actor_width', ('sac', 'td3', 'ppo')),
    ('replay_capacity', ('dqn', 'sac', 'td3')),
  ],
)
def test_the_agents_of_a_field(name, agents):
  [field] = [field for field in _FIELDS if field.name == name]
  assert field.agents == agents


@_some(lambda field: isinstance(field.allowed, rows.OneOf))
def test_a_choice_of_another_kind_is_refused_by_name(field):
  # A list of many names would be longer than a terminal: only the nearest.
  ending = '.*Valid: ' if len(field.allowed.choices) <= 10 else ''
  for value in (1, True, (), {}, 'nothing like it'):
    with pytest.raises(ValueError, match=f'Unknown {field.name} {ending}'):
      config_lib.make_config({field.name: value})


def test_the_nearest_network_is_named():
  with pytest.raises(ValueError, match="Did you mean 'impala_resnet'"):
    config_lib.make_config({'network': 'resnet'})


def test_a_row_is_all_that_a_field_needs():
  @dataclasses.dataclass(frozen=True)
  class Noise(rows.Record):
    scale: float | None = rows.row(
      'standard deviation of the noise',
      rows.Range(0, 1, 'a deviation in [0, 1]'),
      sac=presets.Value(0.2, 'table 3'),
    )
    kinds: tuple[int, ...] = rows.row('kinds of noise', default=(1,))

  scale, kinds = rows.read(Noise, ('sac',))
  assert (scale.name, scale.kind, scale.optional) == ('scale', float, True)
  assert (kinds.kind, kinds.optional, kinds.default) == (tuple, False, (1,))
  assert scale.presets['sac'].resolve(config_lib.Config()) == 0.2
  assert scale.agents == kinds.agents == ('sac',)
  for value, expected in ((2, 'a deviation in'), ('2', 'scale to be of type')):
    with pytest.raises(ValueError, match=expected):
      scale.check(value)
  # Config is made of such records, and has the fields of all.
  assert [f.name for f in dataclasses.fields(config_lib.Config)] == [
    field.name for field in _FIELDS
  ]


def test_configs_and_flags_come_without_tensorflow():
  code = (
    'import sys\n'
    'from tf_sparse_rl import config, flags, methods, names, quiet\n'
    'from tf_sparse_rl import train, evaluate, summarize, benchmark\n'
    'from tf_sparse_rl import envs\n'
    'from tf_sparse_rl import runs\n'
    'flags.make_config({})\n'
    'heavy = {"tensorflow", "keras", "tf_keras", "tf_agents"}\n'
    'sys.exit(" ".join(heavy & set(sys.modules)) or 0)\n'
  )
  result = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=False
  )
  assert (result.returncode, result.stderr) == (0, '')
