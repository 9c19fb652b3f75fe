"""Fields of SAC alone."""

from tf_sparse_rl.config.actor_critic import OWN_RATE
from tf_sparse_rl.config.presets import Value
from tf_sparse_rl.config.rows import Range, Record, record, row


@record
class Sac(Record):
  """The temperature."""

  alpha_learning_rate: float | None = row(
    'learning rate of the temperature alpha; 0 for a fixed temperature',
    Range(0, 1e6, 'a learning rate of at least 0'),
    sac=OWN_RATE,
  )
  initial_log_alpha: float | None = row(
    'initial value of log(alpha)',
    Range(-20, 20, 'a logarithm from -20 to 20'),
    sac=Value(0.0, 'code'),
  )
  target_entropy_per_action: float | None = row(
    'target entropy per action dimension, in nats',
    Range(-100, 100, 'an entropy from -100 to 100'),
    sac=Value(-0.5, 'code'),
  )
  n_step_without_entropy: bool = row(
    'with n_step above 1: leave the entropy bonus of the env steps between out '
    'of the return',
    default=False,
  )

  @property
  def num_between(self):
    """Observations in an n-step return whose entropy it has."""
    is_soft = self.agent == 'sac' and not self.n_step_without_entropy
    return self.n_step - 1 if is_soft else 0

  def check(self):
    """Checks that observations are flat: only these are kept in between."""
    self.require(
      not self.num_between
      or self.network not in ('nature_cnn', 'impala_resnet'),
      'n_step_without_entropy with n_step above 1 and images',
      *('n_step_without_entropy', 'n_step', 'network'),
    )
