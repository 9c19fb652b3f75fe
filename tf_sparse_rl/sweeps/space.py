"""The search space: a small JSON file.

    {
      "learning_rate": {"low": 1e-5, "high": 1e-2, "log": true},
      "batch_size": {"choices": [64, 128, 256]},
      "mask_update_period": {"low": 100, "high": 1000, "step": 100}
    }

A key is any field of a run. Its value has `choices`, or `low` and `high`, both
inclusive; with `log`, log-uniform; with `step`, in steps from `low`. Fields of
whole numbers take whole numbers.
"""

import json
from typing import NamedTuple

from tf_sparse_rl import files
from tf_sparse_rl.sweeps import field_lists

_RANGE = {'low', 'high', 'log', 'step'}


class Dimension(NamedTuple):
  """The search space of one field."""

  field: str
  choices: list | None = None
  low: float | None = None
  high: float | None = None
  log: bool = False
  step: float | None = None

  @property
  def ends(self):
    """The values to check: choices, or low and high."""
    return self.choices if self.choices is not None else [self.low, self.high]

  def suggest(self, trial):
    """Suggests a value for a trial of Optuna, in JSON types."""
    if self.choices is not None:
      if not any(isinstance(choice, list | dict) for choice in self.choices):
        return trial.suggest_categorical(self.field, self.choices)
      # Optuna stores numbers and strings only, so lists go by their index.
      place = trial.suggest_categorical(self.field, range(len(self.choices)))
      return self.choices[place]
    is_whole = field_lists.field_of(self.field).kind is int
    suggest = trial.suggest_int if is_whole else trial.suggest_float
    usual = 1 if is_whole else None
    return suggest(
      self.field, self.low, self.high, step=self.step or usual, log=self.log
    )


def read(path):
  """Reads a search space.

  Args:
    path: of the file.

  Returns:
    List of Dimension, in order.

  Raises:
    ValueError: naming the field, what was expected and what received.
  """
  try:
    values = json.loads(files.read(path))
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f'Cannot read --space={path}: {error}.') from error
  if not isinstance(values, dict) or not values:
    raise ValueError(
      f'Expected an object of fields in {path}, as in {{"learning_rate": '
      f'{{"low": 1e-5, "high": 1e-2, "log": true}}}}. Received: {values!r:.80}.'
    )
  return [_dimension(name, entry, path) for name, entry in values.items()]


def _dimension(name, entry, path):
  field_lists.check_field(name, path, {})
  if not isinstance(entry, dict):
    raise ValueError(_expected(name, 'choices, or low and high', entry))
  if set(entry) == {'choices'}:
    choices = entry['choices']
    if not isinstance(choices, list) or not choices:
      raise ValueError(_expected(name, 'a list of choices', entry))
    return Dimension(name, choices)
  if not {'low', 'high'} <= set(entry) <= _RANGE:
    raise ValueError(
      _expected(name, 'choices, or low and high (and log or step)', entry)
    )
  dimension = Dimension(name, **entry)
  _check_range(dimension, entry)
  return dimension


def _check_range(dimension, entry):
  name, kind = dimension.field, field_lists.field_of(dimension.field).kind
  numbers = [entry[n] for n in ('low', 'high', 'step') if n in entry]
  if kind not in (int, float):
    raise ValueError(_expected(name, 'choices: it is no number', entry))
  if not all(type(n) in (int, kind) for n in numbers):
    what = 'whole numbers' if kind is int else 'numbers'
    raise ValueError(_expected(name, what, entry))
  if type(dimension.log) is not bool:
    raise ValueError(_expected(name, 'true or false for log', entry))
  if not dimension.low < dimension.high:
    raise ValueError(_expected(name, 'low below high', entry))
  if dimension.log and (dimension.low <= 0 or dimension.step):
    raise ValueError(_expected(name, 'with log, low above 0, no step', entry))
  if dimension.step is not None and dimension.step <= 0:
    raise ValueError(_expected(name, 'a step above 0', entry))


def _expected(name, what, entry):
  return f'Expected {what}. Received: {name}: {json.dumps(entry)}.'
