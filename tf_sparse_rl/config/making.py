"""From a few given values to a resolved and checked Config."""

import copy
import functools

from tf_sparse_rl.config import config as config_lib
from tf_sparse_rl.config import presets
from tf_sparse_rl.config.actor_critic import SOLVED_FIELDS
from tf_sparse_rl.config.agents import AGENTS
from tf_sparse_rl.config.rows import OneOf


def make_config(values):
  """A resolved and checked Config.

  Args:
    values: `{field name: value}`; the rest is filled in from presets.

  Returns:
    A Config.

  Raises:
    ValueError: for a value that does not fit.
  """
  config = config_lib.Config(**_whole_numbers(values))
  _check_what_presets_read(config)
  config = resolve(config)
  config.check()
  return config


def _whole_numbers(values):
  """Values with 1e5 as 100000 where a field is an int."""
  kinds = {field.name: field.kind for field in config_lib.fields()}
  return {
    name: int(value)
    if kinds.get(name) is int and type(value) is float and value.is_integer()
    else value
    for name, value in values.items()
  }


def _check_what_presets_read(config):
  """Names must be known, and numbers be numbers, before presets use them."""
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
        # A number of hundreds of digits does not fit into a float.
        field.allowed.check(field.name, value)


def resolve(config):
  """Fills the fields that are None.

  Args:
    config: a Config with a valid agent and, for DQN, network.

  Returns:
    A Config without None, but for what the agent does not have or what
    follows from actor_parameter_share.

  Raises:
    ValueError: for a sparsity or width beside actor_parameter_share.
  """
  solved = config.solved_fields
  given = [name for name in solved if getattr(config, name) is not None]
  if given:
    raise ValueError(
      'Expected actor_parameter_share without sparsities or widths of its '
      f'own: they follow from it. Received: {", ".join(given)}.'
    )
  # Frozen for others; nobody holds this copy yet.
  filled = copy.copy(config)
  values = vars(filled)
  for name, rule in rules(config.agent).items():
    if values[name] is None and name not in solved:
      values[name] = rule.resolve(filled)
  return filled


@functools.cache
def rules(agent):
  """`{field name: rule}` of an agent, in the order of their resolution."""
  found = {
    field.name: field.presets[agent]
    for field in config_lib.fields()
    if agent in field.presets
  }
  for record in AGENTS[agent].records:
    found.update(record.shared_presets)
  return dict(sorted(found.items(), key=lambda item: item[1].turn))


def length_fields(agent):
  """Fields whose presets follow from the length of the run.

  Args:
    agent: one of AGENTS.

  Returns:
    Tuple of str.
  """
  return tuple(n for n, r in rules(agent).items() if r.turn == presets.LAST)


def without_copies(loaded, given):
  """Values of a config.json, less those that were copied from others.

  Args:
    loaded: `{field: value}` of a resolved config.
    given: the same, of what overrides it.

  Returns:
    `loaded` without the fields that take their value from one that is given,
    unless they had another value of their own.
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
