"""Fields of agents with one actor and two critics: SAC and TD3."""

from tf_sparse_rl.config.presets import Same
from tf_sparse_rl.config.rows import BELOW_1, RATE, Range, Record, record, row

# They follow from actor_parameter_share, if it is given.
SOLVED_FIELDS = (
  *('actor_sparsity', 'critic_sparsity'),
  *('actor_width', 'critic_width'),
)
OWN_RATE = Same('learning_rate', 'code: all three are 3e-4')


@record
class ActorCritic(Record):
  """Learning rates, and the division of parameters between the networks."""

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

  def check(self):
    """Checks that a share comes with a budget."""
    self.require(
      bool(self.actor_parameter_share) == bool(self.parameter_budget),
      'actor_parameter_share and parameter_budget together',
      received=f'{self.actor_parameter_share} and {self.parameter_budget}',
    )
