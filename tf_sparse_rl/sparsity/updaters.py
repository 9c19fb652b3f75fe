"""The mask updaters, and how that of a method is made.

An algorithm is a score: what to drop by and what to grow by. The base class
owns the rest: when, how many, and what becomes of weights and slots.
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
  """Makes the updater of a method.

  Args:
    method: a name of `methods.METHODS` with an updater, or 'module:Class' of a
      subclass of MaskUpdater.
    settings: an object with the fields of its schedule as attributes, such as
      a Config. The constructor of a class of the user's gets those of
      `methods.OWN_SCHEDULE` that it takes, and over these
      `settings.method_arguments`.

  Returns:
    A MaskUpdater.

  Raises:
    ValueError: for a class that is not there or no MaskUpdater, or arguments
      that it does not take or lacks.
    UserCodeError: if code of the user's raises anything but ValueError.
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
  """Imports a class of the user's; see `make`."""
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
  except ValueError:  # Of numbers out of range, as of our own classes.
    raise
  except BaseException as error:  # It is not our code.
    raise modules.user_code_error(f'Making {method} failed', error) from error


def _parameters(kind):
  """Names of the arguments of a class: (all of them, those without default).

  With `**kwargs` in a constructor those of its base class are among them.
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
