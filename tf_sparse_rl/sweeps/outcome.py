"""How an attempt of a run ended, in words."""

import os
import re
import signal
from typing import NamedTuple

from tf_sparse_rl import signals


class Outcome(NamedTuple):
  """The end of one attempt."""

  exit_code: int | None  # None if its process was killed or lost
  reason: str  # for a person; '' if it is finished
  cpu_seconds: float | None = None  # None if not known

  @property
  def finished(self):
    """Whether the run has come to its end."""
    return not self.reason

  @property
  def stopped(self):
    """Whether it saved a checkpoint because it was asked to stop."""
    return self.exit_code in [128 + number for number in signals.STOP]


def of_status(status, is_finished, log_path, log_begin=0):
  """The outcome of a process.

  Args:
    status: as `os.waitpid` gives it.
    is_finished: whether the run has its summary. That alone counts: code of
      the user's may end a process early without an error, or late with one.
    log_path: what it printed.
    log_begin: bytes that earlier attempts have printed.

  Returns:
    An Outcome.
  """
  code = os.waitstatus_to_exitcode(status)
  exit_code = None if code < 0 else code
  if is_finished:
    return Outcome(exit_code, '')
  if code < 0:
    return Outcome(None, f'killed by {signal.Signals(-code).name}')
  words = last_words(log_path, log_begin)
  if code == 0:
    return Outcome(0, f'it ended without a summary.json: {words}')
  return Outcome(code, f'exit code {code}: {words}')


def last_words(log_path, log_begin=0):
  """The last line of a log that tells of an error, else the last line.

  Args:
    log_path: of the log.
    log_begin: bytes to leave out.

  Returns:
    str.
  """
  try:
    with open(log_path, 'rb') as file:
      file.seek(max(log_begin, os.path.getsize(log_path) - 4096))
      text = file.read().decode(errors='replace')
  except OSError:
    return 'it left no log'
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  errors = [line for line in lines if re.match(r'[\w.]*[Ee]rror: ', line)]
  return (errors or lines or ['it printed nothing'])[-1]
