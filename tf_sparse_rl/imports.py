"""Imports of large libraries."""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import sys
import types

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
    """Finds what is rarely used; for the rest Python asks other finders."""
    if fullname not in _RARELY_USED:
      return None
    spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
    if spec is not None and spec.loader is not None:
      spec.loader = _LazyLoader(spec.loader)
    return spec


class _LazyLoader(importlib.abc.Loader):
  """Leaves a module to be loaded when an attribute is missing.

  Python's own loads it for any attribute: `inspect`, which TensorFlow calls for
  functions, asks all modules for their file.
  """

  def __init__(self, loader):
    self._loader = loader

  def create_module(self, spec):
    return self._loader.create_module(spec)

  def exec_module(self, module):
    module.__loader__ = module.__spec__.loader = self._loader
    module.__dict__.pop('__path__', None)  # Before parts of it come all of it.
    module.__class__ = _Lazy


class _Lazy(types.ModuleType):
  """A module that is not loaded yet."""

  def __getattr__(self, name):
    self.__class__ = types.ModuleType
    path = self.__spec__.submodule_search_locations
    if path is not None:
      self.__path__ = path
    self.__loader__.exec_module(self)
    return getattr(self, name)
