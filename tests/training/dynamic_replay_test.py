"""Dynamic replay: policy distance by hand, content against a list."""

import pathlib
import types

import numpy as np
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, replay
from tf_sparse_rl.envs import gymnasium_env
from tf_sparse_rl.training import dynamic_replay

_SPEC = envs.EnvSpec('Made-v0', 1, None, None, (-1.0, -1.0), (1.0, 1.0))


def _filled(count, capacity=100, num_envs=1, actions=None, **returns):
  """A Replay of env steps whose observations are their numbers."""
  buffer = replay.Replay(capacity, _SPEC, num_envs, replay.Returns(**returns))
  for i in range(count):
    action = np.zeros(2) if actions is None else actions[i]
    _add(buffer, i, action)
  return buffer


def _add(buffer, number, action=(0.0, 0.0)):
  after = np.float32([number + buffer.num_envs])
  step = gymnasium_env.Step(after, 1.0, False, False)
  buffer.add(np.float32([number]), np.float32(action), step)


def _dynamic(buffer, act=None, **fields):
  config = types.SimpleNamespace(
    **{'min_replay_size': 1, 'max_policy_distance': 0.2, **fields}
  )
  act = act or (lambda observations: np.ones((len(observations), 2)))
  return dynamic_replay.DynamicReplay(config, _SPEC, buffer, act)


def test_the_policy_distance_by_hand():
  # The lengths of (0.5, 0) and (-1, -1), in units of half a range of 2.
  buffer = _filled(2, actions=[(0.0, 0.5), (1.0, 1.0)])
  dynamic = _dynamic(buffer, lambda _: np.float32([[0.5, 0.5], [0.0, 0.0]]))
  distance = dynamic.policy_distance()
  assert distance == pytest.approx((0.5 + np.sqrt(2)) / 2)


def test_it_forgets_a_tenth_down_to_the_floor():
  buffer = _filled(60)
  dynamic = _dynamic(buffer, min_replay_size=50)
  sizes = []
  for _ in range(4):
    dynamic.shrink()
    sizes.append(buffer.num_drawn)
  assert sizes == [54, 50, 50, 50]


def test_it_forgets_nothing_while_the_policy_is_near():
  buffer = _filled(60)
  _dynamic(buffer, lambda _: np.full((60, 2), 0.1)).shrink()
  assert buffer.num_drawn == 60 and buffer.num_forgotten == 0


@pytest.mark.parametrize('n_step', [1, 3])
@pytest.mark.parametrize('num_envs', [1, 2])
def test_what_is_drawn_is_what_a_list_still_holds(n_step, num_envs):
  capacity, rng = 40, np.random.default_rng(n_step)
  buffer = _filled(0, capacity, num_envs, n_step=n_step)
  dynamic, held = _dynamic(buffer, min_replay_size=10), []
  for number in range(130):
    _add(buffer, number)
    held = [*held, number][-capacity:]
    if number % 17 == 16:
      dynamic.shrink()
      held = held[max(0, min(len(held) // 10, len(held) - 10)) :]
    assert buffer.num_drawn == len(held)
    whole = held[: max(0, len(held) - (n_step - 1) * num_envs)]
    if whole:
      drawn = buffer.sample(400, rng)[:, 0]
      assert set(drawn) <= set(map(float, whole))
      if number > 100:
        assert len(set(drawn)) > 0.9 * len(whole)


def test_several_steps_are_summed_from_an_env_step_on():
  buffer = _filled(0, n_step=3, gamma=0.5, begin_env_step=10)
  rng = np.random.default_rng(0)
  for number in range(20):
    _add(buffer, number)
    count = 1 if number < 10 else 3  # So many were added: number + 1.
    rows = buffer.sample(30, rng)
    columns = rows[:, 0], rows[:, 3], rows[:, 4], rows[:, 5]
    for first, reward, discount, led_to in zip(*columns):
      assert reward == (1.0 if count == 1 else 1.75)
      assert discount == (1.0 if count == 1 else 0.25)
      assert led_to == first + count


@pytest.mark.parametrize('name, critic', [('td3', 0.85), ('sac', 0.8)])
def test_the_recipes_of_rlx2(name, critic):
  path = pathlib.Path(__file__).parents[2] / 'launch' / f'rlx2_{name}.json'
  config = config_lib.make_config(config_lib.load_values(path))
  # Tan et al. 2023, table 2 and section 4; floors and periods of its code.
  assert (config.agent, config.critic_sparsity) == (name, critic)
  assert (config.distribution, config.actor_sparsity) == ('er', 0.9)
  assert (config.n_step, config.n_step_begin_env_step) == (3, 300_000)
  assert config.dynamic_replay and config.dynamic_replay_period == 10_000
  sizes = {'td3': (100_000, 1_000_000), 'sac': (200_000, 3_000_000)}
  assert (config.min_replay_size, config.replay_capacity) == sizes[name]
  assert config.mask_update_end_train_step == 2_974_999  # The last train step.
  assert (config.mask_update_period, config.drop_fraction) == (10_000, 0.5)
  assert (config.learning_rate, config.batch_size) == (3e-4, 256)
  assert config.initial_collect_env_steps == 25_000
