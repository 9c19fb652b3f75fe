"""All mask updaters, and `make`, which creates that of a method.

An algorithm overrides the scores by which connections are dropped and grown.
The base class and SparseOptimizer do the rest.
"""

import inspect

from tf_sparse_rl import methods, modules, names
from tf_sparse_rl.sparsity.adaptive import AdaptivePruning
from tf_sparse_rl.sparsity.constant_fan_in import SRigL
from tf_sparse_rl.sparsity.dropping_and_growing import SET, RigL
from tf_sparse_rl.sparsity.neuroplastic import NeuroplasticExpansion
from tf_sparse_rl.sparsity.pruning import (
  GlobalMagnitudePruning,
  MagnitudePruning,
  SaliencyPruning,
)
from tf_sparse_rl.sparsity.straight_through import StraightThrough
from tf_sparse_rl.sparsity.updater_base import KernelState, MaskUpdater, Static

__all__ = [
  'AdaptivePruning',
  'GlobalMagnitudePruning',
  'KernelState',
  'MagnitudePruning',
  'MaskUpdater',
  'NeuroplasticExpansion',
  'RigL',
  'SET',
  'SRigL',
  'SaliencyPruning',
  'Static',
  'StraightThrough',
  'make',
  'own_class',
  'starts_dense',
]


def make(method, settings):
  """Creates the updater of a method.

  Args:
    method: a name of `methods.METHODS` with an updater, or 'module:Class' of a
      subclass of MaskUpdater.
    settings: an object with the fields of its schedule as attributes, such as
      a Config. The constructor of a user's class gets those of
      `methods.OWN_SCHEDULE` that it accepts, overridden by
      `settings.method_arguments`.

  Returns:
    A MaskUpdater.

  Raises:
    ValueError: for a class that is not found or no MaskUpdater, and for
      unknown or missing arguments.
    UserCodeError: if the user's code raises another error than ValueError.
  """
  row = methods.get(method)
  if row.is_own:
    return _make_own(method, settings)
  arguments = {name: getattr(settings, name) for name in row.schedule}
  return globals()[row.updater](**arguments)


def starts_dense(method):
  """Whether the masks of a method start as ones; see `make`."""
  row = methods.get(method)
  return bool((own_class(method) if row.is_own else row).starts_dense)


def own_class(method):
  """Imports the user's class; see `make`."""
  kind = modules.load(method, '--method')
  if not (isinstance(kind, type) and issubclass(kind, MaskUpdater)):
    raise ValueError(
      'Expected --method=module:Class with a subclass of '
      f'tf_sparse_rl.sparsity.MaskUpdater. Received: {method}, {kind!r:.100}.'
    )
  return kind


def _make_own(method, settings):
  kind = own_class(method)
  taken, needed = _parameters(kind)
  arguments = {
    name: getattr(settings, name)
    for name in methods.OWN_SCHEDULE
    if name in taken
  }
  given = settings.method_arguments
  for name in given:
    if name not in taken:
      text = names.unknown(f'argument of {method}', name, taken)
      raise ValueError(f'method_kwargs: {text}')
  arguments.update(given)
  missing = [name for name in needed if name not in arguments]
  if missing:
    raise ValueError(
      f'Expected --method_kwargs with {", ".join(missing)}, without which '
      f'{method} cannot be made. Received: method_kwargs={given}.'
    )
  try:
    return kind(**arguments)
  except ValueError:  # For numbers out of range, as in our own classes.
    raise
  except BaseException as error:  # The user's code may raise anything.
    raise modules.user_code_error(f'Making {method} failed', error) from error


def _parameters(kind):
  """Returns names of constructor arguments: (all, those without default).

  If the constructor has `**kwargs`, those of its base class are included.
  """
  taken, needed = [], []
  for base in kind.__mro__:
    if '__init__' not in vars(base) or base is object:
      continue
    parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
    for p in parameters:
      if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
        taken.append(p.name)
        if p.default is p.empty:
          needed.append(p.name)
    if all(p.kind != p.VAR_KEYWORD for p in parameters):
      break
  return taken, needed
