"""Random configs that are accepted are trained, for a few hundred env steps."""

import random

import pytest

import tf_sparse_rl
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import methods

_NUM_RUNS = 130
_SMALL = {
  'num_env_steps': 240,
  'eval_period': 120,
  'num_eval_episodes': 1,
  'max_eval_episode_env_steps': 100,
  'summary_period': 60,
  'checkpoint_period': 100,
}
_REPLAY = {'initial_collect_env_steps': 60, 'batch_size': 8}
_PPO = {'rollout_env_steps': 60, 'batch_size': 20, 'num_epochs': 2}
_ENVS = {
  'dqn': ('CartPole-v1', 'Acrobot-v1', 'MountainCar-v0'),
  'ppo': ('CartPole-v1', 'Pendulum-v1'),
}
# A tenth of a run's fields is drawn, each from the values here.
_CHOICES = {
  'method': tuple(methods.METHODS),
  'sparsity': (0.0, 0.3, 0.5, 0.9, 0.99),
  'distribution': ('uniform', 'er', 'erk'),
  'erk_power': (0.5, 2.0),
  'block_shape': ((2, 1), (1, 2), (4, 4)),
  'n_of_m': ((1, 2), (2, 4)),
  'custom_sparsity': ('hidden_0=0', 'output=0.5'),
  'sparsity_aware_init': (True, False),
  'drop_fraction': (0.01, 0.5, 1.0),
  'mask_update_period': (1, 7, 50),
  'mask_update_end_train_step': (1, 50),
  'prune_begin_train_step': (0, 20),
  'prune_end_train_step': (30, 60),
  'hidden_units': ((4,), (16, 8), (8, 8, 8)),
  'width': (0.5, 2.0),
  'layer_norm': (True,),
  'actor_hidden_units': ((4,), (8, 8)),
  'normalize_observations': (True, False),
  'redo_period': (20,),
  'redo_threshold': (0.0, 0.5),
  'reset_period': (50,),
  'reset_layers': (1, 2),
  'actor_sparsity': (0.0, 0.5),
  'critic_sparsity': (0.0, 0.5),
  'value_sparsity': (0.0, 0.5),
  'actor_width': (0.5,),
  'critic_width': (2.0,),
  'value_width': (0.5,),
  'match_sparsity': (0.5,),
  'actor_parameter_share': (0.3,),
  'parameter_budget': (0.5,),
  'weight_decay': (0.0, 1e-3),
  'learning_rate': (1e-5, 1e-2),
  'gamma': (0.0, 1.0),
  'reward_scale': (0.1,),
  'target_update_period': (1, 3),
  'target_update_tau': (0.01, 1.0),
  'replay_capacity': (70, 1000),
  'train_period': (1, 4),
  'n_step': (2, 5),
  'num_envs': (2, 3, 4),
  'double_dqn': (True,),
  'num_atoms': (2, 51),
  'min_q_value': (-1.0,),
  'max_q_value': (100.0,),
  'priority_exponent': (0.5, 2.0),
  'importance_exponent': (0.0, 1.0),
  'td_loss': ('squared', 'huber'),
  'clip_rewards': (True,),
  'adam_epsilon': (1e-8, 1e-2),
  'epsilon': (0.0, 1.0),
  'epsilon_decay_env_steps': (50,),
  'eval_epsilon': (0.5,),
  'initial_log_alpha': (-2.0,),
  'target_entropy_per_action': (-1.0,),
  'alpha_learning_rate': (0.0,),
  'gae_lambda': (0.0, 1.0),
  'clip_ratio': (0.05,),
  'value_loss_weight': (0.0,),
  'entropy_weight': (0.01,),
  'max_gradient_norm': (0.0, 0.5),
  'n_step_begin_env_step': (100,),
  'n_step_without_entropy': (True,),
  'grow_batches': (3,),
  'num_networks': (2,),
  'max_sparsity_step': (0.1,),
  'max_sparsity_power': (10.0,),
  'selection_period': (7,),
  'dynamic_replay': (True,),
  'dynamic_replay_period': (50,),
  'max_policy_distance': (0.01,),
  'min_replay_size': (20,),
  'actor_update_period': (1, 3),
  'exploration_noise': (0.0,),
  'target_noise': (1.0,),
  'target_noise_clip': (0.1,),
  'num_eval_env_steps': (150,),
  'mask_images': (True,),
  'diagnostics': ('snr', 'churn,dormant,norms,rank,snr'),
  'diagnostics_period': (60,),
  'precision': ('mixed_bfloat16',),
  'backend': ('masked', 'native', 'fused'),
}


def _drawn(rng):
  """The fields of a run at random."""
  agent = rng.choice(sorted(config_lib.AGENTS))
  known = {f.name for f in config_lib.fields() if agent in f.agents}
  fields = {**_SMALL, **(_PPO if agent == 'ppo' else _REPLAY)}
  fields |= {
    name: rng.choice(values)
    for name, values in _CHOICES.items()
    if name in known and rng.random() < 0.1
  }
  env_name = rng.choice(_ENVS.get(agent, ('Pendulum-v1',)))
  seed = rng.randrange(1000)
  return {'agent': agent, 'env_name': env_name, **fields, 'seed': seed}


@pytest.mark.slow
def test_random_configs_train(tmp_path):
  rng, trained, refused = random.Random(0), 0, []
  while trained < _NUM_RUNS:
    fields = _drawn(rng)
    env_name = fields.pop('env_name')
    path = tmp_path / str(trained + len(refused))
    try:
      run = tf_sparse_rl.train(path, env=env_name, **fields)
    except ValueError as error:
      # It is told, and leaves no run.
      assert str(error).startswith('Expected '), (fields, error)
      assert not (path / 'config.json').exists(), fields
      refused.append(fields)
      continue
    assert run.is_finished, fields
    assert run.summary.env_steps == fields['num_env_steps'], fields
    trained += 1
  assert len(refused) < trained, refused


def test_every_field_that_matters_is_drawn():
  fixed = {'agent', 'env_name', 'seed', *_SMALL, *_REPLAY, *_PPO}
  for field in config_lib.fields():
    elsewhere = field.name in (
      *('env_kwargs', 'env_wrappers', 'env_wrapper_kwargs', 'trackers'),
      *('method_kwargs', 'network', 'max_collect_episode_env_steps'),
      *('init_from', 'init_optimizer', 'learning_rate_turns', 'jit_compile'),
      *('intra_op_threads', 'inter_op_threads', 'num_gpus', 'tpu'),
      *('actor_learning_rate', 'critic_learning_rate'),
    )
    assert elsewhere or field.name in fixed or field.name in _CHOICES, field
    if field.name in _CHOICES:
      for value in _CHOICES[field.name]:
        field.check(value)
