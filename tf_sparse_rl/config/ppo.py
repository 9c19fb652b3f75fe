"""Fields of PPO alone."""

from tf_sparse_rl.config.networks import OWN_SPARSITY, OWN_WIDTH
from tf_sparse_rl.config.presets import Value
from tf_sparse_rl.config.rows import (
  ABOVE_0,
  COUNT,
  SPARSITY,
  WEIGHT,
  WIDTH,
  Range,
  Record,
  record,
  row,
)


@record
class Ppo(Record):
  """A value network, rollouts, and several epochs over each."""

  value_sparsity: float | None = row(
    'sparsity of the value network; 0 for dense',
    SPARSITY,
    ppo=OWN_SPARSITY,
  )
  value_width: float | None = row(
    'width multiplier of the value network', WIDTH, ppo=OWN_WIDTH
  )
  rollout_env_steps: int | None = row(
    'env steps of a rollout, summed over the parallel environments',
    COUNT,
    ppo=Value(2048, 'table 9'),
  )
  num_epochs: int | None = row(
    'epochs of optimization over each rollout', COUNT, ppo=Value(10, 'table 9')
  )
  gae_lambda: float | None = row(
    'lambda of generalized advantage estimation (GAE)',
    Range(0, 1, 'a lambda in [0, 1]'),
    ppo=Value(0.95, 'table 9'),
  )
  clip_ratio: float | None = row(
    'PPO clipping parameter',
    Range(ABOVE_0, 1e6, 'a clip ratio above 0'),
    ppo=Value(0.2, 'table 9'),
  )
  value_loss_weight: float | None = row(
    'weight of the value loss',
    WEIGHT,
    ppo=Value(0.5, 'table 9'),
  )
  entropy_weight: float | None = row(
    'weight of the entropy bonus',
    WEIGHT,
    ppo=Value(0.0, 'table 9'),
  )
  max_gradient_norm: float | None = row(
    'maximum global norm of the masked gradients; 0 for no clipping',
    Range(0, 1e6, 'a norm of at least 0'),
    ppo=Value(0.5, 'table 9'),
  )
  learning_rate_turns: tuple[int, ...] = row(
    'set when a run is extended: pairs of an env step and the previous '
    'num_env_steps; from there the learning rate decays to 0 at the new end',
    default=(),
  )

  def check(self):
    """Checks that rollouts fit into the run, and batches into rollouts."""
    steps = self.rollout_env_steps
    self.require(
      steps <= self.num_env_steps,
      'rollout_env_steps <= num_env_steps, so that training begins',
      *('rollout_env_steps', 'num_env_steps'),
    )
    self.require(
      steps % self.num_envs == 0,
      'rollout_env_steps as a multiple of num_envs',
      *('rollout_env_steps', 'num_envs'),
    )
    self.require(
      steps % self.batch_size == 0 and self.batch_size > 1,
      'a batch_size of at least 2 that divides rollout_env_steps: advantages '
      'are normalised in each batch',
      *('batch_size', 'rollout_env_steps'),
    )
    turns = self.learning_rate_turns
    where, lengths = turns[::2], turns[1::2]
    ends = (*lengths, self.num_env_steps)
    self.require(
      len(where) == len(lengths)
      and list(where) == sorted(where)
      and list(ends) == sorted(ends)
      and all(0 < env_step <= end for env_step, end in zip(where, lengths)),
      'learning_rate_turns as pairs of an env step and the length of the run '
      'until then, in order, as in 4096,4096 for a run of 8192',
      *('learning_rate_turns', 'num_env_steps'),
    )
