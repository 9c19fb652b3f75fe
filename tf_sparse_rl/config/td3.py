"""Fields of TD3, and its values of the fields that it shares with SAC."""

from tf_sparse_rl.config.networks import OWN_SPARSITY, OWN_WIDTH, SIMBA_UNITS
from tf_sparse_rl.config.presets import BySimba, Same, Share, Value
from tf_sparse_rl.config.rows import COUNT, WEIGHT, Record, record, row

# "TD3": Fujimoto et al. 2018 with the settings of its repository today; "RLx2":
# Tan et al. 2023 and its code.
_TD3 = 'TD3'
_SAC = 'ours: as SAC'
_OWN_RATE = Same('learning_rate', 'TD3: one for both')


@record
class Td3(Record):
  """Delayed updates, and noise."""

  actor_update_period: int | None = row(
    'train steps between actor updates (delayed policy updates)',
    COUNT,
    td3=Value(2, _TD3),
  )
  exploration_noise: float | None = row(
    'standard deviation of the exploration noise, relative to half the action '
    'range',
    WEIGHT,
    td3=Value(0.1, _TD3),
  )
  target_noise: float | None = row(
    'standard deviation of the target policy smoothing noise, in the same '
    'units',
    WEIGHT,
    td3=Value(0.2, _TD3),
  )
  target_noise_clip: float | None = row(
    'clipping bound of the target policy smoothing noise, in the same units',
    WEIGHT,
    td3=Value(0.5, _TD3),
  )

  shared_presets = {
    'env_name': Value('HalfCheetah-v5', 'ours: the first thing to try'),
    'num_env_steps': Value(1_000_000, _TD3),
    'network': Value('mlp', _TD3),
    'hidden_units': BySimba(Value((256, 256), _TD3), SIMBA_UNITS),
    'weight_decay': Value(0.0, _TD3),
    'learning_rate': Value(3e-4, _TD3),
    'actor_learning_rate': _OWN_RATE,
    'critic_learning_rate': _OWN_RATE,
    'batch_size': Value(256, _TD3),
    'gamma': Value(0.99, _TD3),
    'reward_scale': Value(1.0, _TD3),
    'target_update_period': Value(2, 'TD3: with the actor'),
    'target_update_tau': Value(0.005, _TD3),
    'replay_capacity': Value(1_000_000, _TD3),
    'initial_collect_env_steps': Value(25_000, _TD3),
    'train_period': Value(1, _TD3),
    'actor_sparsity': OWN_SPARSITY,
    'actor_width': OWN_WIDTH,
    'critic_sparsity': OWN_SPARSITY,
    'critic_width': OWN_WIDTH,
    'sparsity_aware_init': Value(True, _SAC, methods={'static': False}),
    'drop_fraction': Value(0.5, 'RLx2'),
    'mask_update_period': Value(
      10_000, 'RLx2, where the actor counts its own updates'
    ),
    'mask_update_end_train_step': Share(1.0, 'RLx2: to the end of training'),
    'prune_begin_train_step': Share(0.2, _SAC),
    'prune_end_train_step': Share(0.8, _SAC),
    'eval_period': Value(10_000, _SAC),
    'num_eval_env_steps': Value(0, _SAC),
    'num_eval_episodes': Value(30, _SAC),
  }
