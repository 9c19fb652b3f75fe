"""Directories as a kill or a power loss leaves them, from a trace of faults.c.

A kill leaves all that was written. For a power loss
the model is unkind, as POSIX allows: the data of a file is as it was at its
last `fsync`; names in a directory are as they were at the last `fsync` of the
directory. Where names are `journaled`, all of them are there in order, as on
ext4, and only data is lost.
"""

import dataclasses
import pathlib
from typing import NamedTuple


class Change(NamedTuple):
  """A change of a file, see faults.c."""

  call: str
  offset: int
  path: str
  other: str
  data: bytes


@dataclasses.dataclass(eq=False)
class _File:
  """Content of a file, and what of it is on the disk."""

  now: bytearray = dataclasses.field(default_factory=bytearray)
  synced: bytes = b''


@dataclasses.dataclass(eq=False)
class _Directory:
  """Names in a directory, now and on the disk."""

  now: dict = dataclasses.field(default_factory=dict)
  synced: dict = dataclasses.field(default_factory=dict)


def read(trace):
  """The Changes of a trace, a list."""
  content, changes, at = pathlib.Path(trace).read_bytes(), [], 0
  while at < len(content):
    end = content.index(b'\n', at)
    call, offset, *sizes = content[at:end].decode().split(' ')
    parts, at = [], end + 1
    for size in map(int, sizes):
      parts.append(content[at : at + size])
      at += size
    path, other, data = parts
    changes.append(
      Change(call, int(offset), path.decode(), other.decode(), data)
    )
  return changes


class Disk:
  """The files below a root, in memory and on the disk."""

  def __init__(self, root):
    """Begins with an empty root, which is on the disk."""
    self._root, self._tree = str(root), _Directory()

  def apply(self, change):
    """Applies a Change."""
    if change.path == self._root and change.call == 'mkdir':
      return
    entry, call = self._find(change.path), change.call
    directory, name = self._place(change.path)
    if call in ('create', 'mkdir'):
      made = _File() if call == 'create' else _Directory()
      directory.now.setdefault(name, made)
    elif call == 'write':
      end = change.offset + len(change.data)
      entry.now.extend(bytes(max(0, end - len(entry.now))))
      entry.now[change.offset : end] = change.data
    elif call == 'truncate':
      del entry.now[:]
    elif call == 'cut':
      del entry.now[change.offset :]
    elif call == 'remove':
      directory.now.pop(name, None)
    elif call == 'rename':
      directory.now.pop(name)
      directory, name = self._place(change.other)
      directory.now[name] = entry
    elif isinstance(entry, _Directory):
      entry.synced = dict(entry.now)
    else:
      entry.synced = bytes(entry.now)

  def write(self, target, names='unkind'):
    """Writes what is left now into a new directory.

    Args:
      target: path of it.
      names: 'kill', or of a power loss 'journaled' or 'unkind'.
    """
    _write(self._tree, pathlib.Path(target), names)

  def _place(self, path):
    """(directory, name) of a path."""
    parent, _, name = path.rpartition('/')
    return self._find(parent), name

  def _find(self, path):
    """The file or directory at a path now; None if there is none."""
    entry = self._tree
    for name in path[len(self._root) :].split('/')[1:]:
      entry = entry.now.get(name) if entry is not None else None
    return entry


def _write(directory, target, names):
  target.mkdir()
  entries = directory.synced if names == 'unkind' else directory.now
  for name, entry in entries.items():
    if isinstance(entry, _Directory):
      _write(entry, target / name, names)
    else:
      content = entry.now if names == 'kill' else entry.synced
      (target / name).write_bytes(content)


def torn(change):
  """The half of a Change that a kill in its midst leaves; None if nothing."""
  half = change.data[: len(change.data) // 2]
  return change._replace(data=half) if half else None
