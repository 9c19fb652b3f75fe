"""Rules by which a preset gives a field its value, each with its source.

"Table n" are the tables of the paper's appendix; "code" is its released code.
Where the two differ, the code's value stands, for that is what was run; the
source says so.
"""

from typing import Any

from tf_sparse_rl.config import env_names
from tf_sparse_rl.config.rows import record

# Rules read values that other rules have filled in. FIRST come those that the
# others depend on, LAST those that need the length of the run; between them
# a row stands after the rows that its rule reads.
FIRST, THEN, LAST = range(3)
# Fields that rules compute with: checked before, so that they can.
READ = (
  *('num_env_steps', 'train_period', 'initial_collect_env_steps'),
  *('rollout_env_steps', 'num_epochs', 'batch_size'),
)


class Rule:
  """Gives a field its value."""

  turn = THEN

  def resolve(self, config):
    """The value in a Config that has those that the rule reads."""


@record
class Value(Rule):
  """A value and its source; it may differ for some methods or environments."""

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
  """A value that differs for games of Atari."""

  value: Any
  atari: Any
  source: str

  turn = FIRST

  def resolve(self, config):
    is_atari = env_names.is_atari(config.env_name)
    return self.atari if is_atari else self.value


@record
class ByNetwork(Rule):
  """A rule for each of DQN's networks; of your own, by the environment."""

  mlp: Any
  images: Any
  impala_resnet: Any = None  # None: as other networks for images

  @property
  def turn(self):
    """That of its rules."""
    return self.mlp.turn

  def resolve(self, config):
    is_mlp = config.network in ('mlp', 'simba')
    if ':' in (config.network or ''):  # Of the user's own.
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
  """A value that is 0 where another field, of a row below, is given."""

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
  """A train step, as a share of the env steps of the run over train_period."""

  share: float
  source: str

  turn = LAST

  def resolve(self, config):
    # A short run ends before, for its initial collection is not trained on:
    # at its last train step then, which is counted from 0.
    step = round(self.share * (config.num_env_steps // config.train_period))
    return min(step, max(1, config.num_train_steps - 1))


@record
class ShareOfTraining(Rule):
  """A train step, as a share of the run's train steps."""

  share: float
  source: str

  turn = LAST

  def resolve(self, config):
    return max(1, round(self.share * config.num_train_steps))
