"""Fields of agents that have an actor, or critics."""

import dataclasses

from tf_sparse_rl.config.presets import Same
from tf_sparse_rl.config.rows import SPARSITY, WIDTH, Record, row

OWN_SPARSITY = Same('sparsity', 'section 3: each network by itself')
OWN_WIDTH = Same('width', 'code: one width unless two are given')


@dataclasses.dataclass(frozen=True)
class Actor(Record):
  """The actor's size."""

  actor_sparsity: float | None = row(
    'fraction of zeros of the actor; 0 is dense',
    SPARSITY,
    sac=OWN_SPARSITY,
    ppo=OWN_SPARSITY,
  )
  actor_width: float | None = row(
    'width of the actor', WIDTH, sac=OWN_WIDTH, ppo=OWN_WIDTH
  )


@dataclasses.dataclass(frozen=True)
class Critic(Record):
  """The size of the critics, which are alike."""

  critic_sparsity: float | None = row(
    'fraction of zeros of each critic; 0 is dense', SPARSITY, sac=OWN_SPARSITY
  )
  critic_width: float | None = row('width of each critic', WIDTH, sac=OWN_WIDTH)
