"""Imports of large libraries."""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import sys

# What TensorFlow and TF-Agents import that is rarely used, and large.
_RARELY_USED = frozenset(
  (
    'cv2',
    'gym',
    'pandas',
    'tf_agents.bandits',
    'tf_agents.drivers',
    'tf_agents.environments',
    'tf_agents.eval',
    'tf_agents.experimental',
    'tf_agents.metrics',
    'tf_agents.replay_buffers',
    'tf_agents.train',
  )
)


@contextlib.contextmanager
def lightened():
  """Makes imports of TensorFlow and TF-Agents quicker and smaller.

  Modules of `_RARELY_USED` are loaded when something asks for an attribute of
  theirs, also after the block. The garbage collector pauses: imports make
  hundreds of thousands of objects, which stay, and it would look through all of
  them again and again.
  """
  finder = _Lazily()
  sys.meta_path.insert(0, finder)
  was_enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_enabled:
      gc.enable()
    sys.meta_path.remove(finder)


class _Lazily(importlib.abc.MetaPathFinder):
  """Finds modules that are loaded when they are used."""

  def find_spec(self, fullname, path, target=None):
    """See `importlib.abc.MetaPathFinder`."""
    if fullname not in _RARELY_USED:
      return None
    spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
    if spec is None or spec.loader is None:
      return spec
    spec.loader = importlib.util.LazyLoader(spec.loader)
    return spec
