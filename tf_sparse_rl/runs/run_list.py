"""The list of runs of a sweep, runs.jsonl."""

import collections
import dataclasses

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import names
from tf_sparse_rl.runs import records

# In bytes; with '.jsonl' it is a file name.
_LONGEST_ID = 240


@dataclasses.dataclass(frozen=True)
class ListedRun(records.Record):
  """A line of runs.jsonl."""

  id: str  # also the name of its directory
  flags: dict  # of tf_sparse_rl.train, in JSON types

  @classmethod
  def from_json(cls, values):
    """Checks a line. See base class.

    Raises:
      ValueError: also for other keys, or an id that names no directory.
    """
    run = super().from_json(values)
    if values.keys() - {'id', 'flags'}:
      raise ValueError(f'Expected id and flags only. Received: {[*values]}')
    if not _names_a_directory(run.id):
      raise ValueError(
        f'Expected id to name a directory. Received: {run.id!r:.200}'
      )
    return run

  @property
  def values(self):
    """The flags as values of a Config."""
    return {
      name: tuple(value) if isinstance(value, list) else value
      for name, value in self.flags.items()
    }

  def config(self):
    """The resolved, checked Config of the run.

    Raises:
      ValueError: for a value that does not fit.
    """
    known = [field.name for field in config_lib.fields()]
    for name in self.flags:
      if name not in known:
        raise ValueError(names.unknown('flag', name, known))
    return config_lib.make_config(self.values)

  def arguments(self):
    """The flags as `tf_sparse_rl.train` takes them, a list of strings."""
    return [f'--{name}={_text(value)}' for name, value in self.flags.items()]


def _names_a_directory(text):
  return (
    text.isprintable()  # No part of a surrogate, nothing that moves a cursor.
    and '/' not in text
    and text not in ('', '.', '..')
    and len(text.encode()) <= _LONGEST_ID
  )


def _text(value):
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, list):
    return ','.join(str(v) for v in value)
  return str(value)


def read_list(path):
  """Reads a list of runs.

  Args:
    path: of runs.jsonl.

  Returns:
    List of ListedRun, in order; none if there is no file.

  Raises:
    RunsError: if a line is not one of a run, or an id is there twice.
  """
  runs = records.read_lines(path, ListedRun, whole_lines=False)
  counts = collections.Counter(run.id for run in runs)
  twice = [run_id for run_id, count in counts.items() if count > 1]
  if twice:
    raise records.RunsError(
      f'Expected every id once in {path}. Received twice: {", ".join(twice)}.'
    )
  return runs
