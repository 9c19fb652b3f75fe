"""Fields of the dynamic replay of RLx2, for SAC and TD3."""

from tf_sparse_rl.config.presets import Value
from tf_sparse_rl.config.rows import ABOVE_0, COUNT, Range, Record, record, row


@record
class DynamicReplay(Record):
  """A replay buffer that drops transitions far from the current policy.

  Reference: Tan et al. 2023 (arXiv 2205.15043), section 4.2.2.
  """

  dynamic_replay: bool = row(
    'drop the oldest tenth of the replay buffer when it is too far from the '
    'current policy',
    default=False,
  )
  dynamic_replay_period: int = row(
    'env steps between measurements of the policy distance',
    COUNT,
    default=10_000,
  )
  max_policy_distance: float = row(
    'policy distance above which transitions are dropped',
    Range(ABOVE_0, 1e6, 'a distance above 0'),
    default=0.2,
  )
  min_replay_size: int | None = row(
    'minimum number of transitions in the dynamic replay',
    COUNT,
    sac=Value(200_000, 'RLx2'),
    td3=Value(100_000, 'RLx2'),
  )

  def check(self):
    """Checks that observations are flat: only these are measured."""
    self.require(
      not (self.dynamic_replay and self.is_convolutional),
      'dynamic_replay with flat observations',
      *('dynamic_replay', 'network'),
    )
