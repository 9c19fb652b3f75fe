"""Fields of learning that every agent has."""

import dataclasses

from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import RATE, Range, Record, row


@dataclasses.dataclass(frozen=True)
class Learning(Record):
  """Learning rate, batches and discount."""

  learning_rate: float | None = row(
    'learning rate of Adam; ppo: falls to 0 by the end of the run',
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
    'transitions of a batch',
    Range(1, 10**6, 'a batch size from 1 to 1000000'),
    dqn=ByNetwork(mlp=Value(128, 'table 6'), images=Value(32, 'table 6')),
    sac=Value(256, 'table 8'),
    ppo=Value(64, 'table 9'),
  )
  gamma: float | None = row(
    'discount of future rewards',
    Range(0, 1, 'a discount in [0, 1]'),
    dqn=Value(0.99, 'table 6'),
    sac=Value(0.99, 'table 8'),
    ppo=Value(0.99, 'table 9'),
  )
