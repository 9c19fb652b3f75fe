"""The training methods, one row each. No TensorFlow.

A new method is a class that `sparsity/updaters.py` imports and a row here. A
custom method is named 'module:Class' and has no row.
"""

import zlib
from typing import NamedTuple

from tf_sparse_rl import names

# A dense network with as many parameters as a sparse one, in sweeps and
# reports. Its runs have `method=dense` and `match_sparsity`.
SMALL_DENSE = 'small_dense'
# Config fields of every sparse method.
_TARGETS = (
  *('sparsity', 'actor_sparsity', 'critic_sparsity', 'value_sparsity'),
)
_MASKS = (
  *_TARGETS,
  *('custom_sparsity', 'block_shape', 'n_of_m', 'sparsity_aware_init'),
)
_DROP_AND_GROW = (
  *('drop_fraction', 'mask_update_period', 'mask_update_end_train_step'),
  'seed',
)
_GROW_BY_GRADIENT = (*_DROP_AND_GROW, 'grow_batches')
_PRUNE = (
  *('prune_begin_train_step', 'prune_end_train_step', 'mask_update_period'),
)
_ADAPTIVE = (
  *('num_networks', 'max_sparsity_step', 'max_sparsity_power'),
  *('selection_period', 'seed'),
)
# Config fields that the constructor of a custom method may take.
OWN_SCHEDULE = tuple(dict.fromkeys((*_GROW_BY_GRADIENT, *_PRUNE)))
# Colours and markers of custom methods, none of them in the table below.
_OWN_COLORS = (
  *('#e69f00', '#56b4e9', '#882255', '#6a3d9a'),
  *('#8c564b', '#999933', '#44aa99', '#e31a1c'),
)
_OWN_MARKERS = ('X', '*', '<', '>', 'p', 'h', 'd', '8')


class Method(NamedTuple):
  """A training method.

  Colours are those of Okabe and Ito, distinct to every kind of sight; markers
  and dashes are distinct in black and white.
  """

  name: str
  label: str
  color: str
  marker: str  # of Matplotlib
  dashes: str | tuple = 'solid'  # of Matplotlib
  updater: str | None = None  # class in sparsity/updaters.py; None: no masks
  schedule: tuple[str, ...] = ()  # config fields, arguments of the updater
  starts_dense: bool = False  # masks start as ones, otherwise at random
  # Config fields of structures that it does not support.
  refuses: tuple[str, ...] = ()
  finds_sparsity: bool = False  # no sparsity is asked for

  @property
  def is_own(self):
    """Whether it is a custom method, 'module:Class'."""
    return is_own(self.name)

  @property
  def has_target(self):
    """Whether its networks have a given target sparsity."""
    return self.updater is not None and not self.finds_sparsity

  @property
  def reads(self):
    """Names of the config fields of masks that the method uses."""
    if self.is_own:
      return (*_MASKS, *OWN_SCHEDULE, 'method_kwargs')
    if self.updater is None:
      return ('seed',)
    left_out = (*self.refuses, *(_TARGETS if self.finds_sparsity else ()))
    masks = tuple(name for name in _MASKS if name not in left_out)
    return ('seed', *masks, *self.schedule)


# In the order of the paper's figures, then by age.
_ROWS = (
  Method('dense', 'Dense', '#000000', 'o', (0, (5, 2))),
  Method(SMALL_DENSE, 'Small dense', '#7a7a7a', 's', (0, (2, 1.5))),
  Method('static', 'Static', '#cc79a7', 'v', (0, (4, 1, 1, 1)), 'Static'),
  Method('set', 'SET', '#0072b2', '^', 'solid', 'SET', _DROP_AND_GROW),
  Method('rigl', 'RigL', '#d55e00', 'D', 'solid', 'RigL', _GROW_BY_GRADIENT),
  Method(
    *('prune', 'Pruning', '#009e73', 'P', 'solid', 'MagnitudePruning', _PRUNE),
    starts_dense=True,
  ),
  Method(
    *('saliency', 'Saliency pruning', '#8fbc5a', 'x', (0, (3, 1))),
    *('SaliencyPruning', _PRUNE),
    starts_dense=True,
  ),
  Method(
    *('global_prune', 'Global pruning', '#b8860b', '+', (0, (5, 1, 1, 1))),
    *('GlobalMagnitudePruning', _PRUNE),
    starts_dense=True,
  ),
  Method(
    *('straight_through', 'Straight-through', '#4b0082', '1', (0, (1, 1))),
    *('StraightThrough', _PRUNE[:2]),
    starts_dense=True,
  ),
  Method(
    *('srigl', 'SRigL', '#a0341b', '2', 'solid', 'SRigL', _GROW_BY_GRADIENT),
    refuses=('block_shape', 'n_of_m'),
  ),
  Method(
    *('neuroplastic', 'Neuroplastic', '#2f4f6f', '3', (0, (6, 1))),
    *('NeuroplasticExpansion', _GROW_BY_GRADIENT),
    refuses=('n_of_m',),
  ),
  Method(
    *('adaptive', 'Adaptive pruning', '#6b8e9e', '4', (0, (4, 1, 1, 1, 1, 1))),
    *('AdaptivePruning', _ADAPTIVE),
    starts_dense=True,
    refuses=('custom_sparsity', 'n_of_m'),
    finds_sparsity=True,
  ),
)
# `{name: Method}`: what reports compare, and what `--method` takes.
COMPARED = {row.name: row for row in _ROWS}
METHODS = {n: row for n, row in COMPARED.items() if n != SMALL_DENSE}
OF_THE_PAPER = ('dense', 'static', 'set', 'rigl', 'prune')


# `{name: Method}` of custom methods in this process.
_own = {}


def is_own(name):
  """Whether a name is that of a custom method, 'module:Class'."""
  return ':' in name


def get(name):
  """Returns the row of a method; for a custom method a row is made.

  Its module is not imported. Its colour and marker follow from its name, unless
  another method of this process has them already.

  Args:
    name: a name of COMPARED, or 'module:Class'.

  Returns:
    A Method.

  Raises:
    ValueError: for another name.
  """
  if name in COMPARED:
    return COMPARED[name]
  if not is_own(name):
    raise ValueError(names.unknown('method', name, COMPARED))
  if name not in _own:
    taken = {(row.color, row.marker) for row in _own.values()}
    look = next(look for look in _own_looks(name) if look not in taken)
    _own[name] = Method(name, name, *look, updater=name)
  return _own[name]


def _own_looks(name):
  """Pairs of colours and markers, in the order of preference of a name."""
  first, count = zlib.crc32(name.encode()), len(_OWN_COLORS)
  for shift in range(count):
    for i in range(first, first + count):
      yield _OWN_COLORS[i % count], _OWN_MARKERS[(i + shift) % count]


def order(name):
  """Sort key: as in the paper's figures, then custom methods by name."""
  rows = list(COMPARED)
  return (rows.index(name), '') if name in COMPARED else (len(rows), name)


def unused_fields(name):
  """Names of the config fields that only other methods use, a tuple."""
  fields = ('seed', *_MASKS, *OWN_SCHEDULE, *_ADAPTIVE, 'method_kwargs')
  return tuple(f for f in fields if f not in get(name).reads)
