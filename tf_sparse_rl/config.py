"""The configuration of one run: every field, its type, default and unit."""

import dataclasses
import json
import math
import typing

from tf_sparse_rl import diagnoses, names

AGENTS = ('dqn', 'sac', 'ppo')
# Gymnasium's kinds of actions that an agent takes.
ACTION_SPACES = {
  'dqn': ('Discrete',),
  'sac': ('Box',),
  'ppo': ('Box', 'Discrete'),
}
METHODS = ('dense', 'static', 'set', 'rigl', 'prune')
DISTRIBUTIONS = ('uniform', 'er', 'erk')
# What can be looked at while a run trains.
DIAGNOSTICS = tuple(diagnoses.KINDS)
# The paper's.
ATARI_GAMES = (
  'Assault',
  'Asterix',
  'BeamRider',
  'Boxing',
  'Breakout',
  'CrazyClimber',
  'DemonAttack',
  'Enduro',
  'FishingDerby',
  'MsPacman',
  'Pong',
  'Qbert',
  'SpaceInvaders',
  'Tutankham',
  'VideoPinball',
)
NETWORKS = ('mlp', 'nature_cnn', 'impala_resnet')
TD_LOSSES = ('squared', 'huber')
BACKENDS = ('auto', 'masked', 'native')
PRECISIONS = ('float32', 'mixed_bfloat16')
TPUS = ('', 'local')


def _field(default, meaning, agents=AGENTS):
  """A field with its default, its meaning, unit included, and its agents."""
  return dataclasses.field(
    default=default, metadata={'meaning': meaning, 'agents': agents}
  )


_DQN, _SAC, _PPO = ('dqn',), ('sac',), ('ppo',)
_REPLAY = ('dqn', 'sac')  # They learn from a replay,
_ACTOR = ('sac', 'ppo')  # and these have an actor beside what values.


@dataclasses.dataclass(frozen=True)
class Config:
  """One run. A field that is None when given is filled in by its preset.

  A field that the agent does not have stays at its default.
  """

  # What is trained.
  agent: str = _field('dqn', f'one of: {", ".join(AGENTS)}')
  env_name: str | None = _field(None, 'id of a Gymnasium environment')
  method: str = _field('rigl', f'one of: {", ".join(METHODS)}')
  seed: int = _field(0, 'seed of everything random in the run')
  num_env_steps: int | None = _field(
    None, 'env steps, initial collection included'
  )
  num_envs: int = _field(
    1, 'environments that collect side by side; an env step is one of one'
  )

  # Sparsity.
  sparsity: float = _field(0.9, 'fraction of zeros of each network, in [0, 1)')
  distribution: str = _field('erk', f'one of: {", ".join(DISTRIBUTIONS)}')
  actor_sparsity: float | None = _field(
    None, 'fraction of zeros of the actor; 0 is dense', _ACTOR
  )
  critic_sparsity: float | None = _field(
    None, 'fraction of zeros of each critic; 0 is dense', _SAC
  )
  value_sparsity: float | None = _field(
    None, 'fraction of zeros of the value network; 0 is dense', _PPO
  )
  actor_parameter_share: float = _field(
    0.0,
    'share of parameter_budget for the actor, the rest for both critics; '
    'sets their sparsities, or widths if dense',
    _SAC,
  )
  parameter_budget: float = _field(
    0.0,
    'active parameters of actor and critics, as a share of those of the '
    'dense ones at width 1',
    _SAC,
  )
  erk_power: float = _field(1.0, 'exponent of the erk distribution')
  custom_sparsity: str = _field(
    '',
    "layers kept as given: 'hidden_0=0.5,output=0', or of one network: "
    "'actor/output=0'",
  )
  block_shape: tuple[int, ...] = _field(
    (),
    'inputs and units of the blocks that are dropped and grown as one, as in '
    '4,1',
  )
  n_of_m: tuple[int, ...] = _field(
    (), 'active of so many consecutive inputs of a unit, as in 2,4'
  )
  sparsity_aware_init: bool | None = _field(
    None, 'scale initial weights up to the fan-in that is left'
  )
  drop_fraction: float | None = _field(
    None, 'share of the connections replaced at the first mask update'
  )
  mask_update_period: int | None = _field(
    None, 'train steps between mask updates'
  )
  mask_update_end_train_step: int | None = _field(
    None, 'train step of the last mask update'
  )
  prune_begin_train_step: int | None = _field(
    None, 'train step at which pruning starts'
  )
  prune_end_train_step: int | None = _field(
    None, 'train step at which pruning meets the sparsity'
  )

  # Networks.
  network: str | None = _field(
    None,
    f'one of: {", ".join(NETWORKS)}; the last two are for images',
    _DQN,
  )
  hidden_units: tuple[int, ...] | None = _field(
    None, 'units of each hidden Dense layer'
  )
  width: float = _field(
    1.0, 'multiplies hidden_units, and channels of convolutions'
  )
  actor_width: float | None = _field(None, 'width of the actor', _ACTOR)
  critic_width: float | None = _field(None, 'width of each critic', _SAC)
  value_width: float | None = _field(None, 'width of the value network', _PPO)
  match_sparsity: float = _field(
    0.0, 'dense: width as large as this sparsity leaves'
  )
  weight_decay: float | None = _field(
    None, 'L2 in the loss: weight_decay * sum(w^2)'
  )

  # Learning.
  learning_rate: float | None = _field(
    None, 'learning rate of Adam; ppo: falls to 0 by the end of the run'
  )
  adam_epsilon: float | None = _field(
    None, 'what Adam adds to the root of the second moment', _DQN
  )
  actor_learning_rate: float | None = _field(
    None, 'learning rate of the actor', _SAC
  )
  critic_learning_rate: float | None = _field(
    None, 'learning rate of the critics', _SAC
  )
  alpha_learning_rate: float | None = _field(
    None, 'learning rate of the temperature; 0 keeps it', _SAC
  )
  initial_log_alpha: float | None = _field(
    None, 'logarithm of the temperature at the start', _SAC
  )
  target_entropy_per_action: float | None = _field(
    None,
    'target entropy of the policy in nats, for each entry of an action',
    _SAC,
  )
  batch_size: int | None = _field(None, 'transitions of a batch')
  gamma: float | None = _field(None, 'discount of future rewards')
  reward_scale: float | None = _field(
    None, 'multiplies rewards in the loss', _REPLAY
  )
  td_loss: str | None = _field(
    None,
    f'of the temporal-difference error, one of: {", ".join(TD_LOSSES)}',
    _DQN,
  )
  double_dqn: bool = _field(
    False, 'the online network picks the action that the target values', _DQN
  )
  n_step: int = _field(
    1, 'env steps whose rewards are summed before a value', _DQN
  )
  clip_rewards: bool | None = _field(
    None, 'train on rewards cut off at -1 and 1', _DQN
  )
  epsilon: float | None = _field(
    None, 'share of random actions in collection', _DQN
  )
  epsilon_decay_env_steps: int | None = _field(
    None,
    'env steps after the initial collection in which epsilon falls from 1; '
    '0 for at once',
    _DQN,
  )
  target_update_period: int | None = _field(
    None, 'train steps between target updates', _REPLAY
  )
  target_update_tau: float | None = _field(
    None,
    'share of the online weights that the target takes over; 1 copies',
    _REPLAY,
  )
  replay_capacity: int | None = _field(
    None, 'transitions that the replay holds', _REPLAY
  )
  initial_collect_env_steps: int | None = _field(
    None, 'env steps at random before training', _REPLAY
  )
  train_period: int | None = _field(
    None, 'env steps for each train step', _REPLAY
  )
  rollout_env_steps: int | None = _field(
    None, 'env steps collected by one policy, then trained on', _PPO
  )
  num_epochs: int | None = _field(
    None, 'passes over the env steps of a rollout', _PPO
  )
  gae_lambda: float | None = _field(
    None, 'lambda of the generalized advantage estimation', _PPO
  )
  clip_ratio: float | None = _field(
    None, 'how far from 1 the ratio of probabilities counts', _PPO
  )
  value_loss_weight: float | None = _field(
    None, 'weight of the squared error of the value network', _PPO
  )
  entropy_weight: float | None = _field(
    None, 'weight of the entropy of the policy in nats', _PPO
  )
  max_gradient_norm: float | None = _field(
    None, 'norm to which masked gradients are clipped; 0 clips nothing', _PPO
  )

  # Evaluation and logging.
  eval_epsilon: float | None = _field(
    None, 'share of random actions in evaluations', _DQN
  )
  eval_period: int | None = _field(None, 'env steps between evaluations')
  num_eval_env_steps: int | None = _field(
    None,
    'env steps of one evaluation: episodes begin until so many were taken; 0 '
    'for num_eval_episodes alone',
  )
  num_eval_episodes: int | None = _field(
    None, 'episodes of one evaluation, played side by side, at least'
  )
  checkpoint_period: int = _field(
    10_000, 'env steps from one checkpoint to the next'
  )
  summary_period: int = _field(
    500, 'env steps from one TensorBoard point to the next'
  )
  mask_images: bool = _field(False, 'write masks as images to TensorBoard')
  diagnostics: str = _field(
    '', f'what to look into, of: {", ".join(DIAGNOSTICS)}'
  )
  diagnostics_period: int = _field(
    5000, 'env steps from one diagnosis to the next; ppo: of whole rollouts'
  )

  # Machine. On a CPU, two single-threaded operations at a time were fastest.
  intra_op_threads: int = _field(
    1, 'threads of one operation; 0 leaves it open'
  )
  inter_op_threads: int = _field(2, 'operations at a time; 0 leaves it open')
  jit_compile: bool = _field(False, 'compile the train step with XLA')
  precision: str = _field(
    'float32',
    f'one of: {", ".join(PRECISIONS)}; mixed: hidden layers compute in 16 bits',
  )
  num_gpus: int = _field(
    0,
    'GPUs that share each batch; 0 leaves it open: TensorFlow takes one, if '
    'there is one',
  )
  tpu: str = _field(
    '', 'local: the TPU of this machine, whose cores share each batch'
  )
  backend: str = _field(
    'auto',
    'sparse layers on a CPU: masked dense matrices, native C++ kernels, or '
    'auto for the faster',
  )

  @property
  def num_train_steps(self):
    """Train steps of the whole run."""
    if self.agent == 'ppo':
      batches = self.rollout_env_steps // self.batch_size
      rollouts = self.num_env_steps // self.rollout_env_steps
      return rollouts * self.num_epochs * batches
    period = self.train_period
    untrained = self.initial_collect_env_steps // period
    return max(0, self.num_env_steps // period - untrained)

  @property
  def num_random_env_steps(self):
    """Env steps at the start whose actions are drawn at random."""
    return self.initial_collect_env_steps or 0

  @property
  def env_steps_between_training(self):
    """Env steps from one call of the agent's training to the next."""
    return self.rollout_env_steps or self.train_period

  def is_due(self, env_step, period):
    """Whether something periodic is due.

    Args:
      env_step: env steps so far, a multiple of num_envs.
      period: in env steps.

    Returns:
      A bool: whether a multiple of it lies in the last num_envs env steps; for
      more environments than that at every time.
    """
    return env_step % period < self.num_envs

  def num_trainings(self, env_step):
    """Calls of the agent's training that are due.

    Args:
      env_step: env steps so far, a multiple of num_envs.

    Returns:
      How many: the multiples of the period in the last num_envs env steps,
      those of the initial collection left out.
    """
    period = self.env_steps_between_training
    before = max(env_step - self.num_envs, self.num_random_env_steps)
    return max(0, env_step // period - before // period)

  @property
  def diagnostics_kinds(self):
    """The names in `diagnostics`, a tuple."""
    return tuple(filter(None, self.diagnostics.split(',')))

  @property
  def label(self):
    """The run in a few words, for people."""
    label = f'{self.agent} {self.env_name} {self.method}'
    if self.method == 'dense':
      return label
    if self.agent == 'dqn':
      return f'{label} {self.sparsity:g}'
    if self.actor_parameter_share:
      return (
        f'{label}, {100 * self.parameter_budget:.3g}% of the parameters, '
        f'{100 * self.actor_parameter_share:.3g}% of them for the actor'
      )
    other = self.critic_sparsity if self.agent == 'sac' else self.value_sparsity
    if self.actor_sparsity == other:
      return f'{label} {self.actor_sparsity:g}'
    return f'{label} {self.actor_sparsity:g}/{other:g}'


def is_atari(env_name):
  """Whether a name, known or not, is to be looked for among games of Atari.

  Args:
    env_name: one of ATARI_GAMES, an id such as 'ALE/Freeway-v5' or
      'CartPole-v1', or None.

  Returns:
    A bool.
  """
  return env_name is not None and (
    env_name in ATARI_GAMES or env_name.startswith('ALE/')
  )


def gym_id(env_name):
  """Gymnasium's id of an environment: ATARI_GAMES are named in short."""
  return f'ALE/{env_name}-v5' if env_name in ATARI_GAMES else env_name


def field_kind(field):
  """The plain type of a field, and whether None is allowed until resolved.

  Args:
    field: a `dataclasses.Field` of Config.

  Returns:
    (type, optional): one of str, int, float, bool, tuple; a bool.
  """
  hint = typing.get_type_hints(Config)[field.name]
  options = [t for t in typing.get_args(hint) if t is not type(None)]
  optional = type(None) in typing.get_args(hint)
  kind = options[0] if optional else hint
  return (tuple if typing.get_origin(kind) is tuple else kind), optional


def fields():
  """The fields of Config, in order."""
  return dataclasses.fields(Config)


def solved_fields(config):
  """Names of the fields that follow from actor_parameter_share, if given."""
  return SOLVED_FIELDS if config.actor_parameter_share else ()


def check(config):
  """Checks types and ranges of a resolved config.

  Args:
    config: a Config.

  Raises:
    ValueError: naming the field, what was expected and what received.
  """
  for field in fields():
    value = getattr(config, field.name)
    if config.agent not in field.metadata['agents']:
      if value != field.default:
        raise ValueError(
          f'Expected {field.name} with agent='
          f'{" or ".join(field.metadata["agents"])} only. '
          f'Received: {field.name}={value}, agent={config.agent}.'
        )
    elif value is not None or field.name not in solved_fields(config):
      _check_type(field, value)
      _check_range(field.name, value)
  for name, allowed in CHOICES.items():
    value = getattr(config, name)
    # None: the agent does not have it.
    if value is not None and value not in allowed:
      raise ValueError(
        f'Expected one of {", ".join(allowed)}. Received: {name}={value!r}.'
      )
  for kind in config.diagnostics_kinds:
    if kind not in DIAGNOSTICS:
      raise ValueError(names.unknown('diagnostics', kind, DIAGNOSTICS))
  _check_together(config)


def _check_range(name, value):
  low, high, expected = _RANGES.get(name, (None, None, None))
  if expected and not (low <= value <= high and math.isfinite(value)):
    raise ValueError(f'Expected {expected}. Received: {name}={value}.')


CHOICES = {
  'agent': AGENTS,
  'method': METHODS,
  'distribution': DISTRIBUTIONS,
  'network': NETWORKS,
  'td_loss': TD_LOSSES,
  'backend': BACKENDS,
  'precision': PRECISIONS,
  'tpu': TPUS,
}
SOLVED_FIELDS = (
  'actor_sparsity',
  'critic_sparsity',
  'actor_width',
  'critic_width',
)
_BELOW_1 = math.nextafter(1.0, 0.0)
_ABOVE_0 = math.nextafter(0.0, 1.0)
_MANY = 10**12
_COUNT = (1, _MANY, 'a whole number of at least 1')
_STEPS = (0, _MANY, 'a whole number of at least 0')
_SPARSITY = (0, _BELOW_1, 'a sparsity in [0, 1)')
_WIDTH = (_ABOVE_0, 1000, 'a width in (0, 1000]')
_RATE = (_ABOVE_0, 1e6, 'a learning rate above 0')
_RANGES = {
  'seed': (0, 2**31 - 1, 'a seed from 0 to 2147483647'),
  'num_env_steps': _COUNT,
  'num_envs': (1, 10_000, 'from 1 to 10000 environments'),
  'sparsity': _SPARSITY,
  'actor_sparsity': _SPARSITY,
  'critic_sparsity': _SPARSITY,
  'value_sparsity': _SPARSITY,
  'match_sparsity': _SPARSITY,
  'actor_parameter_share': (0, _BELOW_1, 'a share in (0, 1), or 0 for none'),
  'parameter_budget': (0, 10, 'a share in (0, 10], or 0 for none'),
  'erk_power': (_ABOVE_0, 100, 'a power in (0, 100]'),
  'drop_fraction': (0, 1, 'a fraction in [0, 1]'),
  'mask_update_period': _COUNT,
  'mask_update_end_train_step': _STEPS,
  'prune_begin_train_step': _STEPS,
  'prune_end_train_step': _STEPS,
  'width': _WIDTH,
  'actor_width': _WIDTH,
  'critic_width': _WIDTH,
  'value_width': _WIDTH,
  'weight_decay': (0, 1e6, 'a weight decay of at least 0'),
  'learning_rate': _RATE,
  'actor_learning_rate': _RATE,
  'critic_learning_rate': _RATE,
  'alpha_learning_rate': (0, 1e6, 'a learning rate of at least 0'),
  'initial_log_alpha': (-20, 20, 'a logarithm from -20 to 20'),
  'target_entropy_per_action': (-100, 100, 'an entropy from -100 to 100'),
  'batch_size': (1, 10**6, 'a batch size from 1 to 1000000'),
  'gamma': (0, 1, 'a discount in [0, 1]'),
  'reward_scale': (_ABOVE_0, 1e9, 'a scale above 0'),
  'adam_epsilon': (_ABOVE_0, 1, 'a number in (0, 1]'),
  'n_step': (1, 100, 'from 1 to 100 env steps'),
  'epsilon': (0, 1, 'a probability in [0, 1]'),
  'eval_epsilon': (0, 1, 'a probability in [0, 1]'),
  'epsilon_decay_env_steps': _STEPS,
  'target_update_period': _COUNT,
  'target_update_tau': (_ABOVE_0, 1, 'a tau in (0, 1]'),
  'replay_capacity': (1, 10**9, 'a capacity from 1 to 1000000000'),
  'initial_collect_env_steps': _COUNT,
  'train_period': _COUNT,
  'rollout_env_steps': _COUNT,
  'num_epochs': _COUNT,
  'gae_lambda': (0, 1, 'a lambda in [0, 1]'),
  'clip_ratio': (_ABOVE_0, 1e6, 'a clip ratio above 0'),
  'value_loss_weight': (0, 1e6, 'a weight of at least 0'),
  'entropy_weight': (0, 1e6, 'a weight of at least 0'),
  'max_gradient_norm': (0, 1e6, 'a norm of at least 0'),
  'eval_period': _COUNT,
  'num_eval_env_steps': _STEPS,
  'num_eval_episodes': (1, 10000, 'from 1 to 10000 episodes'),
  'checkpoint_period': _COUNT,
  'summary_period': _COUNT,
  'diagnostics_period': _COUNT,
  'intra_op_threads': (0, 1024, 'from 0 to 1024 threads'),
  'inter_op_threads': (0, 1024, 'from 0 to 1024 threads'),
  'num_gpus': (0, 64, 'from 0 to 64 GPUs'),
}


def _check_type(field, value):
  kind, _ = field_kind(field)
  if kind is float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
  elif kind is int:
    good = isinstance(value, int) and not isinstance(value, bool)
  elif kind is tuple:
    good = isinstance(value, tuple) and all(type(v) is int for v in value)
  else:
    good = isinstance(value, kind)
  if not good:
    name = 'list of int' if kind is tuple else kind.__name__
    raise ValueError(
      f'Expected {field.name} to be of type {name}. Received: {value!r}.'
    )


def _check_together(config):
  """What a single field cannot show."""
  if not config.hidden_units or not all(
    1 <= units <= 10**6 for units in config.hidden_units
  ):
    raise ValueError(
      'Expected hidden_units from 1 to 1000000, as in 512,512. '
      f'Received: hidden_units={config.hidden_units}.'
    )
  if config.num_env_steps % config.num_envs:
    raise ValueError(
      'Expected num_env_steps as a multiple of num_envs. Received: '
      f'num_env_steps={config.num_env_steps}, num_envs={config.num_envs}.'
    )
  if config.agent == 'ppo':
    _check_rollouts(config)
  if config.num_random_env_steps >= config.num_env_steps:
    raise ValueError(
      'Expected fewer initial_collect_env_steps than num_env_steps, or nothing '
      'is learned. Received: initial_collect_env_steps='
      f'{config.initial_collect_env_steps}, '
      f'num_env_steps={config.num_env_steps}.'
    )
  if config.jit_compile and config.backend == 'native':
    raise ValueError(
      'Expected backend=auto or masked with jit_compile: XLA cannot compile '
      'native kernels. Received: backend=native.'
    )
  if config.precision != 'float32' and config.backend == 'native':
    raise ValueError(
      'Expected backend=auto or masked with 16 bits: native kernels compute in '
      f'float32. Received: backend=native, precision={config.precision}.'
    )
  _check_replicas(config)
  _check_n_step(config)
  _check_mask_schedule(config)
  _check_structure(config)
  _check_matching(config)
  custom_sparsities(config)


def _check_replicas(config):
  """What several devices can share, and what they compile by themselves."""
  if config.num_gpus < 2 and not config.tpu:
    return
  received = f'num_gpus={config.num_gpus}, tpu={config.tpu!r}'
  if config.num_gpus and config.tpu:
    raise ValueError(f'Expected num_gpus or tpu. Received: {received}.')
  if config.agent == 'ppo':
    raise ValueError(
      'Expected agent=dqn or sac with several GPUs or a TPU: ppo normalises '
      'advantages over each batch, of which each device sees a share only. '
      f'Received: agent=ppo, {received}.'
    )
  if not config.tpu and config.batch_size % config.num_gpus:
    raise ValueError(
      'Expected a batch_size that num_gpus divides. Received: '
      f'batch_size={config.batch_size}, num_gpus={config.num_gpus}.'
    )
  if config.jit_compile or config.backend == 'native':
    raise ValueError(
      'Expected jit_compile=false and backend=auto or masked with several GPUs '
      'or a TPU: an XLA program and a native kernel are each of one device, '
      'and for a TPU everything is compiled. Received: '
      f'jit_compile={str(config.jit_compile).lower()}, '
      f'backend={config.backend}, {received}.'
    )


def _check_n_step(config):
  """Whether there is something to draw when training begins."""
  if config.agent != 'dqn':
    return
  if config.initial_collect_env_steps < config.n_step * config.num_envs:
    raise ValueError(
      'Expected initial_collect_env_steps of at least n_step * num_envs. '
      f'Received: {config.initial_collect_env_steps}, {config.n_step} and '
      f'{config.num_envs}.'
    )


def _check_rollouts(config):
  """What PPO collects, and how it is cut into batches."""
  if config.rollout_env_steps > config.num_env_steps:
    raise ValueError(
      'Expected at least one rollout, or nothing is learned. Received: '
      f'rollout_env_steps={config.rollout_env_steps}, '
      f'num_env_steps={config.num_env_steps}.'
    )
  if config.rollout_env_steps % config.num_envs:
    raise ValueError(
      'Expected rollout_env_steps as a multiple of num_envs. Received: '
      f'rollout_env_steps={config.rollout_env_steps}, '
      f'num_envs={config.num_envs}.'
    )
  if config.rollout_env_steps % config.batch_size or config.batch_size < 2:
    raise ValueError(
      'Expected a batch_size of at least 2 that divides rollout_env_steps: '
      'advantages are normalised in each batch. Received: '
      f'batch_size={config.batch_size}, '
      f'rollout_env_steps={config.rollout_env_steps}.'
    )


def _check_mask_schedule(config):
  """When masks change, and whether they do."""
  if config.method in ('set', 'rigl') and not config.drop_fraction > 0:
    raise ValueError(
      f'Expected drop_fraction > 0 for {config.method}; a mask that never '
      "changes is --method=static, as the paper's PPO with SET in fact was: "
      'its drop fraction is 0. Received: '
      f'drop_fraction={config.drop_fraction}.'
    )
  if config.method in ('set', 'rigl') and config.mask_update_end_train_step < 1:
    raise ValueError(
      f'Expected mask_update_end_train_step >= 1 for {config.method}. '
      f'Received: {config.mask_update_end_train_step}.'
    )
  if config.method == 'prune' and not (
    config.prune_begin_train_step < config.prune_end_train_step
  ):
    raise ValueError(
      'Expected prune_begin_train_step < prune_end_train_step. Received: '
      f'{config.prune_begin_train_step} and {config.prune_end_train_step}.'
    )
  if config.method == 'prune' and (
    config.prune_end_train_step >= config.num_train_steps
  ):
    raise ValueError(
      'Expected pruning to end within the run, which has '
      f'{config.num_train_steps} train steps, from 0 on. Received: '
      f'prune_end_train_step={config.prune_end_train_step}.'
    )


def _check_structure(config):
  """Blocks and patterns, as far as they do not depend on the kernels."""
  for name in ('block_shape', 'n_of_m'):
    value = getattr(config, name)
    if value and not (len(value) == 2 and min(value) >= 1):
      raise ValueError(
        f'Expected {name} as two numbers of at least 1, as in 2,4. Received: '
        f'{name}={value}.'
      )
  if not config.n_of_m:
    return
  active, group = config.n_of_m
  sparsities = {
    config.sparsity,
    config.actor_sparsity,
    config.critic_sparsity,
    config.value_sparsity,
  }
  if active >= group or config.block_shape:
    raise ValueError(
      'Expected n_of_m as in 2,4, two of four inputs active, and no '
      f'block_shape. Received: n_of_m={config.n_of_m}, '
      f'block_shape={config.block_shape}.'
    )
  if config.distribution != 'uniform' or not sparsities <= {
    *(None, 0, 1 - active / group)
  }:
    raise ValueError(
      f'Expected sparsity={1 - active / group:g} and distribution=uniform with '
      f'n_of_m={config.n_of_m}: it leaves no other. Received: '
      f'sparsity={config.sparsity}, distribution={config.distribution}.'
    )


def _check_matching(config):
  """Fields that set the sizes or sparsities of networks for others."""
  if config.match_sparsity and config.method != 'dense':
    raise ValueError(
      'Expected method=dense with match_sparsity: it makes a dense network as '
      f'small as a sparse one. Received: method={config.method!r}.'
    )
  if config.match_sparsity and (
    config.actor_parameter_share
    or not {config.actor_width, config.critic_width, config.value_width}
    <= {None, config.width}
  ):
    raise ValueError(
      'Expected match_sparsity without actor_parameter_share or widths of '
      'single networks: it sets all widths. Received: '
      f'actor_parameter_share={config.actor_parameter_share}, '
      f'actor_width={config.actor_width}, critic_width={config.critic_width}, '
      f'value_width={config.value_width}.'
    )
  if bool(config.actor_parameter_share) != bool(config.parameter_budget):
    raise ValueError(
      'Expected actor_parameter_share and parameter_budget together. Received: '
      f'{config.actor_parameter_share} and {config.parameter_budget}.'
    )


def custom_sparsities(config):
  """Parses `custom_sparsity`.

  Args:
    config: a Config.

  Returns:
    `{layer name: sparsity}`; a name may begin with that of its network.

  Raises:
    ValueError: if it is not 'name=sparsity,...' with sparsities in [0, 1).
  """
  custom = {}
  for item in filter(None, config.custom_sparsity.split(',')):
    name, _, text = item.partition('=')
    try:
      value = float(text)
    except ValueError:
      value = math.nan
    if not name or not 0 <= value < 1:
      raise ValueError(
        "Expected custom_sparsity as in 'hidden_0=0.5,output=0', each in "
        f'[0, 1). Received: {config.custom_sparsity!r}.'
      )
    custom[name.strip()] = value
  return custom


def to_dict(config):
  """The fields as JSON types, in order."""
  return {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in dataclasses.asdict(config).items()
  }


def load_values(path):
  """Reads the fields of a config.json.

  Args:
    path: of a file as a run writes it, or with a few fields only.

  Returns:
    `{field name: value}`; keys that do not start a run (versions) left out.

  Raises:
    ValueError: if the file is missing, no JSON object, or has unknown fields.
  """
  try:
    with open(path, encoding='utf-8') as file:
      values = json.load(file)
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f'Cannot read the config {path}: {error}.') from error
  if not isinstance(values, dict):
    raise ValueError(f'Expected a JSON object in {path}. Received: {values!r}.')
  values.pop('versions', None)
  known = {field.name: field for field in fields()}
  unknown = sorted(set(values) - set(known))
  if unknown:
    raise ValueError(
      f'Expected fields of a run config in {path}. Received: {unknown}.'
    )
  return {
    name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
  }
