"""Files that are whole or not there, whenever the process is killed."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil


@contextlib.contextmanager
def replacing(path):
  """Opens a file that takes its name, and an older one's place, once whole.

  Its bytes are on the disk before it has the name. Where the block raises,
  nothing is left and an older file stays. Only a kill leaves a file of the
  name `NAME.*.tmp`.

  Args:
    path: of the file.

  Yields:
    A binary file to write to.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f'{path.name}.{secrets.token_hex(4)}.tmp')
  try:
    with open(temporary, 'xb') as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise
  sync(path.parent)


def write(path, content):
  """Writes a file whole: bytes, or a str as UTF-8."""
  with replacing(path) as file:
    file.write(content.encode() if isinstance(content, str) else content)


def write_json(path, values, indent=None):
  """Writes values of JSON types as a whole file; people read it indented."""
  write(path, json.dumps(values, indent=indent) + '\n')


def write_json_lines(path, values):
  """Writes a whole file with a line for each of some values of JSON types."""
  write(path, ''.join(json.dumps(value) + '\n' for value in values))


def append_json_line(path, value):
  """Adds a value of JSON types as a line, and sees it onto the disk."""
  with open(path, 'a', encoding='utf-8') as file:
    file.write(json.dumps(value) + '\n')
    file.flush()
    os.fsync(file.fileno())


def move_over(path, target):
  """Moves a file or a directory, on one file system, over an older one."""
  if os.path.isdir(target):
    shutil.rmtree(target)
  os.replace(path, target)


def sync(path):
  """Sees a file, or the names in a directory, onto the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
