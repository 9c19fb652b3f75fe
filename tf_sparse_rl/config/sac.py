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
