"""Config: all records of fields in one flat class."""

import dataclasses
import functools

from tf_sparse_rl import methods, names
from tf_sparse_rl.config import agents, rows
from tf_sparse_rl.config.agents import AGENTS
from tf_sparse_rl.config.evaluation import Evaluation
from tf_sparse_rl.config.learning import Learning, Replay
from tf_sparse_rl.config.machine import Machine
from tf_sparse_rl.config.networks import Network
from tf_sparse_rl.config.plasticity import Plasticity
from tf_sparse_rl.config.run import Run
from tf_sparse_rl.config.sparsity import Sparsity

# In the order of config.json.
RECORDS = (
  *(Run, Sparsity, Network, Learning),
  *agents.RECORDS,
  *(Plasticity, Evaluation, Machine),
)


# A dataclass has the fields of its last base first.
@dataclasses.dataclass(frozen=True)
class Config(*reversed(RECORDS)):
  """The config of a run. Fields that are None are filled in from presets.

  Fields of other agents keep their defaults.
  """

  @property
  def num_train_steps(self):
    """Train steps of the whole run."""
    if Replay not in AGENTS[self.agent].records:
      rollouts = self.num_env_steps // self.rollout_env_steps
      return rollouts * self.train_steps_of_training
    period = self.train_period
    untrained = self.initial_collect_env_steps // period
    return max(0, self.num_env_steps // period - untrained)

  @property
  def train_steps_of_training(self):
    """Train steps of one call of the agent's training."""
    if not self.rollout_env_steps:
      return 1
    return self.num_epochs * (self.rollout_env_steps // self.batch_size)

  @property
  def num_random_env_steps(self):
    """Env steps of the initial collection, with random actions."""
    return self.initial_collect_env_steps or 0

  @property
  def env_steps_between_training(self):
    """Env steps between two calls of the agent's training."""
    return self.rollout_env_steps or self.train_period

  def is_due(self, env_step, period):
    """Whether a multiple of a period lies in the last num_envs env steps."""
    return env_step % period < self.num_envs

  def num_trainings(self, env_step):
    """Number of calls of the agent's training that are due.

    They are due at multiples of the period in the last num_envs env steps,
    after the initial collection.
    """
    period = self.env_steps_between_training
    before = max(env_step - self.num_envs, self.num_random_env_steps)
    return max(0, env_step // period - before // period)

  @property
  def network_sparsities(self):
    """`{name of a network: sparsity}`; None where it is computed later."""
    return {
      name: getattr(self, f'{name}_sparsity', self.sparsity)
      for name in AGENTS[self.agent].networks
    }

  @property
  def label(self):
    """A short description of the run."""
    label = f'{self.agent} {self.env_name} {self.method}'
    if not methods.get(self.method).has_target:
      return label
    if self.actor_parameter_share:
      return (
        f'{label}, {100 * self.parameter_budget:.3g}% of the parameters, '
        f'{100 * self.actor_parameter_share:.3g}% of them for the actor'
      )
    different = dict.fromkeys(self.network_sparsities.values())
    return f'{label} {"/".join(f"{value:g}" for value in different)}'

  def check(self):
    """Checks a resolved config: each field by itself, then all together.

    Raises:
      ValueError: naming the field, the expected and the received value.
    """
    for field in fields():
      value = getattr(self, field.name)
      if self.agent not in field.agents:
        if value != field.default:
          raise ValueError(
            f'Expected {field.name} with agent={names.listed(field.agents)} '
            f'only. Received: {field.name}={value}, agent={self.agent}.'
          )
      elif value is not None or field.name not in self.solved_fields:
        field.check(value)
    # Masks last, since their schedule depends on the other fields.
    for record in sorted(RECORDS, key=lambda record: record is Sparsity):
      if self.agent in _agents(record):
        record.check(self)


def fields():
  """Returns the fields of Config in order, a tuple of `rows.Field`."""
  return _FIELDS


@functools.cache
def _agents(record):
  """Names of the agents that have a record."""
  if record not in agents.RECORDS:
    return tuple(AGENTS)
  return tuple(n for n, row in AGENTS.items() if record in row.records)


_FIELDS = tuple(
  field for record in RECORDS for field in rows.read(record, _agents(record))
)
