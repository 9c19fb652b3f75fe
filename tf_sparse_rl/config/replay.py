"""Fields of agents that learn from a replay, with target networks."""

import dataclasses

from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import ABOVE_0, COUNT, Range, Record, row


@dataclasses.dataclass(frozen=True)
class Replay(Record):
  """Replay, target networks, and how often is trained."""

  reward_scale: float | None = row(
    'multiplies rewards in the loss',
    Range(ABOVE_0, 1e9, 'a scale above 0'),
    dqn=Value(1.0, 'table 6'),
    sac=Value(0.1, 'code; not in table 8'),
  )
  target_update_period: int | None = row(
    'train steps between target updates',
    COUNT,
    dqn=ByNetwork(
      mlp=Value(100, 'table 6'), images=Value(2000, 'table 6: 8000 agent steps')
    ),
    sac=Value(1, 'table 8'),
  )
  target_update_tau: float | None = row(
    'share of the online weights that the target takes over; 1 copies',
    Range(ABOVE_0, 1, 'a tau in (0, 1]'),
    dqn=Value(1.0, 'table 6'),
    sac=Value(0.005, 'table 8'),
  )
  replay_capacity: int | None = row(
    'transitions that the replay holds',
    Range(1, 10**9, 'a capacity from 1 to 1000000000'),
    dqn=ByNetwork(
      mlp=Value(100_000, 'table 6'), images=Value(1_000_000, 'table 6')
    ),
    sac=Value(1_000_000, 'table 8'),
  )
  initial_collect_env_steps: int | None = row(
    'env steps at random before training',
    COUNT,
    dqn=ByNetwork(mlp=Value(1000, 'table 6'), images=Value(20_000, 'table 6')),
    sac=Value(
      1000,
      'table 8; 1000 for environments that are not in it',
      envs={'HalfCheetah': 10_000, 'Ant': 10_000},
    ),
  )
  train_period: int | None = row(
    'env steps for each train step',
    COUNT,
    dqn=ByNetwork(mlp=Value(1, 'table 6'), images=Value(4, 'table 6')),
    sac=Value(1, 'table 8'),
  )

  def check(self):
    """That something is learned. See base class."""
    if self.initial_collect_env_steps >= self.num_env_steps:
      raise ValueError(
        'Expected fewer initial_collect_env_steps than num_env_steps, or '
        'nothing is learned. Received: initial_collect_env_steps='
        f'{self.initial_collect_env_steps}, '
        f'num_env_steps={self.num_env_steps}.'
      )
