"""Fields of learning: rates, batches, replay and target networks."""

from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import (
  ABOVE_0,
  COUNT,
  RATE,
  STEPS,
  Range,
  Record,
  record,
  row,
)


@record
class Learning(Record):
  """Learning rate, batches and discount."""

  title = 'Learning'

  learning_rate: float | None = row(
    'learning rate of Adam; ppo: decays linearly to 0',
    RATE,
    dqn=ByNetwork(
      mlp=Value(1e-3, 'table 6'),
      images=Value(2.5e-4, 'table 4'),
      impala_resnet=Value(1e-4, 'table 5'),
    ),
    sac=Value(3e-4, 'table 8'),
    ppo=Value(3e-4, 'table 9; falls to 0 as in the code'),
  )
  batch_size: int | None = row(
    'batch size in transitions',
    Range(1, 10**6, 'a batch size from 1 to 1000000'),
    dqn=ByNetwork(mlp=Value(128, 'table 6'), images=Value(32, 'table 6')),
    sac=Value(256, 'table 8'),
    ppo=Value(64, 'table 9'),
  )
  gamma: float | None = row(
    'discount factor',
    Range(0, 1, 'a discount in [0, 1]'),
    dqn=Value(0.99, 'table 6'),
    sac=Value(0.99, 'table 8'),
    ppo=Value(0.99, 'table 9'),
  )


@record
class Replay(Record):
  """Replay buffer, target networks and training frequency."""

  reward_scale: float | None = row(
    'reward scale in the loss',
    Range(ABOVE_0, 1e9, 'a scale above 0'),
    dqn=Value(1.0, 'table 6'),
    sac=Value(0.1, 'code; not in table 8'),
  )
  target_update_period: int | None = row(
    'train steps between updates of the target networks',
    COUNT,
    dqn=ByNetwork(
      mlp=Value(100, 'table 6'), images=Value(2000, 'table 6: 8000 agent steps')
    ),
    sac=Value(1, 'table 8'),
  )
  target_update_tau: float | None = row(
    'tau of the soft target updates; 1 for hard updates',
    Range(ABOVE_0, 1, 'a tau in (0, 1]'),
    dqn=Value(1.0, 'table 6'),
    sac=Value(0.005, 'table 8'),
  )
  replay_capacity: int | None = row(
    'capacity of the replay buffer in transitions',
    Range(1, 10**9, 'a capacity from 1 to 1000000000'),
    dqn=ByNetwork(
      mlp=Value(100_000, 'table 6'), images=Value(1_000_000, 'table 6')
    ),
    sac=Value(1_000_000, 'table 8'),
  )
  initial_collect_env_steps: int | None = row(
    'env steps with random actions before training begins',
    COUNT,
    dqn=ByNetwork(mlp=Value(1000, 'table 6'), images=Value(20_000, 'table 6')),
    sac=Value(
      1000,
      'table 8; 1000 for environments that are not in it',
      envs={'HalfCheetah': 10_000, 'Ant': 10_000},
    ),
  )
  train_period: int | None = row(
    'env steps per train step',
    COUNT,
    dqn=ByNetwork(mlp=Value(1, 'table 6'), images=Value(4, 'table 6')),
    sac=Value(1, 'table 8'),
  )

  n_step: int = row(
    'n of the n-step returns',
    Range(1, 100, 'from 1 to 100 env steps'),
    default=1,
  )
  n_step_begin_env_step: int = row(
    'env step before which 1-step returns are used', STEPS, default=0
  )

  def check(self):
    """Checks that the replay buffer can fill a batch before training ends."""
    collected = self.initial_collect_env_steps
    n_step, num_envs = self.n_step, self.num_envs
    self.require(
      collected >= n_step * num_envs,
      'initial_collect_env_steps of at least n_step * num_envs',
      received=f'{collected}, {n_step} and {num_envs}',
    )
    self.require(
      self.initial_collect_env_steps < self.num_env_steps,
      'initial_collect_env_steps < num_env_steps, so that training begins',
      *('initial_collect_env_steps', 'num_env_steps'),
    )
