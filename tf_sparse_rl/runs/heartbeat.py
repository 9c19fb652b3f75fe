"""The time of the last env step of a run, kept as the mtime of its lock."""

import contextlib
import os
import time


def heartbeat(path, seconds=10.0):
  """Makes a function to call at every env step.

  Args:
    path: of the lock of the run, whose mtime is set.
    seconds: period of setting it.

  Returns:
    Function without arguments.
  """
  due = 0.0

  def beat():
    nonlocal due
    now = time.monotonic()
    if now >= due:
      due = now + seconds
      # Not every file system has mtimes.
      with contextlib.suppress(OSError):
        os.utime(path, follow_symlinks=False)

  return beat


def last(path):
  """Unix time of the last env step; None before the first attempt."""
  try:
    return os.stat(path, follow_symlinks=False).st_mtime
  except OSError:
    return None
