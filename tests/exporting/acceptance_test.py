"""Files that disagree with Keras are refused."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

from tests.exporting import policies
from tf_sparse_rl import flags
from tf_sparse_rl.exporting import acceptance

_OBSERVATIONS = policies.observations(40, 4)


@pytest.fixture
def discrete():
  return policies.make((4, 8, 3), sparsity=0.2)


@pytest.fixture
def continuous(discrete):
  return dataclasses.replace(
    discrete,
    greedy_action=lambda output: tf.tanh(output[:, :1]),
    action_bounds=([-1.0], [1.0]),
  )


def _changed(policy, name, change):
  """An exported policy that is off in one thing."""

  def act(observations):
    outputs = {k: v.numpy() for k, v in policy(observations).items()}
    outputs[name] = change(outputs[name])
    return outputs

  return act


def test_the_same_is_accepted(discrete, continuous):
  for policy in (discrete, continuous):
    act = _changed(policy, 'action', lambda action: action)
    assert acceptance.difference(policy, act, _OBSERVATIONS) == 0


def test_outputs_that_are_off_are_refused(discrete):
  act = _changed(discrete, 'output', lambda output: output + 1e-5)
  off = acceptance.difference(discrete, act, _OBSERVATIONS)
  assert off == pytest.approx(1e-5, rel=0.2)
  act = _changed(discrete, 'output', lambda output: output + 0.01)
  with pytest.raises(ValueError, match='off by 1.0e-02. Nothing was written'):
    acceptance.difference(discrete, act, _OBSERVATIONS)


def test_not_a_number_is_refused(discrete):
  act = _changed(discrete, 'output', lambda output: output * np.nan)
  with pytest.raises(ValueError, match='off by nan'):
    acceptance.difference(discrete, act, _OBSERVATIONS)


def test_another_action_is_refused(discrete, continuous):
  act = _changed(discrete, 'action', lambda action: (action + 1) % 3)
  with pytest.raises(ValueError, match='off by'):
    acceptance.difference(discrete, act, _OBSERVATIONS)
  act = _changed(continuous, 'action', lambda action: action + 0.01)
  with pytest.raises(ValueError, match='off by 1.0e-02'):
    acceptance.difference(continuous, act, _OBSERVATIONS)


def test_observations_are_those_of_the_policys_own_episodes(discrete):
  config = flags.make_config({'env_name': 'CartPole-v1'})
  seen = acceptance.play(config, _two_actions(discrete), 60, seed=3)
  assert seen.shape == (60, 4) and seen.dtype == np.float32
  env = gym.make('CartPole-v1')
  np.testing.assert_array_equal(seen[0], env.reset(seed=3)[0])
  [action] = _two_actions(discrete)(seen[:1])['action'].numpy()
  np.testing.assert_array_equal(seen[1], env.step(int(action))[0])


def _two_actions(policy):
  return dataclasses.replace(
    policy,
    greedy_action=lambda output: tf.cast(output[:, 0] > 0, tf.int32),
  )
