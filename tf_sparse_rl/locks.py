"""Locks that processes hold on files; the kernel drops them when one ends."""

import contextlib
import fcntl
import time


@contextlib.contextmanager
def held(path, seconds=None):
  """Holds the lock of a file, which is made if need be.

  Args:
    path: of the file.
    seconds: to wait for another process at most; None for any time.

  Raises:
    BlockingIOError: if another process has it for longer.
  """
  with open(path, 'a', encoding='utf-8') as file:
    if seconds is None:
      fcntl.flock(file, fcntl.LOCK_EX)
    else:
      _lock(file, time.monotonic() + seconds)
    yield


def is_held(path):
  """Whether a process holds the lock of a file; makes nothing."""
  try:
    with open(path, encoding='utf-8') as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except FileNotFoundError:
    return False
  except BlockingIOError:
    return True
  return False


def _lock(file, end):
  """Takes the lock before a time of the monotonic clock, or raises."""
  while True:
    try:
      return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      if time.monotonic() >= end:
        raise
      time.sleep(0.01)
