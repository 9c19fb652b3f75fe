"""Fields of every run: agent, environment, method, length."""

from tf_sparse_rl import methods
from tf_sparse_rl.config import agents
from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import COUNT, OneOf, Range, Record, record, row

_CHEETAH = Value('HalfCheetah-v5', 'ours: the first thing to try')


@record
class Run(Record):
  """The agent, its environment, the method and the length of the run."""

  agent: str = row(
    f'one of: {", ".join(agents.AGENTS)}',
    OneOf(tuple(agents.AGENTS)),
    default='dqn',
  )
  env_name: str | None = row(
    'id of a Gymnasium environment',
    dqn=ByNetwork(
      mlp=Value('CartPole-v1', 'ours: the first thing to try'),
      images=Value('Pong', 'ours: the first thing to try'),
    ),
    sac=_CHEETAH,
    ppo=_CHEETAH,
  )
  method: str = row(
    f'one of: {", ".join(methods.METHODS)}',
    OneOf(tuple(methods.METHODS)),
    default='rigl',
  )
  seed: int = row(
    'seed of everything random in the run',
    Range(0, 2**31 - 1, 'a seed from 0 to 2147483647'),
    default=0,
  )
  num_env_steps: int | None = row(
    'env steps, initial collection included',
    COUNT,
    dqn=ByNetwork(
      mlp=Value(100_000, 'code: 100,000 iterations'),
      # An env step is one of the agent, of four frames.
      images=Value(10_000_000, 'code: 40 times 250,000 agent steps'),
    ),
    sac=Value(1_000_000, 'code: 1,000,000 iterations'),
    ppo=Value(1_001_472, 'code: 489 rollouts'),
  )
  num_envs: int = row(
    'parallel environments; each step of one counts as an env step',
    Range(1, 10_000, 'from 1 to 10000 environments'),
    default=1,
  )

  def check(self):
    """Checks that all environments take equally many env steps."""
    self.require(
      self.num_env_steps % self.num_envs == 0,
      'num_env_steps as a multiple of num_envs',
      *('num_env_steps', 'num_envs'),
    )
