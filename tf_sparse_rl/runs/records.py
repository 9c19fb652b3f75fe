"""Records of a run, and reading them from JSON files."""

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
  """A run cannot be used; the message names the file and a remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
  """A JSON object with known keys; fields with defaults may be missing."""

  @classmethod
  def from_json(cls, values):
    """Makes a record of a JSON object; unknown keys are ignored.

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
    """Converts to a JSON object, without fields that are None."""
    values = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
    return {name: value for name, value in values if value is not None}


def _fits(value, kind):
  """Whether a value has a type; numbers must be finite and not bools."""
  # Called a million times for the status of a large sweep: usual types first.
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
    # Diagnostics may be NaN.
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
  returns: list[float]  # one per episode
  # Episodes stopped at max_eval_episode_env_steps; None for 0.
  num_stopped_episodes: int | None = None
  sparsity: float
  nonzero: int
  train_step_flops: int | None = None
  diagnosis: dict[str, float] | None = None  # {tag: value}, the latest
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
      **totals: the remaining fields.

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
  """A line of noise.jsonl: an evaluation with observation noise."""

  noise_std: float
  return_mean: float
  return_min: float | None = None
  return_max: float | None = None
  returns: list[float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement(Record):
  """Times of a train step of some layers by backend, in milliseconds."""

  batch: int
  sizes: list[int]  # units of the input and of each layer
  sparsities: list[float]
  masked_ms: float
  native_ms: float
  fused_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine(Record):
  """The machine that a run started on, an entry of config.json."""

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
  """Computes the mean of the last 10 % of the evaluations, at least one.

  Args:
    returns: mean return of each evaluation, in order.

  Returns:
    float.

  Reference: paper section 2; its code averages all if there are fewer than ten.
  """
  last = returns[-max(1, math.floor(0.1 * len(returns))) :]
  return sum(last) / len(last)


def read(path, kind):
  """Reads a file with one record.

  Args:
    path: of the file.
    kind: a subclass of Record.

  Returns:
    The record; None if there is no file.

  Raises:
    RunsError: if the file is damaged or cannot be read.
  """
  found = content(path)
  return None if found is None else _parse(path, found, kind)


def read_lines(path, kind, whole_lines=True):
  """Reads a file with one record per line.

  Args:
    path: of the file.
    kind: a subclass of Record.
    whole_lines: whether to ignore an incomplete last line.

  Returns:
    List of records; empty if there is no file.

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
  """Reads the last complete line of a file with one record per line.

  Of the lines before it only the encoding and the outer braces are checked, so
  that the status of many runs is fast.

  Args:
    path: of the file.
    kind: a subclass of Record.

  Returns:
    The record; None if there is none.

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
  """Reads the bytes of a file; None if there is no file.

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
