"""Lists of values for any field: `--grid`."""

import itertools

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import names

_EXAMPLE = "--grid='learning_rate=1e-3,1e-4;batch_size=64,128'"


def parse(text, instead):
  """Reads lists of values.

  Args:
    text: `field=value,value;field=value,value`. Values of a field that is a
      list itself are separated by '|': `hidden_units=64,64|256,256`.
    instead: `{field: the flag that takes its list}`, fields that are refused.

  Returns:
    List of `{field: value}`, all combinations; `[{}]` for an empty text.

  Raises:
    ValueError: for invalid text, with the nearest field.
  """
  lists = {}
  for part in filter(None, map(str.strip, (text or '').split(';'))):
    name, equals, values = part.partition('=')
    name = name.strip()
    if not equals or not values.strip():
      raise ValueError(f'Expected {_EXAMPLE}. Received: --grid={text!r}.')
    check_field(name, '--grid', instead)
    if name in lists:
      raise ValueError(f'Expected each field once. Received: {name} twice.')
    lists[name] = _values(name, values)
  combinations = itertools.product(*lists.values())
  return [dict(zip(lists, values)) for values in combinations]


def check_field(name, flag, instead):
  """Checks that a name is a field, and not one that other flags list.

  Args:
    name: of a field.
    flag: the flag with the name, for the message.
    instead: see `parse`.

  Raises:
    ValueError: with the nearest name.
  """
  known = [field.name for field in config_lib.fields()]
  if name not in known:
    raise ValueError(names.unknown(f'field of {flag}', name, known))
  if name in instead:
    raise ValueError(f'Expected {instead[name]}. Received: {name} in {flag}.')


def field_of(name):
  """Returns a field by its name."""
  return next(f for f in config_lib.fields() if f.name == name)


def label(values):
  """Values as part of an id: 'learning_rate=0.001-batch_size=64'."""
  return '-'.join(f'{name}={_text(value)}' for name, value in values.items())


def _values(name, text):
  """Parses the values of a field."""
  kind = field_of(name).kind
  parts = text.split('|' if kind is tuple else ',')
  values = [_value(name, kind, part.strip()) for part in parts]
  if len(set(values)) < len(values):
    raise ValueError(
      f'Expected every value of {name} once. Received: {text.strip()}.'
    )
  return values


def _value(name, kind, text):
  try:
    if kind is tuple:
      return tuple(int(part) for part in text.split(','))
    if kind is bool:
      return {'true': True, 'false': False}[text.lower()]
    return kind(text)
  except (ValueError, KeyError):
    words = {
      tuple: 'whole numbers with commas, and | between lists',
      bool: 'true or false',
      int: 'whole numbers',
      float: 'numbers',
    }[kind]
    raise ValueError(
      f'Expected {words} for {name} in --grid. Received: {text!r}.'
    ) from None


def _text(value):
  if isinstance(value, tuple):
    return 'x'.join(map(str, value))
  if isinstance(value, bool):
    return str(value).lower()
  return repr(value) if isinstance(value, float) else str(value)
