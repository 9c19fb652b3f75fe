"""The training methods, one row each; no TensorFlow.

A new method that moves masks is a class in `sparsity/updaters.py` and a row
here.
"""

from typing import NamedTuple

# A dense network with as many parameters as a sparse one: for sweeps and
# reports. To a run it is `method=dense` with `match_sparsity`.
SMALL_DENSE = 'small_dense'
# Config fields of every sparse method.
_MASKS = (
  *('sparsity', 'actor_sparsity', 'critic_sparsity', 'value_sparsity'),
  *('custom_sparsity', 'block_shape', 'n_of_m', 'sparsity_aware_init'),
)
_DROP_AND_GROW = (
  *('drop_fraction', 'mask_update_period', 'mask_update_end_train_step'),
  'seed',
)
_PRUNE = (
  *('prune_begin_train_step', 'prune_end_train_step', 'mask_update_period'),
)


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
  starts_dense: bool = False  # masks start as ones, else at random

  @property
  def reads(self):
    """Names of the config fields of masks that the method reads."""
    if self.updater is None:
      return ('seed',)
    return ('seed', *_MASKS, *self.schedule)


# In the order of the paper's figures.
_ROWS = (
  Method('dense', 'Dense', '#000000', 'o', (0, (5, 2))),
  Method(SMALL_DENSE, 'Small dense', '#7a7a7a', 's', (0, (2, 1.5))),
  Method('static', 'Static', '#cc79a7', 'v', (0, (4, 1, 1, 1)), 'Static'),
  Method('set', 'SET', '#0072b2', '^', 'solid', 'SET', _DROP_AND_GROW),
  Method('rigl', 'RigL', '#d55e00', 'D', 'solid', 'RigL', _DROP_AND_GROW),
  Method(
    *('prune', 'Pruning', '#009e73', 'P', 'solid', 'MagnitudePruning', _PRUNE),
    starts_dense=True,
  ),
)
# `{name: Method}`: what reports compare, and what `--method` takes.
COMPARED = {row.name: row for row in _ROWS}
METHODS = {n: row for n, row in COMPARED.items() if n != SMALL_DENSE}


def unused_fields(name):
  """Names of the config fields that only other methods read, a tuple."""
  fields = dict.fromkeys(f for row in METHODS.values() for f in row.reads)
  return tuple(f for f in fields if f not in METHODS[name].reads)
