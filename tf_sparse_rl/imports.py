"""Imports of large libraries."""

import contextlib
import gc


@contextlib.contextmanager
def uncollected():
  """Pauses the garbage collector, for imports.

  They make hundreds of thousands of objects, which stay. The collector would
  look through all of them again and again while there are more and more.
  """
  was_enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_enabled:
      gc.enable()
