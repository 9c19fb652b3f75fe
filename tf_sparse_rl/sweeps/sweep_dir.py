"""The directory of a sweep: its list of runs and the log of attempts.

runs.jsonl            one line per run: {"id": ..., "flags": {...}}
runs/ID               the directory of the run
logs/ID.log           the output of its attempts
attempts/ID.jsonl     one line at the beginning and end of each attempt
commands.jsonl        one line per command that started the sweep
"""

import contextlib
import dataclasses
import json
import os
import time

from tf_sparse_rl import files, locks
from tf_sparse_rl import runs as runs_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event(runs_lib.Record):
  """The beginning or end of an attempt of a run."""

  event: str  # 'begin' or 'end'
  exit_code: int | None = None  # None if its process was killed or lost
  reason: str = ''
  cpu_seconds: float | None = None
  time: float  # Unix time
  host: str


class SweepDir:
  """Files of one sweep, shared by all processes and hosts that execute it."""

  def __init__(self, path):
    """Takes the directory; nothing is created yet.

    Args:
      path: the sweep's `sweep_dir`.
    """
    self.path = files.local(path)

  @property
  def list_path(self):
    """Path of the list of runs."""
    return self.path / 'runs.jsonl'

  def run_dir(self, run):
    """The RunDir of a run."""
    return runs_lib.RunDir(self.path / 'runs' / run.id)

  def log_path(self, run):
    """Path of the output of a run."""
    return self.path / 'logs' / f'{run.id}.log'

  def read_runs(self):
    """Reads the list of runs; see `runs.read_list`."""
    return runs_lib.read_list(self.list_path)

  def missing(self, runs):
    """Finds the runs that are not on the list.

    Args:
      runs: list of ListedRun.

    Returns:
      List of ListedRun.

    Raises:
      RunsError: if a run is there with other flags.
    """
    there = {run.id: run for run in self.read_runs()}
    for run in runs:
      if run.id in there and there[run.id] != run:
        raise runs_lib.RunsError(_other_flags(self.path, there[run.id], run))
    return [run for run in runs if run.id not in there]

  def add(self, runs):
    """Appends runs to the list; existing lines keep their numbers.

    Args:
      runs: list of ListedRun.

    Returns:
      The runs that were not on the list, a list of ListedRun.

    Raises:
      RunsError: if a run is there with other flags, or nothing can be
        written.
      ValueError: for a path that TensorFlow cannot read.
    """
    if not self.missing(runs):
      return []
    files.check_for_tensorflow(self.path)
    try:
      files.make_directory(self.path)
      with locks.held(self.path / '.list.lock'):
        missing = self.missing(runs)
        if missing:
          every = [*self.read_runs(), *missing]
          files.write_json_lines(self.list_path, (r.to_json() for r in every))
    except OSError as error:
      raise runs_lib.RunsError(
        f'Cannot write to {self.path}: {error}.'
      ) from error
    return missing

  @contextlib.contextmanager
  def worked_on(self):
    """Locks the sweep against a second engine.

    Raises:
      RunsError: if another process works on it.
    """
    with contextlib.ExitStack() as stack:
      try:
        stack.enter_context(locks.held(self.path / '.lock', seconds=0))
      except BlockingIOError:
        raise runs_lib.RunsError(
          f'Another process works on the sweep in {self.path}. Wait for it, or '
          'look at it with --status.'
        ) from None
      yield

  def check_links(self, run):
    """Refuses links in the paths of a run, its log and its attempts.

    Args:
      run: a ListedRun.

    Raises:
      LinkError: naming the link.
    """
    files.refuse_links(
      *(self.path / name for name in ('runs', 'logs', 'attempts')),
      *(self.run_dir(run).path, self.log_path(run), self._attempts_path(run)),
    )

  def note(self, run, **event):
    """Records an event of an attempt of a run.

    Args:
      run: a ListedRun.
      **event: fields of Event.
    """
    self.check_links(run)
    line = Event(time=round(time.time(), 3), host=os.uname().nodename, **event)
    path = self._attempts_path(run)
    files.make_directory(path.parent)
    files.append_json_line(path, line.to_json())

  def events(self, run):
    """Reads the Events of a run; damaged lines are ignored."""
    events = []
    try:
      lines = files.read(self._attempts_path(run)).split(b'\n')
    except OSError:
      return (
        events  # Not essential: the state of a run is in its own directory.
      )
    for line in lines:
      with contextlib.suppress(ValueError, RecursionError):
        events.append(Event.from_json(json.loads(line)))
    return events

  def _attempts_path(self, run):
    return self.path / 'attempts' / f'{run.id}.jsonl'


def _other_flags(path, there, asked):
  differ = [
    f'{name}: {there.flags.get(name)!r} there, {asked.flags.get(name)!r} asked'
    for name in sorted({*there.flags, *asked.flags})
    if there.flags.get(name) != asked.flags.get(name)
  ]
  return (
    f'{path} has a run {asked.id} with other flags. Choose another '
    '--sweep_dir. Flags that differ:\n  ' + '\n  '.join(differ)
  )
