"""Sparse training of deep-RL agents in TensorFlow.

Importing this package imports no TensorFlow; it only sees to it that
TensorFlow, when it comes, brings the Keras that TF-Agents and TFMOT need.
"""

import importlib
import os
import sys
import types
from typing import TYPE_CHECKING

from tf_sparse_rl.version import __version__

if TYPE_CHECKING:
  from tf_sparse_rl import callbacks, sparsity
  from tf_sparse_rl.api import Run, open_run, train
  from tf_sparse_rl.callbacks import Callback

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

__all__ = [
  'Callback',
  'Run',
  '__version__',
  'callbacks',
  'open_run',
  'sparsity',
  'train',
]

_MODULES = {
  'Callback': 'callbacks',
  'Run': 'api',
  'open_run': 'api',
  'train': 'api',
}


def __getattr__(name):
  if name in _MODULES:
    module = importlib.import_module(f'{__name__}.{_MODULES[name]}')
    return getattr(module, name)
  if name in __all__:
    return importlib.import_module(f'{__name__}.{name}')
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
  return __all__


class _Package(types.ModuleType):
  """Keeps `tf_sparse_rl.train` a function when the command is imported."""

  def __setattr__(self, name, value):
    if not (name in _MODULES and isinstance(value, types.ModuleType)):
      super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
