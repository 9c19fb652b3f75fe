"""Files that are whole or not there, whenever the process is killed.

Links are never followed for writing: where one stands in the place of a file of
ours it is refused, so nothing outside of our directories is ever changed. What
is read is a regular file: a device or a pipe would never end.
"""

import contextlib
import errno
import json
import os
import pathlib
import re
import secrets
import shutil
import stat

# Larger ones are none of ours.
_MOST_BYTES = 2**28


class LinkError(OSError):
  """A link stands where a file or directory of ours should be."""


def refuse_links(*paths):
  """Raises LinkError if one of some paths is a link; OSError has its reason."""
  for path in paths:
    if os.path.islink(path):
      raise LinkError(
        f'Expected a file or directory of its own. Received: {path}, a link to '
        f'{os.readlink(path)}, which is not followed for writing. Put what it '
        'leads to in its place'
      )


def require_directories(*paths):
  """Raises NotADirectoryError for what is there and is no directory."""
  for path in paths:
    if os.path.lexists(path) and not os.path.isdir(path):
      raise NotADirectoryError(
        errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)
      )


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
  refuse_links(path)
  temporary = _temporary(path)
  try:
    # Exclusive: it is new, and no link.
    with open(temporary, 'xb') as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise
  sync(path.parent)


@contextlib.contextmanager
def replacing_directory(path):
  """As `replacing`, of a directory: yields the path of a new, empty one."""
  path = pathlib.Path(path)
  refuse_links(path)
  temporary = _temporary(path)
  temporary.mkdir()
  try:
    yield temporary
    move_over(temporary, path)
  except BaseException:
    shutil.rmtree(temporary, ignore_errors=True)
    raise


def remove_leftovers(path):
  """Removes what kills have left of `replacing` and `replacing_directory`."""
  path = pathlib.Path(path)
  pattern = re.compile(re.escape(path.name) + r'\.[0-9a-f]{8}\.tmp')
  for left in path.parent.iterdir():
    if pattern.fullmatch(left.name) and not left.is_symlink():
      shutil.rmtree(left) if left.is_dir() else left.unlink()


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
  with open_to_append(path) as file:
    file.write(json.dumps(value).encode() + b'\n')
    file.flush()
    os.fsync(file.fileno())


def open_to_append(path):
  """Opens a regular file, made if need be, to add bytes at its end.

  Raises:
    LinkError: if it is a link.
    OSError: if it is no file, or cannot be written.
  """
  refuse_links(path)
  flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
  descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
  return os.fdopen(_regular(descriptor, path), 'ab')


def open_to_read(path):
  """Opens a regular file to read bytes; OSError if it is anything else."""
  descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  return os.fdopen(_regular(descriptor, path), 'rb')


def read(path):
  """The bytes of a regular file.

  Raises:
    OSError: if it is anything else, far larger than any of ours, or cannot be
      read.
  """
  with open_to_read(path) as file:
    if os.fstat(file.fileno()).st_size > _MOST_BYTES:
      raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return file.read()


def move_over(path, target):
  """Moves a file or a directory, on one file system, over an older one.

  All of it is on the disk before it has the name, and the name is when this
  returns.
  """
  target = pathlib.Path(target)
  refuse_links(target)
  for directory, _, names in os.walk(path):
    for name in names:
      sync(os.path.join(directory, name))
    sync(directory)
  if not os.path.isdir(path):
    sync(path)
  if target.is_dir():
    shutil.rmtree(target)
  os.replace(path, target)
  sync(target.parent)


def make_directory(path):
  """Makes a directory and those above it, and sees their names onto the disk.

  Raises:
    LinkError: if it is a link that leads nowhere.
    OSError: if it cannot be made.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return
  refuse_links(path)
  make_directory(path.parent)
  with contextlib.suppress(FileExistsError):
    path.mkdir()
  require_directories(path)
  sync(path.parent)


def sync(path):
  """Sees a file, or the names in a directory, onto the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def _temporary(path):
  return path.with_name(f'{path.name}.{secrets.token_hex(4)}.tmp')


def _regular(descriptor, path):
  """The descriptor of a regular file; closed, and OSError, if it is none."""
  mode = os.fstat(descriptor).st_mode
  if stat.S_ISREG(mode):
    return descriptor
  os.close(descriptor)
  if stat.S_ISDIR(mode):
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
  raise OSError(errno.EINVAL, 'Is no regular file', str(path))
