"""File locks between processes; the kernel releases those of dead ones.

Forks of a process have no part in its locks: workers of an environment that
outlive a killed run do not keep the next one waiting.
"""

import contextlib
import fcntl
import os
import time
import weakref

from tf_sparse_rl import files

_files = weakref.WeakSet()  # Open ones, that are locked or will be.


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
    _files.add(file)
    with files.naming(path):
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


def _let_go():
  """Has a fork not hold what its parent holds."""
  nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
  for file in _files:
    if not file.closed:
      os.dup2(nowhere, file.fileno(), inheritable=False)
  os.close(nowhere)


os.register_at_fork(after_in_child=_let_go)
