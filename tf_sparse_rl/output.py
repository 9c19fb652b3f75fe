"""Standard output whose own errors are told from those of other files."""

import contextlib
import os
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
    if sys.stdout is not None:
      sys.stdout.flush()
  finally:
    sys.stdout = before


def open_closed():
  """Opens standard input, output and errors to nowhere where they are closed.

  Otherwise the next files would get their numbers, and what libraries print.
  """
  for number in range(3):
    try:
      os.fstat(number)
    except OSError:
      # The lowest number that is free.
      os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
  for number, name in ((1, 'stdout'), (2, 'stderr')):
    if getattr(sys, name) is None:
      setattr(sys, name, open(number, 'w', encoding='utf-8', closefd=False))


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
