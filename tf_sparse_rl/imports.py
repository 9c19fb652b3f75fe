"""Imports of large libraries."""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import sys
import types
from importlib import _bootstrap

# Large parts of `tfp.experimental`.
_TFP_EXPERIMENTAL = (
  'auto_batching',
  'bayesopt',
  'distributions',
  'mcmc',
  'nn',
  'sequential',
  'stats',
  'sts_gibbs',
)
# What TensorFlow and TF-Agents import that is rarely used, and large.
_RARELY_USED = frozenset(
  (
    'cv2',
    'gym',
    'h5py',
    'pandas',
    'requests',
    'scipy.linalg',
    'scipy.ndimage',
    'tensorflow._api.v2.compat.v1.lite',
    'tensorflow._api.v2.compat.v2.lite',
    'tensorflow._api.v2.lite',
    'tf_agents.bandits',
    'tf_agents.drivers',
    'tf_agents.environments',
    'tf_agents.eval',
    'tf_agents.experimental',
    'tf_agents.metrics',
    'tf_agents.replay_buffers',
    'tf_agents.train',
    *(
      f'tensorflow_probability.python.experimental.{part}'
      for part in _TFP_EXPERIMENTAL
    ),
  )
)
# Packages to import before a lazy module is bound to the same name. Otherwise
# the module imports the package when it is loaded, and Python binds the package
# in its parent: `tf.lite` would be an empty package.
_IMPORTED_BEFORE = {'tensorflow._api.v2.lite': 'tensorflow.lite'}


@contextlib.contextmanager
def lightened():
  """Makes imports of TensorFlow and TF-Agents quicker and smaller.

  Modules of `_RARELY_USED` are loaded when something asks for an attribute of
  theirs, also after the block. The garbage collector pauses: imports make
  hundreds of thousands of objects, which stay, and it would look through all of
  them again and again.
  """
  if _PARTS not in sys.meta_path:
    sys.meta_path.insert(0, _PARTS)
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
    if module.__name__ in _IMPORTED_BEFORE:
      importlib.import_module(_IMPORTED_BEFORE[module.__name__])
    module.__class__ = _Lazy


class _Lazy(types.ModuleType):
  """A module that is not loaded yet, or is loading."""

  def __getattr__(self, name):
    # Python's lock for imports of this module. One of our own would not be
    # known to imports, so that threads could wait for each other for ever.
    with _bootstrap._ModuleLockManager(self.__spec__.name):
      if type(self) is _Lazy and not self.__spec__._initializing:
        _load(self)
    if type(self) is _Lazy:  # This thread is loading it.
      return super().__getattribute__(name)
    return getattr(self, name)

  def __reduce__(self):
    # By name: cloudpickle knows no other class of modules than Python's.
    return importlib.import_module, (self.__spec__.name,)


def _load(module):
  """Loads a lazy module; if that fails, it is as it was."""
  spec = module.__spec__
  before = dict(module.__dict__)
  spec._initializing = True  # Threads that import it now wait.
  try:
    if spec.submodule_search_locations is not None:
      module.__path__ = spec.submodule_search_locations
    spec.loader.exec_module(module)
    if type(module) is _Lazy:
      module.__class__ = types.ModuleType
  except BaseException:
    for name in module.__dict__.keys() - before.keys():
      del module.__dict__[name]
    module.__dict__.update(before)
    raise
  finally:
    spec._initializing = False


class _Parts(importlib.abc.MetaPathFinder):
  """Finds parts of lazy packages that were loaded a moment ago.

  To import a part, Python first asks the package for its path. That loads the
  package, which may import the part; Python would load it a second time.
  """

  def find_spec(self, fullname, path, target=None):
    """Finds a loaded part; for the rest Python asks other finders."""
    is_reloaded = target is not None
    package = fullname.rpartition('.')[0]
    if (
      package not in _RARELY_USED or fullname not in sys.modules or is_reloaded
    ):
      return None
    loader = _Loaded(sys.modules[fullname])
    return importlib.machinery.ModuleSpec(fullname, loader)


class _Loaded(importlib.abc.Loader):
  """Replaces a new part of a package by the one that is loaded."""

  def __init__(self, part):
    self._part = part

  def exec_module(self, module):
    sys.modules[module.__name__] = self._part
    package = sys.modules[module.__name__.rpartition('.')[0]]
    if type(package) is types.ModuleType:
      package.__class__ = _KeepsName


class _KeepsName(types.ModuleType):
  """A package in which Python is about to bind a part for the second time.

  The package may have bound the name to something else, such as a function.
  """

  def __setattr__(self, name, value):
    if sys.modules.get(f'{self.__name__}.{name}') is value:
      self.__class__ = types.ModuleType
    else:
      super().__setattr__(name, value)


_PARTS = _Parts()
