"""Atomic files: complete or not there, whenever the process is killed.

Links are never followed for writing but refused, so nothing outside of a run's
directory is changed. Only regular files are read: devices and pipes might never
end.
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

# Larger than any file of ours.
_MOST_BYTES = 2**28


class LinkError(OSError):
  """A link has the name of a file or directory of ours."""


def local(path):
  """Makes a path absolute.

  Raises:
    ValueError: for a URL, which would name a directory here.
  """
  if re.match(r'[A-Za-z][A-Za-z0-9+.-]*://', os.fspath(path)):
    raise ValueError(
      f'Expected a path on this machine. Received: {path}, a URL. Mount it '
      'first.'
    )
  return pathlib.Path(path).absolute()


def check_for_tensorflow(path):
  """Checks the path of a directory in which TensorFlow reads and writes.

  Raises:
    ValueError: for bytes that are not UTF-8, and for [ and backslashes:
      TensorFlow takes the path for a pattern when it reads.
  """
  try:
    found = [mark for mark in '[\\' if mark in str(path)]
    str(path).encode()
  except UnicodeEncodeError:
    found = ['bytes that are not UTF-8']
  if found:
    raise ValueError(
      f'Expected a directory that TensorFlow can read. Received: '
      f'{os.fsencode(path).decode(errors="backslashreplace")}, with '
      f'{found[0]} in its path. Choose or rename it without.'
    )


def refuse_links(*paths):
  """Raises LinkError if a path is a link."""
  for path in paths:
    if os.path.islink(path):
      raise LinkError(
        f'Expected a file or directory of its own. Received: {path}, a link to '
        f'{os.readlink(path)}, which is not followed for writing. Replace it '
        'by its target'
      )


def require_directories(*paths):
  """Raises NotADirectoryError for paths that exist and are no directories."""
  for path in paths:
    if os.path.lexists(path) and not os.path.isdir(path):
      raise NotADirectoryError(
        errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)
      )


@contextlib.contextmanager
def naming(path):
  """Names a file in the errors of its descriptor, which does not know it."""
  try:
    yield
  except OSError as error:
    if error.errno and error.filename is None:
      error.filename = str(path)
    raise


@contextlib.contextmanager
def replacing(path):
  """Writes a file atomically; it replaces an older one when the block ends.

  Its bytes are on the disk before it is renamed. If the block raises, nothing
  is left and an older file stays. Only a kill leaves a file `NAME.*.tmp`.

  Args:
    path: of the file.

  Yields:
    A binary file to write to.
  """
  path = pathlib.Path(path)
  refuse_links(path)
  temporary = _temporary(path)
  try:
    # Exclusive: a new file, not a link.
    with naming(path), open(temporary, 'xb') as file:
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
  """As `replacing`, for a directory; yields the path of a new one."""
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


def remove_directory(path):
  """Removes a directory if there is one."""
  if os.path.isdir(path):
    shutil.rmtree(path)


def remove_leftovers(path):
  """Removes leftovers of kills during `replacing`."""
  path = pathlib.Path(path)
  pattern = re.compile(re.escape(path.name) + r'\.[0-9a-f]{8}\.tmp')
  for left in path.parent.iterdir():
    if pattern.fullmatch(left.name) and not left.is_symlink():
      shutil.rmtree(left) if left.is_dir() else left.unlink()


def write(path, content):
  """Writes a file atomically: bytes, or a str as UTF-8."""
  with replacing(path) as file:
    file.write(content.encode() if isinstance(content, str) else content)


def write_json(path, values, indent=None):
  """Writes JSON atomically, indented for readers if asked."""
  write(path, json.dumps(values, indent=indent) + '\n')


def write_json_lines(path, values):
  """Writes JSON lines atomically."""
  write(path, ''.join(json.dumps(value) + '\n' for value in values))


def append_json_line(path, value):
  """Appends a JSON line and syncs the file."""
  with naming(path), open_to_append(path) as file:
    file.write(json.dumps(value).encode() + b'\n')
    file.flush()
    os.fsync(file.fileno())


def open_to_append(path):
  """Opens a regular file, created if needed, to append bytes.

  Raises:
    LinkError: if it is a link.
    OSError: if it is not a regular file or cannot be written.
  """
  refuse_links(path)
  flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
  descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
  return os.fdopen(_regular(descriptor, path), 'ab')


def open_to_read(path):
  """Opens a regular file to read bytes; raises OSError for anything else."""
  descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  return os.fdopen(_regular(descriptor, path), 'rb')


def read(path):
  """Reads the bytes of a regular file.

  Raises:
    OSError: if it is not a regular file, is too large or cannot be read.
  """
  with open_to_read(path) as file:
    if os.fstat(file.fileno()).st_size > _MOST_BYTES:
      raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return file.read()


def move_over(path, target):
  """Renames a file or directory over an older one, on one file system.

  Its content is on the disk before, the name when this returns.
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
  """Creates a directory and its parents, and syncs their names.

  Raises:
    LinkError: if it is a dangling link.
    OSError: if it cannot be created.
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
  """Flushes a file, or the names in a directory, to disk.

  Some network file systems cannot do the latter, and say so by EINVAL.
  """
  descriptor = os.open(path, os.O_RDONLY)
  try:
    with naming(path):
      os.fsync(descriptor)
  except OSError as error:
    if error.errno != errno.EINVAL or not os.path.isdir(path):
      raise
  finally:
    os.close(descriptor)


def _temporary(path):
  return path.with_name(f'{path.name}.{secrets.token_hex(4)}.tmp')


def _regular(descriptor, path):
  """Returns a descriptor; raises OSError unless it is of a regular file."""
  mode = os.fstat(descriptor).st_mode
  if stat.S_ISREG(mode):
    return descriptor
  os.close(descriptor)
  if stat.S_ISDIR(mode):
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
  raise OSError(errno.EINVAL, 'Is no regular file', str(path))
