"""Fields of every network: its size and weight decay."""

import dataclasses

from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import SPARSITY, WIDTH, Range, Record, row


@dataclasses.dataclass(frozen=True)
class Network(Record):
  """Sizes of networks."""

  hidden_units: tuple[int, ...] | None = row(
    'units of each hidden Dense layer',
    dqn=ByNetwork(
      mlp=Value((512, 512), 'table 6'), images=Value((512,), 'table 7')
    ),
    sac=Value((256, 256), 'table 8'),
    ppo=Value((64, 64), 'table 9'),
  )
  width: float = row(
    'multiplies hidden_units, and channels of convolutions', WIDTH, default=1.0
  )
  match_sparsity: float = row(
    'dense: width as large as this sparsity leaves', SPARSITY, default=0.0
  )
  weight_decay: float | None = row(
    'L2 in the loss: weight_decay * sum(w^2)',
    Range(0, 1e6, 'a weight decay of at least 0'),
    dqn=ByNetwork(
      mlp=Value(1e-6, 'table 1; hidden kernels only, as in the code'),
      images=Value(0.0, 'table 4'),
      impala_resnet=Value(
        5e-6, 'table 5: 1e-5, of which the code takes half; all kernels'
      ),
    ),
    sac=Value(
      1e-4,
      'table 2; all kernels, halved for the critics with their loss, as in the '
      'code',
      methods={'rigl': 1e-6},
    ),
    ppo=Value(
      1e-6, 'table 3; all kernels', methods={'static': 0.0, 'rigl': 1e-4}
    ),
  )

  def check(self):
    """Sizes, and fields that set them for others. See base class."""
    if not self.hidden_units or not all(
      1 <= units <= 10**6 for units in self.hidden_units
    ):
      raise ValueError(
        'Expected hidden_units from 1 to 1000000, as in 512,512. '
        f'Received: hidden_units={self.hidden_units}.'
      )
    if not self.match_sparsity:
      return
    if self.method != 'dense':
      raise ValueError(
        'Expected method=dense with match_sparsity: it makes a dense network '
        f'as small as a sparse one. Received: method={self.method!r}.'
      )
    widths = {self.actor_width, self.critic_width, self.value_width}
    if self.actor_parameter_share or not widths <= {None, self.width}:
      raise ValueError(
        'Expected match_sparsity without actor_parameter_share or widths of '
        'single networks: it sets all widths. Received: '
        f'actor_parameter_share={self.actor_parameter_share}, '
        f'actor_width={self.actor_width}, critic_width={self.critic_width}, '
        f'value_width={self.value_width}.'
      )
