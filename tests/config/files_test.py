"""config.json: what is written is read as it was, anything else refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_sparse_rl import config as config_lib

_NAMES = [field.name for field in config_lib.fields()]
_DENSE_SAC = {'agent': 'sac', 'method': 'dense'}
_BY_SHARE = {
  'agent': 'sac',
  'actor_parameter_share': 0.3,
  'parameter_budget': 0.1,
}


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
  config = config_lib.make_config(given)
  values = config_lib.to_dict(config)
  assert list(values) == _NAMES
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({**values, 'versions': {'numpy': '2'}}))
  assert config_lib.make_config(config_lib.load_values(path)) == config


def test_what_an_agent_does_not_have_is_null_in_config_json():
  def null(values):
    config = config_lib.make_config(values)
    written = json.loads(json.dumps(config_lib.to_dict(config)))
    return {name for name, value in written.items() if value is None}

  def foreign(agent):
    return {
      field.name
      for field in config_lib.fields()
      if agent not in field.agents and field.default is None
    }

  for agent in ('dqn', 'sac', 'ppo'):
    assert null({'agent': agent}) == foreign(agent)
  assert null(_BY_SHARE) == {
    *foreign('sac'),
    *('actor_sparsity', 'critic_sparsity', 'actor_width', 'critic_width'),
  }


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


@settings(max_examples=150)
@given(
  agent=st.sampled_from(list(config_lib.AGENTS)),
  values=st.dictionaries(st.sampled_from(_NAMES), _json_values, max_size=4),
)
def test_any_json_gives_a_checked_config_or_a_value_error(
  tmp_path_factory, agent, values
):
  values = {'agent': agent, **values}
  path = tmp_path_factory.getbasetemp() / 'fuzz.json'
  path.write_text(json.dumps(values))
  try:
    config = config_lib.make_config(config_lib.load_values(path))
  except ValueError as error:
    assert str(error)
    return
  config.check()
  for name, value in values.items():
    if value is not None:
      assert config_lib.to_dict(config)[name] == value


@settings(max_examples=100)
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
