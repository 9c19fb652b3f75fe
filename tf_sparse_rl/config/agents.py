"""The agents, one row each: actions, networks and records of fields."""

from typing import NamedTuple

from tf_sparse_rl.config.actor_critic import ActorCritic
from tf_sparse_rl.config.adaptive import Adaptive
from tf_sparse_rl.config.dqn import Dqn
from tf_sparse_rl.config.dynamic_replay import DynamicReplay
from tf_sparse_rl.config.learning import Replay
from tf_sparse_rl.config.networks import Actor, Critic
from tf_sparse_rl.config.ppo import Ppo
from tf_sparse_rl.config.prioritized import Prioritized
from tf_sparse_rl.config.sac import Sac
from tf_sparse_rl.config.td3 import Td3


class Agent(NamedTuple):
  """An agent."""

  action_spaces: tuple[str, ...]  # supported Gymnasium spaces
  networks: tuple[str, ...]  # prefixes in custom_sparsity
  records: tuple[type, ...]  # of fields, besides those of every agent


_ACTOR_CRITIC = Replay, DynamicReplay, Actor, Critic, ActorCritic

AGENTS = {
  'dqn': Agent(
    ('Discrete',), ('q_network',), (Replay, Dqn, Prioritized, Adaptive)
  ),
  'sac': Agent(('Box',), ('actor', 'critic'), (*_ACTOR_CRITIC, Sac, Adaptive)),
  'td3': Agent(('Box',), ('actor', 'critic'), (*_ACTOR_CRITIC, Td3)),
  'ppo': Agent(
    ('Box', 'Discrete', 'MultiDiscrete', 'MultiBinary'),
    ('actor', 'value'),
    (Actor, Ppo),
  ),
}
# Records of some agents only.
RECORDS = tuple(
  dict.fromkeys(record for row in AGENTS.values() for record in row.records)
)
