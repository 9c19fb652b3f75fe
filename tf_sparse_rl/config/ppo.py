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
    'fraction of zeros of the value network; 0 is dense',
    SPARSITY,
    ppo=OWN_SPARSITY,
  )
  value_width: float | None = row(
    'width of the value network', WIDTH, ppo=OWN_WIDTH
  )
  rollout_env_steps: int | None = row(
    'env steps collected by one policy, then trained on',
    COUNT,
    ppo=Value(2048, 'table 9'),
  )
  num_epochs: int | None = row(
    'passes over the env steps of a rollout', COUNT, ppo=Value(10, 'table 9')
  )
  gae_lambda: float | None = row(
    'lambda of the generalized advantage estimation',
    Range(0, 1, 'a lambda in [0, 1]'),
    ppo=Value(0.95, 'table 9'),
  )
  clip_ratio: float | None = row(
    'how far from 1 the ratio of probabilities counts',
    Range(ABOVE_0, 1e6, 'a clip ratio above 0'),
    ppo=Value(0.2, 'table 9'),
  )
  value_loss_weight: float | None = row(
    'weight of the squared error of the value network',
    WEIGHT,
    ppo=Value(0.5, 'table 9'),
  )
  entropy_weight: float | None = row(
    'weight of the entropy of the policy in nats',
    WEIGHT,
    ppo=Value(0.0, 'table 9'),
  )
  max_gradient_norm: float | None = row(
    'norm to which masked gradients are clipped; 0 clips nothing',
    Range(0, 1e6, 'a norm of at least 0'),
    ppo=Value(0.5, 'table 9'),
  )

  def check(self):
    """Checks that rollouts fit into the run, and batches into rollouts."""
    steps = self.rollout_env_steps
    self.require(
      steps <= self.num_env_steps,
      'at least one rollout, or nothing is learned',
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
