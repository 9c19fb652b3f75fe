"""Fields of DQN."""

from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import (
  ABOVE_0,
  PROBABILITY,
  STEPS,
  OneOf,
  Range,
  Record,
  record,
  row,
)

_TD_LOSSES = ('squared', 'huber')
_RETURN = Range(-1e9, 1e9, 'a return from -1e9 to 1e9')


@record
class Dqn(Record):
  """DQN, on vectors and on images."""

  adam_epsilon: float | None = row(
    "Adam's epsilon",
    Range(ABOVE_0, 1, 'a number in (0, 1]'),
    dqn=ByNetwork(
      mlp=Value(1e-7, "code: Keras' own"),
      images=Value(1e-8, "code: TensorFlow 1's own"),
      impala_resnet=Value(3.125e-4, 'code'),
    ),
  )
  td_loss: str | None = row(
    f'loss of the TD error, one of: {", ".join(_TD_LOSSES)}',
    OneOf(_TD_LOSSES),
    dqn=ByNetwork(mlp=Value('squared', 'code'), images=Value('huber', 'code')),
  )
  double_dqn: bool = row(
    'Double DQN: select the next action with the online network',
    default=False,
  )
  num_atoms: int = row(
    'C51: atoms of the distribution of the return; the loss is their cross '
    'entropy, whatever td_loss says. 1 for Q-values alone',
    Range(1, 10_000, 'from 1 to 10000 atoms'),
    default=1,
  )
  min_q_value: float = row(
    'num_atoms above 1: lowest atom', _RETURN, default=-10.0
  )
  max_q_value: float = row(
    'num_atoms above 1: highest atom', _RETURN, default=10.0
  )
  clip_rewards: bool | None = row(
    'clip rewards to [-1, 1] for training',
    dqn=ByNetwork(mlp=Value(False, 'code'), images=Value(True, 'code')),
  )
  epsilon: float | None = row(
    'epsilon of the epsilon-greedy collect policy',
    PROBABILITY,
    dqn=ByNetwork(
      mlp=Value(0.01, 'code: constant; table 6 says 0.1 at the end'),
      images=Value(0.01, 'table 6'),
    ),
  )
  epsilon_decay_env_steps: int | None = row(
    'env steps over which epsilon decays linearly from 1, after the initial '
    'collection; 0 for no decay',
    STEPS,
    dqn=ByNetwork(
      mlp=Value(0, 'code: constant; table 6 says 25,000'),
      images=Value(250_000, 'code; table 6 says 25,000'),
    ),
  )
  eval_epsilon: float | None = row(
    'epsilon of the epsilon-greedy evaluation policy',
    PROBABILITY,
    dqn=ByNetwork(
      mlp=Value(0.0, 'code: greedy; table 6 says 0.1'),
      images=Value(0.001, 'code'),
    ),
  )

  def check(self):
    """Checks that atoms of the return are apart."""
    self.require(
      self.num_atoms == 1 or self.min_q_value < self.max_q_value,
      'min_q_value < max_q_value',
      *('min_q_value', 'max_q_value'),
    )
