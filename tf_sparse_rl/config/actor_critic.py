"""Fields of agents with one actor and two critics: SAC and TD3."""

from tf_sparse_rl.config.presets import BySimba, Same, Value
from tf_sparse_rl.config.rows import BELOW_1, RATE, Range, Record, record, row

# They follow from actor_parameter_share, if it is given.
SOLVED_FIELDS = (
  *('actor_sparsity', 'critic_sparsity'),
  *('actor_width', 'critic_width'),
)
# Of simba, for SAC and TD3 alike.
ACTOR_UNITS = BySimba(Value((), 'code: as the critics'), Value((128,), 'SimBa'))
SCALES = BySimba(Value(False, 'ours: as in the paper'), Value(True, 'SimBa'))
OWN_RATE = Same('learning_rate', 'code: all three are 3e-4')


@record
class ActorCritic(Record):
  """Learning rates, observation normalization, division of parameters."""

  actor_hidden_units: tuple[int, ...] | None = row(
    'hidden_units of the actor, if they differ from those of the critics',
    sac=ACTOR_UNITS,
    td3=ACTOR_UNITS,
  )
  normalize_observations: bool | None = row(
    'normalize observations by their running mean and variance',
    sac=SCALES,
    td3=SCALES,
  )

  actor_parameter_share: float = row(
    'fraction of parameter_budget for the actor, the rest for the critics; '
    'sets their sparsities, or with method=dense their widths',
    Range(0, BELOW_1, 'a share in (0, 1), or 0 for none'),
    default=0.0,
  )
  parameter_budget: float = row(
    'active parameters of actor and critics, as a fraction of the parameters '
    'of dense networks of width 1',
    Range(0, 10, 'a share in (0, 10], or 0 for none'),
    default=0.0,
  )
  actor_learning_rate: float | None = row(
    'learning rate of the actor', RATE, sac=OWN_RATE
  )
  critic_learning_rate: float | None = row(
    'learning rate of the critics', RATE, sac=OWN_RATE
  )

  @property
  def solved_fields(self):
    """Names of the fields that follow from actor_parameter_share, if given."""
    return SOLVED_FIELDS if self.actor_parameter_share else ()

  @property
  def units_of_actor(self):
    """The actor's hidden_units."""
    return self.actor_hidden_units or self.hidden_units

  def check(self):
    """Checks units, and that a share comes with a budget."""
    units = self.units_of_actor
    self.require(
      all(1 <= n <= 10**6 for n in units)
      and (self.network != 'simba' or len({*units}) == 1),
      'actor_hidden_units from 1 to 1000000, of simba all the same',
      *('actor_hidden_units', 'network'),
    )
    self.require(
      not (self.actor_parameter_share or self.match_sparsity)
      or not (self.actor_hidden_units or self.layer_norm),
      'neither actor_hidden_units nor layer_norm where match_sparsity or '
      'actor_parameter_share sets the sizes of layers',
      *('actor_hidden_units', 'layer_norm'),
    )
    self.require(
      not (self.normalize_observations and self.is_convolutional),
      'normalize_observations with flat observations',
      *('normalize_observations', 'network'),
    )
    self.require(
      bool(self.actor_parameter_share) == bool(self.parameter_budget),
      'actor_parameter_share and parameter_budget together',
      received=f'{self.actor_parameter_share} and {self.parameter_budget}',
    )
