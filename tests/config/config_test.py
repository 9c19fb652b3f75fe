"""Config: what follows from its fields."""

import dataclasses

import pytest

from tf_sparse_rl import config as config_lib


def test_a_whole_number_may_be_a_float():
  config = config_lib.make_config({'num_env_steps': 2e5, 'gamma': 1.0})
  assert repr(config.num_env_steps) == '200000'
  assert repr(config.gamma) == '1.0'
  with pytest.raises(ValueError, match='num_env_steps=200000.5'):
    config_lib.make_config({'num_env_steps': 200000.5})


@pytest.mark.parametrize(
  'values, expected',
  [
    ({}, 'dqn CartPole-v1 rigl 0.9'),
    ({'method': 'static', 'sparsity': 0.25}, 'dqn CartPole-v1 static 0.25'),
    ({'method': 'dense'}, 'dqn CartPole-v1 dense'),
    ({'agent': 'sac'}, 'sac HalfCheetah-v5 rigl 0.9'),
    ({'agent': 'sac', 'method': 'dense'}, 'sac HalfCheetah-v5 dense'),
    (
      {'agent': 'sac', 'env_name': 'Hopper-v4', 'actor_sparsity': 0.5},
      'sac Hopper-v4 rigl 0.5/0.9',
    ),
    (
      {'agent': 'sac', 'actor_sparsity': 0.98, 'critic_sparsity': 0.98},
      'sac HalfCheetah-v5 rigl 0.98',
    ),
    (
      {
        'agent': 'sac',
        'actor_parameter_share': 0.3,
        'parameter_budget': 0.1,
      },
      'sac HalfCheetah-v5 rigl, 10% of the parameters, 30% of them for the '
      'actor',
    ),
  ],
)
def test_label(values, expected):
  assert config_lib.make_config(values).label == expected


@pytest.mark.parametrize(
  'num_env_steps, initial, period, expected',
  [
    (1000, 100, 1, 900),
    (1000, 100, 4, 225),
    (1003, 100, 4, 225),
    # 104, 108, ..., 252: training is at multiples of the period.
    (252, 102, 4, 38),
    (250, 102, 4, 37),
    (100, 100, 1, 0),
  ],
)
def test_num_train_steps(num_env_steps, initial, period, expected):
  config = config_lib.Config(
    num_env_steps=num_env_steps,
    initial_collect_env_steps=initial,
    train_period=period,
  )
  assert config.num_train_steps == expected


def test_custom_sparsities():
  config = config_lib.Config(custom_sparsity='hidden_0=0.5, output=0,')
  assert config.custom_sparsities() == {
    'hidden_0': 0.5,
    'output': 0.0,
  }


def test_a_config_cannot_be_changed():
  with pytest.raises(dataclasses.FrozenInstanceError):
    config_lib.Config().seed = 1


@pytest.mark.parametrize('num_envs', [1, 3, 8, 20])
@pytest.mark.parametrize('period', [1, 3, 8])
@pytest.mark.parametrize('collected', [100, 101])
def test_what_is_due_does_not_depend_on_num_envs(num_envs, period, collected):
  config = config_lib.make_config(
    {
      'num_envs': num_envs,
      'num_env_steps': 240,
      'initial_collect_env_steps': collected,
      'train_period': period,
    }
  )
  steps = range(num_envs, 241, num_envs)
  trainings = [config.num_trainings(step) for step in steps]
  assert sum(trainings) == config.num_train_steps
  assert not any(n for n, step in zip(trainings, steps) if step <= collected)
  due = [step for step in steps if config.is_due(step, 24)]
  assert due == [step for step in steps if step // 24 > (step - num_envs) // 24]


@pytest.mark.parametrize(
  'env_name, expected',
  [
    ('Pong', True),
    ('ALE/Pong-v5', True),
    ('ALE/NoSuchGame', True),  # To be looked for there.
    ('Pong-v5', False),
    ('CartPole-v1', False),
    (None, False),
  ],
)
def test_games_of_atari_are_told_by_name(env_name, expected):
  assert config_lib.is_atari(env_name) == expected
