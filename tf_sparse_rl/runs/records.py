"""Records of a run, and how they are read from files of JSON."""

import dataclasses
import functools
import inspect
import json
import math
import types
import typing

from tf_sparse_rl import files

_MOST = 2**63


class RunsError(Exception):
  """Runs cannot be used; the message names the file and says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
  """A JSON object of known keys; a field with a default may be missing."""

  @classmethod
  def from_json(cls, values):
    """Checks an object that was read; unknown keys are left out.

    Args:
      values: of JSON types.

    Returns:
      The record.

    Raises:
      ValueError: naming what was expected and what received.
    """
    if not isinstance(values, dict):
      raise ValueError(f'Expected a JSON object. Received: {values!r:.80}')
    fields = _fields(cls)
    for field in fields:
      value = values.get(field.name, field.default)
      if not _fits(value, field.type):
        expected = (
          f'{field.name} of type {inspect.formatannotation(field.type)}'
        )
        received = repr(value) if field.name in values else 'none'
        raise ValueError(f'Expected {expected}. Received: {received:.80}')
    return cls(**{f.name: values[f.name] for f in fields if f.name in values})

  def to_json(self):
    """The fields as an object of JSON types, without those that are None."""
    values = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
    return {name: value for name, value in values if value is not None}


def _fits(value, kind):
  """Whether a value has a type; numbers are finite, bools are no numbers."""
  # A status reads a million of them: the usual kinds come first.
  found = type(value)
  if found is int and kind in (int, float):
    return -_MOST <= value < _MOST
  if found is kind:
    return found is not float or math.isfinite(value)
  origin, arguments = _parts(kind)
  if origin is types.UnionType:
    for each in arguments:
      if _fits(value, each):
        return True
    return False
  if origin is list:
    if (
      found is list and arguments[0] is float and {*map(type, value)} == {float}
    ):
      return all(map(math.isfinite, value))
    return found is list and all(_fits(each, arguments[0]) for each in value)
  if origin is dict:
    # A diagnosis may come to NaN.
    kind = arguments[1]
    return found is dict and all(
      (kind is float and type(each) is float) or _fits(each, kind)
      for each in value.values()
    )
  return kind not in (int, float) and isinstance(value, kind)


@functools.cache
def _fields(cls):
  return dataclasses.fields(cls)


@functools.cache
def _parts(kind):
  return typing.get_origin(kind), typing.get_args(kind)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Record):
  """A line of results.jsonl."""

  env_step: int
  train_step: int
  return_mean: float
  returns: list[float]  # one an episode
  # Episodes that were stopped at max_eval_episode_env_steps; None for none.
  num_stopped_episodes: int | None = None
  sparsity: float
  nonzero: int
  train_step_flops: int | None = None
  diagnosis: dict[str, float] | None = None  # {tag: value} of the last one
  wall_seconds: float
  env_steps_per_sec: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary(Record):
  """The content of summary.json, of a finished run."""

  final_return: float
  best_return: float
  best_env_step: int | None = None  # of the first evaluation with best_return
  num_evaluations: int
  env_steps: int
  train_steps: int
  sparsity: float
  nonzero: int
  parameters: int
  inference_flops: int
  train_flops: int | None = None
  peak_memory_mib: float | None = None
  wall_seconds: float
  env_steps_per_sec: float
  machine: dict | None = None

  @classmethod
  def of(cls, evaluations, **totals):
    """Summarizes a run.

    Args:
      evaluations: its Evaluations, in order.
      **totals: the fields that do not follow from the returns.

    Returns:
      A Summary.
    """
    best = max(evaluations, key=lambda evaluation: evaluation.return_mean)
    return cls(
      final_return=final_return([e.return_mean for e in evaluations]),
      best_return=best.return_mean,
      best_env_step=best.env_step,
      num_evaluations=len(evaluations),
      **totals,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseLevel(Record):
  """A line of noise.jsonl: an evaluation with noise in observations."""

  noise_std: float
  return_mean: float
  return_min: float | None = None
  return_max: float | None = None
  returns: list[float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement(Record):
  """Milliseconds of a train step of some layers, in an entry of Machine."""

  batch: int
  sizes: list[int]  # units of the input and of each layer
  sparsities: list[float]
  masked_ms: float
  native_ms: float
  fused_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine(Record):
  """The machine that a run began on, an entry of config.json."""

  cpu: str
  instruction_set: str | None = None  # of the native kernels
  backends: dict[str, dict]  # {network: {'backend': its name, ...}}
  measurements: list[dict] | None = None  # by which they were chosen

  @classmethod
  def from_json(cls, values):
    machine = super().from_json(values)
    for each in machine.measurements or ():
      Measurement.from_json(each)
    for name, chosen in machine.backends.items():
      if not isinstance(chosen.get('backend'), str):
        raise ValueError(f'Expected a backend of {name}. Received: {chosen!r}')
    return machine


def final_return(returns):
  """Mean of the last 10 % of the evaluations, of at least one.

  Args:
    returns: mean return of each evaluation, in order.

  Returns:
    float.

  Reference: paper section 2; its code averages everything below ten.
  """
  last = returns[-max(1, math.floor(0.1 * len(returns))) :]
  return sum(last) / len(last)


def read(path, kind):
  """Reads a file that holds one record.

  Args:
    path: of the file.
    kind: a subclass of Record.

  Returns:
    The record, or None if there is no file.

  Raises:
    RunsError: if the file is damaged or cannot be read.
  """
  found = content(path)
  return None if found is None else _parse(path, found, kind)


def read_lines(path, kind, whole_lines=True):
  """Reads a file with a record a line.

  Args:
    path: of the file.
    kind: a subclass of Record.
    whole_lines: whether to leave out what follows the last newline, for it
      was not written to its end.

  Returns:
    List of records; none if there is no file.

  Raises:
    RunsError: if a line is damaged, or the file cannot be read.
  """
  lines = (content(path) or b'').split(b'\n')
  if whole_lines or not lines[-1].strip():
    del lines[-1]
  return [
    _parse(f'{path}, line {i},', line, kind)
    for i, line in enumerate(lines, start=1)
  ]


def read_last_line(path, kind):
  """Reads the last whole line of a file with a record a line.

  Of the lines before it is seen that they are text and look like an object; a
  status of many runs has no time for more.

  Args:
    path: of the file.
    kind: a subclass of Record.

  Returns:
    The record; None if there is no file or no line.

  Raises:
    RunsError: see `read_lines`.
  """
  found = content(path) or b''
  *lines, _ = found.split(b'\n')
  try:
    found.decode()
    is_damaged = any(line[:1] + line[-1:] != b'{}' for line in lines)
  except UnicodeDecodeError:
    is_damaged = True
  if is_damaged:
    lines_read = read_lines(path, kind)
    return lines_read[-1] if lines_read else None
  if not lines:
    return None
  return _parse(f'{path}, line {len(lines)},', lines[-1], kind)


def content(path):
  """The bytes of a file, or None if there is none.

  Args:
    path: of the file.

  Raises:
    RunsError: if it cannot be read.
  """
  try:
    return files.read(path)
  except (FileNotFoundError, NotADirectoryError):
    return None
  except OSError as error:
    raise RunsError(f'Cannot read {path}: {error.strerror}.') from error


def _parse(name, text, kind):
  try:
    return kind.from_json(json.loads(text))
  except (ValueError, RecursionError) as error:
    raise RunsError(f'{name} is damaged: {error}.') from error
