"""Makes a resolved and checked Config of a few given values."""

import copy
import functools

from tf_sparse_rl.config import config as config_lib
from tf_sparse_rl.config import presets
from tf_sparse_rl.config.actor_critic import SOLVED_FIELDS
from tf_sparse_rl.config.agents import AGENTS
from tf_sparse_rl.config.rows import OneOf


def make_config(values):
  """Makes a resolved and checked Config.

  Args:
    values: `{field name: value}`; other fields are filled in from presets.

  Returns:
    A Config.

  Raises:
    ValueError: for an invalid value.
  """
  config = config_lib.Config(**_whole_numbers(values))
  _check_what_presets_read(config)
  config = resolve(config)
  config.check()
  return config


def _whole_numbers(values):
  """Converts whole floats such as 1e5 where a field is an int."""
  kinds = {field.name: field.kind for field in config_lib.fields()}
  return {
    name: int(value)
    if kinds.get(name) is int and type(value) is float and value.is_integer()
    else value
    for name, value in values.items()
  }


def _check_what_presets_read(config):
  """Checks the fields that presets use."""
  for field in config_lib.fields():
    value = getattr(config, field.name)
    if isinstance(field.allowed, OneOf):
      if (value, field.default) != (None, None):
        field.allowed.check(field.name, value)
    elif field.name == 'env_name' and value is not None:
      field.check_type(value)
    elif field.name in presets.READ and value is not None:
      if type(value) is not int or value < 1:
        raise ValueError(
          'Expected a whole number of at least 1. '
          f'Received: {field.name}={value!r}.'
        )
      if config.agent in field.agents:
        # Numbers of hundreds of digits overflow a float.
        field.allowed.check(field.name, value)


def resolve(config):
  """Fills the fields that are None.

  Args:
    config: a Config with a valid agent and, for DQN, network.

  Returns:
    A Config without None, except in fields of other agents and those that
    follow from actor_parameter_share.

  Raises:
    ValueError: for a sparsity or width together with actor_parameter_share.
  """
  solved = config.solved_fields
  given = [name for name in solved if getattr(config, name) is not None]
  if given:
    raise ValueError(
      'Expected actor_parameter_share without sparsities or widths of its '
      f'own: they follow from it. Received: {", ".join(given)}.'
    )
  # Config is frozen; this copy is not shared yet.
  filled = copy.copy(config)
  values = vars(filled)
  for name, rule in rules(config.agent).items():
    if values[name] is None and name not in solved:
      values[name] = rule.resolve(filled)
  return filled


@functools.cache
def rules(agent):
  """Returns `{field name: rule}` of an agent, in order of resolution."""
  found = {
    field.name: field.presets[agent]
    for field in config_lib.fields()
    if agent in field.presets
  }
  for record in AGENTS[agent].records:
    found.update(record.shared_presets)
  return dict(sorted(found.items(), key=lambda item: item[1].turn))


def length_fields(agent):
  """Lists the fields whose presets depend on the length of the run.

  Args:
    agent: one of AGENTS.

  Returns:
    Tuple of str.
  """
  return tuple(n for n, r in rules(agent).items() if r.turn == presets.LAST)


def without_copies(loaded, given):
  """Drops the values of a config.json that were copied from other fields.

  Args:
    loaded: `{field: value}` of a resolved config.
    given: `{field: value}` that override them.

  Returns:
    `loaded` without the fields whose presets copy a given field, unless their
    values differ from it.
  """
  agent = loaded.get('agent')
  known = isinstance(agent, str) and agent in AGENTS
  copies = {
    name
    for name, rule in (rules(agent) if known else {}).items()
    if isinstance(rule, presets.Same)
    and loaded.get(name) == loaded.get(rule.field)
    and (
      rule.field in given
      or (name in SOLVED_FIELDS and given.get('actor_parameter_share'))
    )
  }
  return {name: v for name, v in loaded.items() if name not in copies}
