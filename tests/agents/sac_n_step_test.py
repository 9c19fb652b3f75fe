"""The entropy bonus of SAC's n-step returns, by following each episode."""

import numpy as np
import pytest
import tensorflow as tf

from tests.replay import walks
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import replay
from tf_sparse_rl.agents import actor_critic, registry
from tf_sparse_rl.replay import rows as rows_lib

_N_STEP, _NUM_ENVS = 3, 2
_ENDS = ['goes on'] * 8 + ['terminated', 'goes on', 'truncated'] * 3
_SPEC = walks.spec()


def _config(**changes):
  values = {
    **{'agent': 'sac', 'env_name': 'Pendulum-v1', 'method': 'dense'},
    **{'num_env_steps': 400, 'initial_collect_env_steps': 100},
    **{'hidden_units': (8, 8), 'batch_size': 4, 'gamma': walks.GAMMA},
    **{'n_step': _N_STEP, 'reward_scale': 0.5, 'initial_log_alpha': -1.0},
    **{'num_envs': _NUM_ENVS, 'replay_capacity': 40},
  }
  return config_lib.make_config({**values, **changes})


def _filled(config):
  """A replay, and the walk that it holds."""
  buffer, walk = replay.make(config, _SPEC), walks.Walk(_ENDS, _NUM_ENVS)
  walk.add(len(_ENDS), buffer)
  return buffer, walk


def _between(walk, number):
  """(observation, weight) of the steps between, by following an episode."""
  found = []
  for k in range(1, _N_STEP):
    if walk.over(number + (k - 1) * _NUM_ENVS):
      break
    observation = walk.added[number + k * _NUM_ENVS].observation
    found.append((observation, walks.GAMMA**k))
  return found


def test_rows_have_the_steps_between():
  buffer, walk = _filled(_config())
  layout = rows_lib.soft_transition(_SPEC, _N_STEP - 1)
  numbers = np.arange(buffer.drawable.start, buffer.drawable.stop)
  assert len(numbers) == len(_ENDS) - (_N_STEP - 1) * _NUM_ENVS
  rows = buffer.transitions(numbers)
  assert rows.dtype == np.float32 and rows.shape[1] == buffer.row_size == 13
  columns = layout.split(rows)
  lengths = set()
  for i, number in enumerate(numbers):
    plain = walk.n_step_row(number, _N_STEP, clip_rewards=False)
    np.testing.assert_allclose(rows[i, : len(plain)], plain, rtol=1e-6)
    expected = _between(walk, number)
    lengths.add(len(expected))
    weights = [weight for _, weight in expected] + [0.0] * _N_STEP
    np.testing.assert_allclose(columns['weight'][i], weights[:2], rtol=1e-6)
    observations = columns['between'][i].reshape(_N_STEP - 1, -1)
    for found, (observation, _) in zip(observations, expected):
      np.testing.assert_array_equal(found, observation)
  assert lengths == {0, 1, 2}


def test_up_to_the_begin_of_multi_step_nothing_is_between():
  buffer, walk = _filled(_config(n_step_begin_env_step=1000))
  rows = buffer.sample(50, np.random.default_rng(0))
  columns = rows_lib.soft_transition(_SPEC, _N_STEP - 1).split(rows)
  assert not columns['weight'].any()
  known = [walk.row(number).tolist() for number in range(len(_ENDS))]
  assert all(row.tolist() in known for row in rows[:, :7])


def test_targets_are_soft_n_step_returns():
  config = _config()
  (buffer, walk), agent = _filled(config), registry.build(config, _SPEC)
  numbers = np.arange(buffer.drawable.start, buffer.drawable.stop)
  rows = buffer.transitions(numbers)
  transition = agent.experience(tf.constant(rows))
  targets = agent.tf_agent.td_targets(transition).numpy()

  # By hand: the noise is that of the train step, one number a step between.
  tf_agent, alpha = agent.tf_agent, float(agent.tf_agent.alpha)
  assert alpha == pytest.approx(np.exp(-1))

  def log_pi(observations, noise):
    outputs = tf_agent.actor_outputs(tf.constant(observations, tf.float32))
    actions, found = agent.head.sample(outputs, tf.constant(noise))
    return actions, found.numpy()

  def noise_of(draw, size):
    step = tf_agent.train_step_counter
    return actor_critic.train_noise(0, draw, step, [size, 1]).numpy()

  size = len(numbers)
  noise = noise_of(2, size * (_N_STEP - 1)).reshape(size, _N_STEP - 1, 1)
  following, at_the_end = transition.next_time_step, noise_of(0, size)
  for i, number in enumerate(numbers):
    expected = 0.5 * walk.n_step_row(number, _N_STEP, False)[3]
    for k, (observation, weight) in enumerate(_between(walk, number)):
      [entropy] = -log_pi([observation], noise[i, k][np.newaxis])[1]
      expected += weight * alpha * entropy
    last = following.observation[i : i + 1]
    actions, [log_of_last] = log_pi(last, at_the_end[i : i + 1])
    values = [
      float(critic((last, actions))[0][0]) for critic in tf_agent._targets
    ]
    soft = min(values) - alpha * log_of_last
    expected += walks.GAMMA * float(following.discount[i]) * soft
    assert targets[i] == pytest.approx(expected, rel=1e-5), number


def test_observations_between_are_scaled_as_the_others():
  config = _config(normalize_observations=True)
  (buffer, walk), agent = _filled(config), registry.build(config, _SPEC)
  agent.see(np.array([[5.0, 1.0], [9.0, -3.0]], 'float32'))
  rows = tf.constant(buffer.transitions(np.arange(4)))
  columns = rows_lib.soft_transition(_SPEC, _N_STEP - 1).split(rows)
  [scale] = agent.scales
  between = scale(tf.reshape(columns['between'], [-1, 2]))
  bonus = agent.tf_agent.bonus_between(between, columns['weight'])
  plain = [walk.n_step_row(number, _N_STEP, False)[3] for number in range(4)]
  rewards = agent.experience(rows).next_time_step.reward
  np.testing.assert_allclose(rewards, plain + bonus, rtol=1e-5)
  unscaled = tf.reshape(columns['between'], [-1, 2])
  other = agent.tf_agent.bonus_between(unscaled, columns['weight'])
  assert np.abs(bonus - other).max() > 1e-3


def test_without_it_returns_are_of_rewards_alone():
  config = _config(n_step_without_entropy=True)
  (buffer, walk), agent = _filled(config), registry.build(config, _SPEC)
  assert buffer.row_size == rows_lib.transition(_SPEC).size == 7
  rows = buffer.transitions(np.arange(4))
  rewards = agent.experience(tf.constant(rows)).next_time_step.reward
  expected = [walk.n_step_row(number, _N_STEP, False)[3] for number in range(4)]
  np.testing.assert_allclose(rewards, expected, rtol=1e-6)
  one_step = _config(n_step=1)
  assert replay.make(one_step, _SPEC).row_size == 7
  with pytest.raises(
    ValueError, match='n_step_without_entropy with n_step above'
  ):
    _config(network='nature_cnn', env_name='Pong')
