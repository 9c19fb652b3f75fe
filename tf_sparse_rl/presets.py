"""Default values by agent, environment and method, with their sources.

"Table n" are the tables of the paper's appendix; "code" is its released code.
Where the two differ, the code's value stands, for that is what was run; the
source says so.
"""

import dataclasses
from typing import Any, NamedTuple

from tf_sparse_rl import config as config_lib


class Value(NamedTuple):
  """A preset value and where it is from."""

  value: Any
  source: str

  def resolve(self, config):
    """The value in this config."""
    del config
    return self.value


class ByMethod(NamedTuple):
  """A value that differs for some methods."""

  value: Any
  others: dict  # {method: value}
  source: str

  def resolve(self, config):
    """See Value."""
    return self.others.get(config.method, self.value)


class ByEnv(NamedTuple):
  """A value that differs for some environments, whatever their version."""

  value: Any
  others: dict  # {name without '-v5': value}
  source: str

  def resolve(self, config):
    """See Value."""
    return self.others.get(config.env_name.partition('-')[0], self.value)


class ByFamily(NamedTuple):
  """A value that differs for games of Atari."""

  value: Any
  atari: Any
  source: str

  def resolve(self, config):
    """See Value."""
    return self.atari if config_lib.is_atari(config.env_name) else self.value


class Unless(NamedTuple):
  """A value that is 0 where another field is given."""

  value: Any
  field: str
  source: str

  def resolve(self, config):
    """See Value."""
    return self.value if getattr(config, self.field) is None else 0


class Same(NamedTuple):
  """The value of another field."""

  field: str
  source: str

  def resolve(self, config):
    """See Value."""
    return getattr(config, self.field)


class Share(NamedTuple):
  """A train step, as a share of the env steps of the run over train_period."""

  share: float
  source: str

  def resolve(self, config):
    """See Value."""
    # A short run ends before, for its initial collection is not trained on:
    # at its last train step then, which is counted from 0.
    step = round(self.share * (config.num_env_steps // config.train_period))
    return min(step, max(1, config.num_train_steps - 1))


class ShareOfTraining(NamedTuple):
  """A train step, as a share of the run's train steps."""

  share: float
  source: str

  def resolve(self, config):
    """See Value."""
    return max(1, round(self.share * config.num_train_steps))


# Values that others are computed from stand before them.

# Which of the presets of DQN is meant.
_NETWORK = ByFamily(
  'mlp', 'nature_cnn', 'ours: of the two on Atari the smaller'
)

# Classic control. Table 1 has the same values for all five methods.
_DQN_CLASSIC = {
  'env_name': Value('CartPole-v1', 'ours: the first thing to try'),
  'network': _NETWORK,
  'num_env_steps': Value(100_000, 'code: 100,000 iterations'),
  'hidden_units': Value((512, 512), 'table 6'),
  'weight_decay': Value(1e-6, 'table 1; hidden kernels only, as in the code'),
  'learning_rate': Value(1e-3, 'table 6'),
  'adam_epsilon': Value(1e-7, "code: Keras' own"),
  'td_loss': Value('squared', 'code'),
  'clip_rewards': Value(False, 'code'),
  'batch_size': Value(128, 'table 6'),
  'gamma': Value(0.99, 'table 6'),
  'reward_scale': Value(1.0, 'table 6'),
  'epsilon': Value(0.01, 'code: constant; table 6 says 0.1 at the end'),
  'epsilon_decay_env_steps': Value(0, 'code: constant; table 6 says 25,000'),
  'target_update_period': Value(100, 'table 6'),
  'target_update_tau': Value(1.0, 'table 6'),
  'replay_capacity': Value(100_000, 'table 6'),
  'initial_collect_env_steps': Value(1000, 'table 6'),
  'train_period': Value(1, 'table 6'),
  'eval_epsilon': Value(0.0, 'code: greedy; table 6 says 0.1'),
  'eval_period': Value(2000, 'code'),
  'num_eval_env_steps': Value(0, 'code'),
  'num_eval_episodes': Value(20, 'code'),
  'sparsity_aware_init': Value(True, 'table 1'),
  'drop_fraction': Value(0.5, 'table 1'),
  'mask_update_period': Value(1000, 'table 1'),
  'mask_update_end_train_step': Share(0.75, 'code: 75,000; the text says 80 %'),
  'prune_begin_train_step': Share(0.20, 'code: 20,000'),
  'prune_end_train_step': Share(0.75, 'code: 75,000; the text says 80 %'),
}

# Atari, with table 4. An env step is one of the agent, of four frames.
_DQN_CNN = {
  'env_name': Value('Pong', 'ours: the first thing to try'),
  'network': _NETWORK,
  'num_env_steps': Value(10_000_000, 'code: 40 times 250,000 agent steps'),
  'hidden_units': Value((512,), 'table 7'),
  'weight_decay': Value(0.0, 'table 4'),
  'learning_rate': Value(2.5e-4, 'table 4'),
  'adam_epsilon': Value(1e-8, "code: TensorFlow 1's own"),
  'td_loss': Value('huber', 'code'),
  'clip_rewards': Value(True, 'code'),
  'batch_size': Value(32, 'table 6'),
  'gamma': Value(0.99, 'table 6'),
  'reward_scale': Value(1.0, 'table 6'),
  'epsilon': Value(0.01, 'table 6'),
  'epsilon_decay_env_steps': Value(250_000, 'code; table 6 says 25,000'),
  'target_update_period': Value(2000, 'table 6: 8000 agent steps'),
  'target_update_tau': Value(1.0, 'table 6'),
  'replay_capacity': Value(1_000_000, 'table 6'),
  'initial_collect_env_steps': Value(20_000, 'table 6'),
  'train_period': Value(4, 'table 6'),
  'eval_epsilon': Value(0.001, 'code'),
  'eval_period': Value(250_000, 'code'),
  # Before the episodes, whose number is then given.
  'num_eval_env_steps': Unless(125_000, 'num_eval_episodes', 'code'),
  'num_eval_episodes': Value(
    5, 'ours: side by side; of the longest, as many make 125,000 env steps'
  ),
  'sparsity_aware_init': ByMethod(True, {'prune': False}, 'table 4'),
  'drop_fraction': Value(0.3, 'table 4'),
  'mask_update_period': Value(5000, 'table 4'),
  'mask_update_end_train_step': Share(0.80, 'code: 2,000,000'),
  'prune_begin_train_step': Share(0.20, 'code: 500,000'),
  'prune_end_train_step': Share(0.80, 'code: 2,000,000'),
}

# The same with table 5, whose other values are those of table 4.
_DQN_RESNET = {
  **_DQN_CNN,
  'weight_decay': Value(
    5e-6, 'table 5: 1e-5, of which the code takes half; all kernels'
  ),
  'learning_rate': Value(1e-4, 'table 5'),
  'adam_epsilon': Value(3.125e-4, 'code'),
}

# MuJoCo. Values that a method does not use are those of RigL.
_SAC = {
  'env_name': Value('HalfCheetah-v5', 'ours: the first thing to try'),
  'num_env_steps': Value(1_000_000, 'code: 1,000,000 iterations'),
  'actor_sparsity': Same('sparsity', 'section 3: each network by itself'),
  'critic_sparsity': Same('sparsity', 'section 3: each network by itself'),
  'actor_width': Same('width', 'code: one width unless two are given'),
  'critic_width': Same('width', 'code: one width unless two are given'),
  'hidden_units': Value((256, 256), 'table 8'),
  'weight_decay': ByMethod(
    1e-4,
    {'rigl': 1e-6},
    'table 2; all kernels, halved for the critics with their loss, as in the '
    'code',
  ),
  'learning_rate': Value(3e-4, 'table 8'),
  'actor_learning_rate': Same('learning_rate', 'code: all three are 3e-4'),
  'critic_learning_rate': Same('learning_rate', 'code: all three are 3e-4'),
  'alpha_learning_rate': Same('learning_rate', 'code: all three are 3e-4'),
  'initial_log_alpha': Value(0.0, 'code'),
  'target_entropy_per_action': Value(-0.5, 'code'),
  'batch_size': Value(256, 'table 8'),
  'gamma': Value(0.99, 'table 8'),
  'reward_scale': Value(0.1, 'code; not in table 8'),
  'target_update_period': Value(1, 'table 8'),
  'target_update_tau': Value(0.005, 'table 8'),
  'replay_capacity': Value(1_000_000, 'table 8'),
  'initial_collect_env_steps': ByEnv(
    1000,
    {'HalfCheetah': 10_000, 'Ant': 10_000},
    'table 8; 1000 for environments that are not in it',
  ),
  'train_period': Value(1, 'table 8'),
  'eval_period': Value(10_000, 'code'),
  'num_eval_env_steps': Value(0, 'code'),
  'num_eval_episodes': Value(30, 'code'),
  'sparsity_aware_init': ByMethod(True, {'static': False}, 'table 2'),
  'drop_fraction': ByMethod(0.5, {'set': 0.3}, 'table 2'),
  'mask_update_period': ByMethod(1000, {'set': 250}, 'table 2'),
  'mask_update_end_train_step': Share(0.80, 'code: 800,000'),
  'prune_begin_train_step': Share(0.20, 'code: 200,000'),
  'prune_end_train_step': Share(0.80, 'code: 800,000'),
}

# MuJoCo. Values that a method does not use are those of RigL.
_PPO = {
  'env_name': Value('HalfCheetah-v5', 'ours: the first thing to try'),
  'num_env_steps': Value(1_001_472, 'code: 489 rollouts'),
  'actor_sparsity': Same('sparsity', 'section 3: each network by itself'),
  'value_sparsity': Same('sparsity', 'section 3: each network by itself'),
  'actor_width': Same('width', 'code: one width unless two are given'),
  'value_width': Same('width', 'code: one width unless two are given'),
  'hidden_units': Value((64, 64), 'table 9'),
  'weight_decay': ByMethod(
    1e-6, {'static': 0.0, 'rigl': 1e-4}, 'table 3; all kernels'
  ),
  'learning_rate': Value(3e-4, 'table 9; falls to 0 as in the code'),
  'batch_size': Value(64, 'table 9'),
  'gamma': Value(0.99, 'table 9'),
  'rollout_env_steps': Value(2048, 'table 9'),
  'num_epochs': Value(10, 'table 9'),
  'gae_lambda': Value(0.95, 'table 9'),
  'clip_ratio': Value(0.2, 'table 9'),
  'value_loss_weight': Value(0.5, 'table 9'),
  'entropy_weight': Value(0.0, 'table 9'),
  'max_gradient_norm': Value(0.5, 'table 9'),
  'eval_period': Value(14_336, 'code: every 7 rollouts'),
  'num_eval_env_steps': Value(0, 'code'),
  'num_eval_episodes': Value(20, 'code'),
  'sparsity_aware_init': ByMethod(True, {'prune': False}, 'table 3'),
  'drop_fraction': Value(
    0.3, "table 3; ours for SET, where 0 makes the paper's static"
  ),
  'mask_update_period': ByMethod(250, {'set': 100, 'prune': 500}, 'table 3'),
  'mask_update_end_train_step': ShareOfTraining(
    120_000 / 156_480, 'code: 120,000 of 156,480'
  ),
  'prune_begin_train_step': ShareOfTraining(
    32_000 / 156_480, 'code: 32,000 of 156,480'
  ),
  'prune_end_train_step': ShareOfTraining(
    120_000 / 156_480, 'code: 120,000 of 156,480'
  ),
}

# By agent and network.
_PRESETS = {
  ('dqn', 'mlp'): _DQN_CLASSIC,
  ('dqn', 'nature_cnn'): _DQN_CNN,
  ('dqn', 'impala_resnet'): _DQN_RESNET,
  ('sac', None): _SAC,
  ('ppo', None): _PPO,
}


def _preset(config):
  """{field: value} for a config with a valid agent, and network if any."""
  network = None
  if config.agent == 'dqn':
    network = config.network or _NETWORK.resolve(config)
  return _PRESETS[config.agent, network]


def resolve(config):
  """Fills the fields that are None.

  Args:
    config: a Config with a valid agent and, for DQN, network.

  Returns:
    A Config without None, but for what the agent does not have or what
    follows from actor_parameter_share.

  Raises:
    ValueError: for a sparsity or width beside actor_parameter_share.
  """
  solved = config_lib.solved_fields(config)
  given = [name for name in solved if getattr(config, name) is not None]
  if given:
    raise ValueError(
      'Expected actor_parameter_share without sparsities or widths of its '
      f'own: they follow from it. Received: {", ".join(given)}.'
    )
  for name, value in _preset(config).items():
    if getattr(config, name) is None and name not in solved:
      config = dataclasses.replace(config, **{name: value.resolve(config)})
  return config


def without_copies(loaded, given):
  """Values of a config.json, less those that were copied from others.

  Args:
    loaded: `{field: value}` of a resolved config.
    given: the same, of what overrides it.

  Returns:
    `loaded` without the fields that take their value from one that is given,
    unless they had another value of their own.
  """
  agent = loaded.get('agent')
  # Those of DQN, whatever its network, have none.
  preset = _PRESETS.get((agent, None), {}) if isinstance(agent, str) else {}
  copies = {
    name
    for name, value in preset.items()
    if isinstance(value, Same)
    and loaded.get(name) == loaded.get(value.field)
    and (
      value.field in given
      or (
        name in config_lib.SOLVED_FIELDS and given.get('actor_parameter_share')
      )
    )
  }
  return {name: v for name, v in loaded.items() if name not in copies}
