"""When a run took its last env step: the time of its lock's file."""

import contextlib
import os
import time


def heartbeat(path, seconds=10.0):
  """Makes a function to be called at every env step.

  Args:
    path: of the lock of a run, whose time of modification is set.
    seconds: from one setting to the next.

  Returns:
    Function without arguments.
  """
  due = 0.0

  def beat():
    nonlocal due
    now = time.monotonic()
    if now >= due:
      due = now + seconds
      # A file system that has no times is no reason to stop.
      with contextlib.suppress(OSError):
        os.utime(path, follow_symlinks=False)

  return beat


def last(path):
  """Time of day of the last env step; None before the first attempt."""
  try:
    return os.stat(path, follow_symlinks=False).st_mtime
  except OSError:
    return None
