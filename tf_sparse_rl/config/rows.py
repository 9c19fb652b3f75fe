"""One row a field: type, meaning, allowed values, presets and their sources.

A row is the only place that knows a field. The flag, its help text, the entry
in config.json, the checks, the presets and the tests of all of these are made
from it.
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
  """Numbers from `low` to `high`, both included and finite."""

  low: float
  high: float
  expected: str

  def check(self, name, value):
    """Raises ValueError for a number outside; NaN is outside."""
    if not self.low <= value <= self.high:
      raise ValueError(f'Expected {self.expected}. Received: {name}={value}.')


class OneOf(NamedTuple):
  """One of some names, or perhaps one of the user's own, 'module:name'."""

  choices: tuple[str, ...]
  own: str = ''  # An example of the latter, if it is allowed.

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
  """Some of these names, with commas."""

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
  """Names of the user's own, 'module:name', with commas."""

  def check(self, name, value):
    """Raises ValueError for other text; whether they exist is seen later."""
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
  agents: tuple[str, ...]  # that have it
  meaning: str  # with its unit
  allowed: Range | OneOf | SomeOf | JsonObject | References | None
  presets: dict  # {agent: rule of config/presets.py}
  learned: bool  # whether it can make a difference to what is learned
  group: str = ''  # title of those it is listed with in --help

  @property
  def optional(self):
    """Whether None is allowed until presets have filled it in."""
    return bool(self.presets)

  def check(self, value):
    """Checks a value by itself; ValueError says what was expected instead."""
    self.check_type(value)
    if self.allowed is not None:
      self.allowed.check(self.name, value)

  def check_type(self, value):
    """As `check`, the type alone; int counts as float, bool as neither."""
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
  """Whether all of a str can be shown: nothing that moves a cursor."""
  return all(each.isprintable() or each in '\n\t' for each in value)


def row(meaning, allowed=None, *, default=None, learned=True, **presets):
  """A field of a record.

  Args:
    meaning: a few words with the unit, for `--help`.
    allowed: a Range, OneOf, SomeOf, JsonObject or References; None for what
      the type allows.
    default: the value if none is given; None: by preset.
    learned: False if it makes no difference to what is learned, as the number
      of threads does.
    **presets: a rule of `config/presets.py` for each agent that has the field;
      none for a field with a default.

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
  """The fields that one part of a run reads; Config inherits all records."""

  # Title of the fields in --help; '' for the names of the agents.
  title = ''

  # {field of another record: rule} of an agent whose values do not stand in
  # the rows of the fields that it shares.
  shared_presets = {}

  def check(self):
    """Checks fields that depend on each other; `self` is a whole Config.

    Raises:
      ValueError: naming the fields, what was expected and what received.
    """

  def require(self, condition, expected, *names, received=None):
    """Refuses the config unless a condition holds.

    Args:
      condition: anything; what is false is refused.
      expected: what should hold, in words.
      *names: of the fields that do not agree.
      received: their values in words, where `name=value, ...` is not plain.
    """
    if not condition:
      if received is None:
        received = ', '.join(f'{name}={getattr(self, name)}' for name in names)
      raise ValueError(f'Expected {expected}. Received: {received}.')


def read(record, agents):
  """The Fields of a subclass of Record, which agents of these names have."""
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
