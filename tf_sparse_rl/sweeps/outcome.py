"""The outcome of an attempt of a run."""

import os
import re
import signal
from typing import NamedTuple

from tf_sparse_rl import signals


class Outcome(NamedTuple):
  """The outcome of one attempt."""

  exit_code: int | None  # None if its process was killed or lost
  reason: str  # in words; '' if the run is finished
  cpu_seconds: float | None = None  # None if not known

  @property
  def finished(self):
    """Whether the run is finished."""
    return not self.reason

  @property
  def stopped(self):
    """Whether it saved a checkpoint and stopped, as asked."""
    return self.exit_code in [128 + number for number in signals.STOP]


def of_status(status, is_finished, log_path, log_begin=0):
  """Makes the outcome of a process.

  Args:
    status: as `os.waitpid` gives it.
    is_finished: whether the run has its summary. That alone counts: custom
      code may end a process early with status 0, or late with an error.
    log_path: of its output.
    log_begin: bytes of the output of earlier attempts.

  Returns:
    An Outcome.
  """
  code = os.waitstatus_to_exitcode(status)
  exit_code = None if code < 0 else code
  if is_finished:
    return Outcome(exit_code, '')
  if code < 0:
    return Outcome(None, f'killed by {signal_name(-code)}')
  words = last_words(log_path, log_begin)
  if code == 0:
    return Outcome(0, f'it ended without a summary.json: {words}')
  return Outcome(code, f'exit code {code}: {words}')


def signal_name(number):
  """Name of a signal; its number if it has none, as most real-time ones."""
  try:
    return signal.Signals(number).name
  except ValueError:
    return f'signal {number}'


def last_words(log_path, log_begin=0):
  """Finds the last line of a log with an error, or else the last line.

  Args:
    log_path: of the log.
    log_begin: bytes to skip.

  Returns:
    str.
  """
  try:
    with open(log_path, 'rb') as file:
      file.seek(max(log_begin, os.path.getsize(log_path) - 4096))
      text = file.read().decode(errors='replace')
  except OSError:
    return 'it left no log'
  lines = [
    ''.join(filter(str.isprintable, line)).strip() for line in text.splitlines()
  ]
  lines = [line for line in lines if line]
  errors = [line for line in lines if re.match(r'[\w.]*[Ee]rror: ', line)]
  return (errors or lines or ['it printed nothing'])[-1]
