"""Locks that processes hold on files; the kernel drops them when one ends."""

import contextlib
import fcntl
import os
import time

from tf_sparse_rl import files


@contextlib.contextmanager
def held(path, seconds=None):
  """Holds the lock of a file, which is made if need be.

  Args:
    path: of the file.
    seconds: to wait for another process at most; None for any time.

  Raises:
    BlockingIOError: if another process has it for longer.
    OSError: if it cannot be made, or is no file of its own.
  """
  with files.open_to_append(path) as file:
    if seconds is None:
      fcntl.flock(file, fcntl.LOCK_EX)
    else:
      _lock(file, time.monotonic() + seconds)
    yield


def is_held(path):
  """Whether a process holds the lock of a file; makes nothing."""
  try:
    # Of a link nobody holds the lock: it is refused.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
  except OSError:
    return False
  try:
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except BlockingIOError:
    return True
  finally:
    os.close(descriptor)
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
