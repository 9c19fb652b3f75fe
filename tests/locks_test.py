"""Locks on files, between open files as between processes."""

import errno
import fcntl
import os
import signal
import time

import pytest

from tf_sparse_rl import locks


def test_one_holds_and_others_are_told(tmp_path):
  path = tmp_path / 'lock'
  assert not locks.is_held(path)
  assert not path.exists()
  with locks.held(path):
    assert locks.is_held(path)
    begin = time.monotonic()
    with pytest.raises(BlockingIOError), locks.held(path, seconds=0.1):
      pass
    assert time.monotonic() - begin >= 0.1
  assert not locks.is_held(path)
  with locks.held(path, seconds=0):
    pass


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
  def fail(file, how):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

  monkeypatch.setattr(fcntl, 'flock', fail)
  with (
    pytest.raises(OSError, match="Function not implemented: '.*/lock'"),
    locks.held(tmp_path / 'lock', seconds=0),
  ):
    pass


def test_an_error_inside_lets_go(tmp_path):
  with pytest.raises(ZeroDivisionError), locks.held(tmp_path / 'lock'):
    raise ZeroDivisionError
  assert not locks.is_held(tmp_path / 'lock')


def test_a_fork_that_outlives_its_parent_holds_nothing(tmp_path):
  path = tmp_path / 'lock'
  there, here = os.pipe()
  with locks.held(path):
    child = os.fork()
    if not child:
      os.write(here, b'.')
      signal.pause()
    os.read(there, 1)
    assert locks.is_held(path)
  # As when the parent is killed: the kernel closes its files.
  is_held = locks.is_held(path)
  os.kill(child, signal.SIGKILL)
  os.waitpid(child, 0)
  assert not is_held
