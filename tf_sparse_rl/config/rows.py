"""Rows: type, meaning, allowed values, presets and sources of a field.

A field is defined by its row alone. The flag, its help text, the entry in
config.json, the checks, the presets and their tests are made from it.
"""

import dataclasses
import json
import math
import typing
from typing import Any, NamedTuple

from tf_sparse_rl import names

BELOW_1 = math.nextafter(1.0, 0.0)
ABOVE_0 = math.nextafter(0.0, 1.0)
MANY = 10**12


class Range(NamedTuple):
  """Finite numbers from `low` to `high`, inclusive."""

  low: float
  high: float
  expected: str

  def check(self, name, value):
    """Raises ValueError for numbers outside the range and NaN."""
    if not self.low <= value <= self.high:
      raise ValueError(f'Expected {self.expected}. Received: {name}={value}.')


class OneOf(NamedTuple):
  """One of several names, or optionally a custom 'module:name'."""

  choices: tuple[str, ...]
  own: str = ''  # An example of a custom name, if they are allowed.

  def check(self, name, value):
    """Raises ValueError with the nearest name."""
    if value in self.choices:
      return
    if not self.own:
      raise ValueError(names.unknown(name, value, self.choices))
    module, colon, attribute = str(value).partition(':')
    if not colon:
      text = names.unknown(name, value, self.choices)
      raise ValueError(f"{text} One of your own is named as in '{self.own}'.")
    if not (module and attribute.isidentifier()):
      raise ValueError(
        f'Expected {name} of your own as module:name, as in {self.own}. '
        f'Received: {name}={value!r}.'
      )


class SomeOf(NamedTuple):
  """Any of several names, separated by commas."""

  choices: tuple[str, ...]

  def check(self, name, value):
    """Raises ValueError with the nearest name."""
    for part in filter(None, value.split(',')):
      OneOf(self.choices).check(name, part)


class JsonObject(NamedTuple):
  """A JSON object, as text."""

  def check(self, name, value):
    """Raises ValueError for other text."""
    try:
      parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
      parsed = error
    if not isinstance(parsed, dict):
      raise ValueError(
        f'Expected {name} as a JSON object, as in {name}=\'{{"goal": 3}}\'. '
        f'Received: {value!r}.'
      )


class References(NamedTuple):
  """Custom names, 'module:name', separated by commas."""

  def check(self, name, value):
    """Raises ValueError for other text; existence is checked later."""
    for part in filter(None, value.split(',')):
      module, _, attribute = part.partition(':')
      if not (module and attribute.isidentifier()):
        raise ValueError(
          f'Expected {name} as module:name, with commas, as in '
          f'{name}=my_module:my_function. Received: {part!r}.'
        )


COUNT = Range(1, MANY, 'a whole number of at least 1')
STEPS = Range(0, MANY, 'a whole number of at least 0')
SPARSITY = Range(0, BELOW_1, 'a sparsity in [0, 1)')
WIDTH = Range(ABOVE_0, 1000, 'a width in (0, 1000]')
RATE = Range(ABOVE_0, 1e6, 'a learning rate above 0')
PROBABILITY = Range(0, 1, 'a probability in [0, 1]')
WEIGHT = Range(0, 1e6, 'a weight of at least 0')


class Field(NamedTuple):
  """A field of Config, as read from its row."""

  name: str
  kind: type  # str, int, float, bool or tuple (of int)
  default: Any  # None: by preset
  agents: tuple[str, ...]  # with the field
  meaning: str  # with its unit
  allowed: Range | OneOf | SomeOf | JsonObject | References | None
  presets: dict  # {agent: rule of config/presets.py}
  learned: bool  # whether it can affect training
  group: str = ''  # title of its group in --help

  @property
  def optional(self):
    """Whether None is allowed before presets are filled in."""
    return bool(self.presets)

  def check(self, value):
    """Raises ValueError for an invalid value."""
    self.check_type(value)
    if self.allowed is not None:
      self.allowed.check(self.name, value)

  def check_type(self, value):
    """Checks the type only; an int is a valid float, a bool is neither."""
    if self.kind is tuple:
      good = isinstance(value, tuple) and all(type(v) is int for v in value)
    else:
      kinds = (int, float) if self.kind is float else self.kind
      good = isinstance(value, kinds)
      good = good and (self.kind is bool or not isinstance(value, bool))
    if good and self.kind is str and not _is_text(value):
      raise ValueError(
        f'Expected {self.name} as text that can be printed. '
        f'Received: {value!a:.80}.'
      )
    if not good:
      kind = 'list of int' if self.kind is tuple else self.kind.__name__
      raise ValueError(
        f'Expected {self.name} to be of type {kind}. Received: {value!r:.80}.'
      )


def _is_text(value):
  """Whether a str is printable, without control characters."""
  return all(each.isprintable() or each in '\n\t' for each in value)


def row(meaning, allowed=None, *, default=None, learned=True, **presets):
  """Defines a field of a record.

  Args:
    meaning: help text, with the unit.
    allowed: a Range, OneOf, SomeOf, JsonObject or References; None for all
      values of the type.
    default: default value; None: by preset.
    learned: False if it does not affect training, such as the number of
      threads.
    **presets: a rule of `config/presets.py` for each agent with the field; none
      for a field with a default.

  Returns:
    A dataclass field.
  """
  metadata = dict(
    meaning=meaning, allowed=allowed, presets=presets, learned=learned
  )
  return dataclasses.field(default=default, metadata=metadata)


record = dataclasses.dataclass(frozen=True)


@record
class Record:
  """The fields of one part of a run; Config inherits from all records."""

  # Title of the group in --help; '' for the names of the agents.
  title = ''

  # {field of another record: rule} of an agent, for presets of shared fields
  # that are not in their rows.
  shared_presets = {}

  def check(self):
    """Checks fields that depend on each other; `self` is a Config.

    Raises:
      ValueError: naming the fields, the expected and the received values.
    """

  def require(self, condition, expected, *names, received=None):
    """Raises ValueError unless a condition holds.

    Args:
      condition: of any type; false values raise.
      expected: the condition in words.
      *names: of the fields involved.
      received: their values in words; default: `name=value, ...`.
    """
    if not condition:
      if received is None:
        received = ', '.join(f'{name}={getattr(self, name)}' for name in names)
      raise ValueError(f'Expected {expected}. Received: {received}.')


def read(record, agents):
  """Reads the Fields of a subclass of Record, for agents with these names."""
  hints = typing.get_type_hints(record)
  upper = [agent.upper() for agent in agents]
  group = record.title or names.listed(upper, 'and')
  return [
    Field(
      *(f.name, _kind(hints[f.name]), f.default, agents),
      **f.metadata,
      group=group,
    )
    for f in dataclasses.fields(record)
  ]


def _kind(hint):
  """`tuple[int, ...] | None` -> tuple."""
  if type(None) in typing.get_args(hint):
    [hint] = [t for t in typing.get_args(hint) if t is not type(None)]
  return typing.get_origin(hint) or hint
