"""File locks between processes; the kernel releases those of dead ones."""

import contextlib
import fcntl
import os
import time

from tf_sparse_rl import files


@contextlib.contextmanager
def held(path, seconds=None):
  """Holds the lock of a file, which is created if needed.

  Args:
    path: of the file.
    seconds: maximum time to wait for another process; None: forever.

  Raises:
    BlockingIOError: if another process holds it for longer.
    OSError: if the file cannot be created or is a link.
  """
  with files.open_to_append(path) as file:
    if seconds is None:
      fcntl.flock(file, fcntl.LOCK_EX)
    else:
      _lock(file, time.monotonic() + seconds)
    yield


def is_held(path):
  """Whether a process holds the lock of a file; creates nothing."""
  try:
    # Links are refused, so nobody holds a lock on one.
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
  """Takes the lock until a time of the monotonic clock, or raises."""
  while True:
    try:
      return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      if time.monotonic() >= end:
        raise
      time.sleep(0.01)
