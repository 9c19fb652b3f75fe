"""Fields of adaptive pruning, for DQN and the critics of SAC."""

from tf_sparse_rl.config.presets import Same, Value
from tf_sparse_rl.config.rows import (
  ABOVE_0,
  BELOW_1,
  COUNT,
  Range,
  Record,
  record,
  row,
)


@record
class Adaptive(Record):
  """Networks of several sparsities, of which the losses choose.

  Method `adaptive` alone reads them.

  Reference: Vincent et al. 2025 (arXiv 2503.01437), EauDeQN.
  """

  num_networks: int = row(
    'method=adaptive: networks that are trained side by side, each of another '
    'sparsity',
    Range(2, 100, 'from 2 to 100 networks'),
    default=5,
  )
  max_sparsity_step: float = row(
    'method=adaptive: most that the sparsity rises at a selection',
    Range(ABOVE_0, BELOW_1, 'a step in (0, 1)'),
    default=0.01,
  )
  max_sparsity_power: float = row(
    'method=adaptive: highest power of the schedules that sparsities are drawn '
    'from; higher is faster',
    Range(ABOVE_0, 1000, 'a power in (0, 1000]'),
    default=3.0,
  )
  selection_period: int | None = row(
    'method=adaptive: train steps between selections of the network with the '
    'lowest loss',
    COUNT,
    dqn=Same('target_update_period', 'EauDeQN'),
    sac=Value(1000, 'ours: its targets move at every train step'),
  )

  def check(self):
    """Checks that there is a selection, on one machine's one device."""
    if self.method != 'adaptive':
      return
    self.require(
      self.selection_period < self.num_train_steps,
      'selection_period within the run, which has '
      f'{self.num_train_steps} train steps',
      'selection_period',
    )
    self.require(
      self.num_gpus <= 1 and not self.tpu,
      'num_gpus of at most 1, and no tpu, with method=adaptive',
      *('num_gpus', 'tpu'),
    )
    self.require(
      not self.actor_parameter_share,
      'no actor_parameter_share with method=adaptive: it finds the sparsity',
      'actor_parameter_share',
    )
