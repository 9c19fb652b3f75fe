"""Fields of sparsity: target, distribution, structure and schedule."""

import math

from tf_sparse_rl import methods
from tf_sparse_rl.config.presets import ByNetwork, Share, ShareOfTraining, Value
from tf_sparse_rl.config.rows import (
  ABOVE_0,
  COUNT,
  SPARSITY,
  STEPS,
  OneOf,
  Range,
  Record,
  record,
  row,
)

DISTRIBUTIONS = ('uniform', 'er', 'erk')
# Of pruning, and of updates of masks.
_END = {
  'dqn': ByNetwork(
    mlp=Share(0.75, 'code: 75,000; the text says 80 %'),
    images=Share(0.80, 'code: 2,000,000'),
  ),
  'sac': Share(0.80, 'code: 800,000'),
  'ppo': ShareOfTraining(120_000 / 156_480, 'code: 120,000 of 156,480'),
}


@record
class Sparsity(Record):
  """Masks and their schedule.

  Preset values that a method does not use are those of RigL.
  """

  title = 'Sparsity'

  sparsity: float = row(
    'fraction of zeros in each network, in [0, 1)', SPARSITY, default=0.9
  )
  distribution: str = row(
    f'layer-wise distribution of sparsity, one of: {", ".join(DISTRIBUTIONS)}',
    OneOf(DISTRIBUTIONS),
    default='erk',
  )
  erk_power: float = row(
    'exponent of the ERK distribution',
    Range(ABOVE_0, 100, 'a power in (0, 100]'),
    default=1.0,
  )
  custom_sparsity: str = row(
    "sparsities of individual layers, as in 'hidden_0=0.5,output=0', or in one "
    "network only: 'actor/output=0'",
    default='',
  )
  block_shape: tuple[int, ...] = row(
    'block sparsity: inputs and units of a block, as in 4,1',
    default=(),
  )
  n_of_m: tuple[int, ...] = row(
    'N:M sparsity: n active of every m consecutive inputs, as in 2,4',
    default=(),
  )
  sparsity_aware_init: bool | None = row(
    'initialize weights by the fan-in of active connections',
    dqn=ByNetwork(
      mlp=Value(True, 'table 1'),
      images=Value(True, 'table 4', methods={'prune': False}),
    ),
    sac=Value(True, 'table 2', methods={'static': False}),
    ppo=Value(True, 'table 3', methods={'prune': False}),
  )
  drop_fraction: float | None = row(
    'initial fraction of connections replaced in a mask update',
    Range(0, 1, 'a fraction in [0, 1]'),
    dqn=ByNetwork(mlp=Value(0.5, 'table 1'), images=Value(0.3, 'table 4')),
    sac=Value(0.5, 'table 2', methods={'set': 0.3}),
    ppo=Value(0.3, "table 3; ours for SET, where 0 makes the paper's static"),
  )
  mask_update_period: int | None = row(
    'train steps between mask updates',
    COUNT,
    dqn=ByNetwork(mlp=Value(1000, 'table 1'), images=Value(5000, 'table 4')),
    sac=Value(1000, 'table 2', methods={'set': 250}),
    ppo=Value(250, 'table 3', methods={'set': 100, 'prune': 500}),
  )
  mask_update_end_train_step: int | None = row(
    'train step of the last mask update',
    STEPS,
    **_END,
  )
  grow_batches: int = row(
    'batches, that of the mask update the last, whose gradients are averaged '
    'to grow by',
    Range(1, 10**6, 'from 1 to 1000000 batches'),
    default=1,
  )
  prune_begin_train_step: int | None = row(
    'train step at which pruning starts',
    STEPS,
    dqn=ByNetwork(
      mlp=Share(0.20, 'code: 20,000'), images=Share(0.20, 'code: 500,000')
    ),
    sac=Share(0.20, 'code: 200,000'),
    ppo=ShareOfTraining(32_000 / 156_480, 'code: 32,000 of 156,480'),
  )
  prune_end_train_step: int | None = row(
    'train step at which pruning reaches the target sparsity',
    STEPS,
    **_END,
  )

  def check(self):
    """Checks the schedule, the structure and custom sparsities."""
    _check_schedule(self)
    _check_structure(self)
    self.custom_sparsities()

  def custom_sparsities(self):
    """Parses `custom_sparsity`.

    Returns:
      `{layer name: sparsity}`; a name may begin with that of its network.

    Raises:
      ValueError: if it is not 'name=sparsity,...' with sparsities in [0, 1).
    """
    custom = {}
    for item in filter(None, self.custom_sparsity.split(',')):
      name, _, text = item.partition('=')
      try:
        value = float(text)
      except ValueError:
        value = math.nan
      if not name or not 0 <= value < 1:
        raise ValueError(
          "Expected custom_sparsity as in 'hidden_0=0.5,output=0', each in "
          f'[0, 1). Received: {self.custom_sparsity!r}.'
        )
      custom[name.strip()] = value
    return custom


def _check_schedule(config):
  """Checks the schedule of mask updates or of pruning."""
  schedule = methods.get(config.method).schedule
  config.require(
    config.method != 'adaptive' or config.selection_period is not None,
    'agent=dqn or agent=sac for adaptive',
    'agent',
  )
  config.require(
    'drop_fraction' not in schedule or config.drop_fraction > 0,
    f'drop_fraction > 0 for {config.method}; a mask that never changes is '
    "--method=static, as the paper's PPO with SET in fact was: its drop "
    'fraction is 0',
    'drop_fraction',
  )
  config.require(
    'mask_update_end_train_step' not in schedule
    or config.mask_update_end_train_step >= 1,
    f'mask_update_end_train_step >= 1 for {config.method}',
    received=config.mask_update_end_train_step,
  )
  config.require(
    'grow_batches' not in schedule
    or config.grow_batches <= config.mask_update_period,
    'grow_batches of at most mask_update_period',
    *('grow_batches', 'mask_update_period'),
  )
  config.require(
    config.method != 'neuroplastic'
    or config.mask_update_end_train_step >= config.mask_update_period,
    'mask_update_end_train_step >= mask_update_period for neuroplastic, whose '
    'layers have grown by then',
    *('mask_update_end_train_step', 'mask_update_period'),
  )
  if 'prune_end_train_step' not in schedule:
    return
  begin, end = config.prune_begin_train_step, config.prune_end_train_step
  config.require(
    begin < end,
    'prune_begin_train_step < prune_end_train_step',
    received=f'{begin} and {end}',
  )
  config.require(
    end < config.num_train_steps,
    f'prune_end_train_step < {config.num_train_steps}, the train steps of the '
    'run',
    'prune_end_train_step',
  )


def _check_structure(config):
  """Checks block and N:M sparsity as far as possible without the kernels."""
  for name in ('block_shape', 'n_of_m'):
    value = getattr(config, name)
    config.require(
      not value or len(value) == 2 and min(value) >= 1,
      f'{name} as two numbers of at least 1, as in 2,4',
      name,
    )
  refused = methods.get(config.method).refuses
  config.require(
    not any(getattr(config, name) for name in refused),
    f'no {" or ".join(refused)} for {config.method}, which it contradicts',
    *refused,
  )
  if not config.n_of_m:
    return
  active, group = config.n_of_m
  config.require(
    active < group and not config.block_shape,
    'n_of_m as in 2,4, two of four inputs active, and no block_shape',
    *('n_of_m', 'block_shape'),
  )
  left = 1 - active / group
  sparsities = {config.sparsity, *config.network_sparsities.values()}
  config.require(
    config.distribution == 'uniform' and sparsities <= {None, 0, left},
    f'sparsity={left:g} and distribution=uniform with '
    f'n_of_m={config.n_of_m}, which implies them',
    *('sparsity', 'distribution'),
  )
