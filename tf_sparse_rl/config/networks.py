"""Fields of networks: their sizes and weight decay."""

from tf_sparse_rl.config.presets import (
  ByFamily,
  ByNetwork,
  BySimba,
  Same,
  Value,
)
from tf_sparse_rl.config.rows import (
  SPARSITY,
  WIDTH,
  OneOf,
  Range,
  Record,
  record,
  row,
)

IMAGE_NETWORKS = ('nature_cnn', 'impala_resnet')
NETWORKS = ('mlp', 'simba', *IMAGE_NETWORKS)
SIMBA_AGENTS = ('sac', 'td3')
_MLP = ByFamily('mlp', 'nature_cnn', 'table 8, table 9; ours on images')

# Lee et al. 2024 (arXiv 2410.09754) with the settings of its code.
_SIMBA = 'SimBa'
SIMBA_UNITS = Value((512, 512), _SIMBA)
OWN_SPARSITY = Same('sparsity', 'section 3: each network by itself')
OWN_WIDTH = Same('width', 'code: one width unless two are given')


@record
class Network(Record):
  """Kinds and sizes of networks.

  The networks are those of tables 6, 8 and 9 (mlp), 4 (nature_cnn) and 5
  (impala_resnet, whose other values are those of table 4).
  """

  title = 'Networks'

  network: str | None = row(
    f'one of: {", ".join(NETWORKS)} (the last two for images, simba for sac '
    'and td3), or module:function, which makes custom hidden layers',
    OneOf(NETWORKS, own='my_module:my_layers'),
    dqn=ByFamily('mlp', 'nature_cnn', 'ours: of the two on Atari the smaller'),
    sac=_MLP,
    ppo=_MLP,
  )
  hidden_units: tuple[int, ...] | None = row(
    'units of each hidden Dense layer; simba: of each residual block',
    dqn=ByNetwork(
      mlp=Value((512, 512), 'table 6'), images=Value((512,), 'table 7')
    ),
    sac=BySimba(Value((256, 256), 'table 8'), SIMBA_UNITS),
    ppo=Value((64, 64), 'table 9'),
  )
  layer_norm: bool = row(
    'network=mlp: LayerNorm before the activation of each hidden layer',
    default=False,
  )
  width: float = row(
    'width multiplier of hidden units and convolution channels',
    WIDTH,
    default=1.0,
  )
  match_sparsity: float = row(
    'with method=dense: choose the width so that the network has as many '
    'parameters as a sparse one of this sparsity',
    SPARSITY,
    default=0.0,
  )
  weight_decay: float | None = row(
    'L2 regularization, added to the loss as weight_decay * sum(w^2)',
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

  @property
  def is_mlp(self):
    """Whether the hidden layers are the built-in MLP."""
    return self.network == 'mlp'

  @property
  def is_convolutional(self):
    """Whether the network is one of ours for images."""
    return self.network in IMAGE_NETWORKS

  @property
  def has_own_network(self):
    """Whether a custom function makes the hidden layers."""
    return ':' in self.network

  def check_observation(self, env_spec):
    """Refuses a network that does not fit the observations of an EnvSpec."""
    shape = env_spec.observation_shape
    has_critic = 'critic' in self.network_sparsities
    if self.has_own_network and has_critic and shape:
      raise ValueError(
        'Expected network=nature_cnn or impala_resnet with images and '
        f'agent={self.agent}, whose critics take an image and an action. '
        f'Received: network={self.network}, observations of shape '
        f'{list(shape)} from {env_spec.name}.'
      )
    if self.has_own_network or self.is_convolutional == bool(shape):
      return
    flat = 'mlp or simba' if self.agent in SIMBA_AGENTS else 'mlp'
    shape = list(shape) or [env_spec.observation_size]
    raise ValueError(
      f'Expected network={flat} with flat observations, and '
      f'{" or ".join(IMAGE_NETWORKS)} with images. Received: '
      f'network={self.network}, observations of shape {shape} from '
      f'{env_spec.name}.'
    )

  def check(self):
    """Checks the sizes of layers and the fields that set them."""
    self.require(
      not (self.match_sparsity or self.actor_parameter_share)
      or (not self.has_own_network if self.agent == 'dqn' else self.is_mlp),
      'a built-in network, and network=mlp with agent=sac or ppo, where '
      'match_sparsity or actor_parameter_share sets the sizes of its layers',
      *('network', 'match_sparsity', 'actor_parameter_share'),
    )
    self.require(
      self.network != 'simba' or self.agent in SIMBA_AGENTS,
      'network=simba with agent=sac or td3, which scale observations for it',
      *('network', 'agent'),
    )
    self.require(
      self.network != 'simba' or len({*self.hidden_units}) == 1,
      'the same units in each residual block of network=simba, as in 512,512',
      'hidden_units',
    )
    self.require(
      not self.layer_norm or self.is_mlp,
      'layer_norm with network=mlp; simba has it',
      *('layer_norm', 'network'),
    )
    self.require(
      self.hidden_units and all(1 <= n <= 10**6 for n in self.hidden_units),
      'hidden_units from 1 to 1000000, as in 512,512',
      'hidden_units',
    )
    if not self.match_sparsity:
      return
    self.require(
      self.method == 'dense',
      'method=dense with match_sparsity, which makes a dense network with as '
      'many parameters as a sparse one',
      received=f'method={self.method!r}',
    )
    widths = {self.actor_width, self.critic_width, self.value_width}
    self.require(
      not self.actor_parameter_share and widths <= {None, self.width},
      'match_sparsity without actor_parameter_share or widths of single '
      'networks: it sets all widths',
      *('actor_parameter_share', 'actor_width', 'critic_width', 'value_width'),
    )


@record
class Actor(Record):
  """Size of the actor."""

  actor_sparsity: float | None = row(
    'sparsity of the actor; 0 for dense',
    SPARSITY,
    sac=OWN_SPARSITY,
    ppo=OWN_SPARSITY,
  )
  actor_width: float | None = row(
    'width multiplier of the actor', WIDTH, sac=OWN_WIDTH, ppo=OWN_WIDTH
  )


@record
class Critic(Record):
  """Size of each critic."""

  critic_sparsity: float | None = row(
    'sparsity of each critic; 0 for dense', SPARSITY, sac=OWN_SPARSITY
  )
  critic_width: float | None = row(
    'width multiplier of each critic', WIDTH, sac=OWN_WIDTH
  )
