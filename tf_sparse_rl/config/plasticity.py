"""Fields of the controls for plasticity: recycled units, reset layers."""

from tf_sparse_rl.config.rows import COUNT, STEPS, WEIGHT, Record, record, row


@record
class Plasticity(Record):
  """Renewal of units and layers during training.

  Reference: Sokar et al. 2023 (arXiv 2302.12902) for ReDo; Nikishin et al. 2022
  (arXiv 2205.07802) for resets.
  """

  title = 'Plasticity'

  redo_period: int = row(
    'train steps between recyclings of dormant units (ReDo); 0 for none',
    STEPS,
    default=0,
  )
  redo_threshold: float = row(
    'score up to which a unit is dormant: its mean absolute activation over '
    'that of its layer',
    WEIGHT,
    default=0.1,
  )
  reset_period: int = row(
    'train steps between resets of the last layers of each network; 0 for none',
    STEPS,
    default=0,
  )
  reset_layers: int = row(
    'layers with a kernel that are reset, from the last on', COUNT, default=1
  )

  @property
  def renews(self):
    """Whether anything is made new."""
    return bool(self.redo_period or self.reset_period)

  def check(self):
    """Checks that what is made new is known, and is of one device."""
    self.require(
      not (self.redo_period and self.has_own_network),
      'redo_period with a network of our own, whose units are known',
      *('redo_period', 'network'),
    )
    self.require(
      not (self.renews and (self.num_gpus > 1 or self.tpu)),
      'redo_period or reset_period on one device',
      *('num_gpus', 'tpu'),
    )
    self.require(
      not (self.renews and self.method == 'adaptive'),
      'redo_period or reset_period with a method of one network each',
      *('redo_period', 'reset_period', 'method'),
    )
