"""Fields of the prioritized replay of DQN."""

from tf_sparse_rl.config.rows import PROBABILITY, Range, Record, record, row


@record
class Prioritized(Record):
  """A replay buffer from which transitions of a high loss are drawn more often.

  Reference: Schaul et al. 2016 (arXiv 1511.05952), as in Dopamine's Rainbow.
  """

  priority_exponent: float = row(
    'prioritized replay: a transition is drawn with a probability proportional '
    "to its loss to this power; 0.5 is Rainbow's. 0 for uniform replay",
    Range(0, 10, 'an exponent in [0, 10]'),
    default=0.0,
  )
  importance_exponent: float = row(
    'priority_exponent above 0: losses are weighted by probability to minus '
    'this power, relative to the highest weight of a batch',
    PROBABILITY,
    default=0.5,
  )

  def check(self):
    """Checks that there is one device: losses come back from that."""
    self.require(
      not (self.priority_exponent and (self.num_gpus > 1 or self.tpu)),
      'priority_exponent on one device',
      *('priority_exponent', 'num_gpus', 'tpu'),
    )
