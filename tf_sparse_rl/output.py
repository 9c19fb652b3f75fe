"""Standard output whose own errors are told from those of other files."""

import contextlib
import sys


class OutputError(Exception):
  """Standard output cannot be written: a full disk, or a closed file."""


@contextlib.contextmanager
def checked():
  """Has writes to standard output raise OutputError within a block.

  A pipe that no one reads raises BrokenPipeError, as ever. Characters that the
  output's encoding does not have are written as escapes.
  """
  before = sys.stdout
  if before is not None:  # It is None where it was closed before the start.
    with contextlib.suppress(AttributeError, ValueError):
      before.reconfigure(errors='backslashreplace')
    sys.stdout = _Checked(before)
  try:
    yield
    if before is not None:
      sys.stdout.flush()
  finally:
    sys.stdout = before


class _Checked:
  """A text stream; everything but its errors is that of another."""

  def __init__(self, stream):
    self._stream = stream

  def __getattr__(self, name):
    return getattr(self._stream, name)

  def write(self, text):
    """Writes text; see `io.TextIOBase`."""
    with _told():
      return self._stream.write(text)

  def flush(self):
    """Writes what is buffered."""
    with _told():
      self._stream.flush()


@contextlib.contextmanager
def _told():
  try:
    yield
  except BrokenPipeError:
    raise
  except (OSError, ValueError) as error:
    raise OutputError(
      f'Writing to standard output failed: {error}. Files are not affected'
    ) from error
