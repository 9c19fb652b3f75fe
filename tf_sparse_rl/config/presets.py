"""Rules of presets, each with its source.

"Table n" are the tables of the paper's appendix; "code" is its released code.
Where they differ, presets follow the code, with which the paper's results were
obtained, and the source says so.
"""

from typing import Any

from tf_sparse_rl.config import env_names
from tf_sparse_rl.config.rows import record

# Rules depend on each other. FIRST are those that others depend on, LAST those
# that depend on the length of the run; in between a row comes after the rows
# that its rule reads.
FIRST, THEN, LAST = range(3)
# Fields that rules compute with; they are checked before.
READ = (
  *('num_env_steps', 'train_period', 'initial_collect_env_steps'),
  *('rollout_env_steps', 'num_epochs', 'batch_size'),
)


class Rule:
  """Computes the value of a field."""

  turn = THEN

  def resolve(self, config):
    """Computes the value for a Config with the fields that the rule reads."""


@record
class Value(Rule):
  """A value and its source, with exceptions by method or environment."""

  value: Any
  source: str
  methods: dict | None = None  # {method: value}
  envs: dict | None = None  # {name without '-v5': value}

  def resolve(self, config):
    if self.envs:
      return self.envs.get(config.env_name.partition('-')[0], self.value)
    return (self.methods or {}).get(config.method, self.value)


@record
class ByFamily(Rule):
  """A value that differs for Atari games."""

  value: Any
  atari: Any
  source: str

  turn = FIRST

  def resolve(self, config):
    is_atari = env_names.is_atari(config.env_name)
    return self.atari if is_atari else self.value


@record
class ByNetwork(Rule):
  """A rule for each of DQN's networks; custom ones go by environment."""

  mlp: Any
  images: Any
  impala_resnet: Any = None  # None: as other networks for images

  @property
  def turn(self):
    """The place of its rules in the order of computation."""
    return self.mlp.turn

  def resolve(self, config):
    is_mlp = config.network in ('mlp', 'simba')
    if ':' in (config.network or ''):  # Custom.
      is_mlp = not env_names.is_atari(config.env_name)
    rule = self.mlp if is_mlp else self.images
    if config.network == 'impala_resnet' and self.impala_resnet:
      rule = self.impala_resnet
    return rule.resolve(config)


@record
class BySimba(Rule):
  """A rule for all networks but simba, and one for that."""

  others: Any
  simba: Any

  def resolve(self, config):
    rule = self.simba if config.network == 'simba' else self.others
    return rule.resolve(config)


@record
class Unless(Rule):
  """A value that is 0 if another field, of a later row, is given."""

  value: Any
  field: str
  source: str

  def resolve(self, config):
    return self.value if getattr(config, self.field) is None else 0


@record
class Same(Rule):
  """The value of another field."""

  field: str
  source: str

  def resolve(self, config):
    return getattr(config, self.field)


@record
class Share(Rule):
  """A train step, as a fraction of num_env_steps / train_period."""

  share: float
  source: str

  turn = LAST

  def resolve(self, config):
    # At most the last train step, counted from 0, since short runs have fewer
    # because of the initial collection.
    step = round(self.share * (config.num_env_steps // config.train_period))
    return min(step, max(1, config.num_train_steps - 1))


@record
class ShareOfTraining(Rule):
  """A train step, as a fraction of the train steps of the run."""

  share: float
  source: str

  turn = LAST

  def resolve(self, config):
    return max(1, round(self.share * config.num_train_steps))
