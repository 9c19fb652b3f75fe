"""The compiled functions: XLA agrees with the plain graph."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs
from tf_sparse_rl.agents import registry
from tf_sparse_rl.training import learner

_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)


def _train(config, num_train_steps):
  parts = registry.build(config, _SPEC)
  learn = learner.Learner(
    parts, 16, tf.TensorSpec([11]), tf.TensorSpec([4]), config.jit_compile
  )
  rng = np.random.default_rng(0)
  losses, actions = [], []
  for _ in range(num_train_steps):
    rows = rng.normal(size=(16, 11)).astype(np.float32)
    rows[:, 4] = rng.integers(2, size=16)
    noise = parts.sample_noise(rng, 3)
    observations = rng.normal(size=(3, 4)).astype(np.float32)
    action, scalars = learn.train_on(rows, observations, noise)
    losses.append(float(scalars['Losses/total_loss']))
    actions.append(action)
  weights = [w.numpy() for w in parts.networks['q_network'].variables]
  return parts, learn, np.array(losses), np.array(actions), weights


@pytest.mark.parametrize('method', ['dense', 'rigl'])
def test_xla_agrees_with_the_plain_graph(tiny_config, method):
  changes = {'method': method, 'mask_update_period': 4, 'sparsity': 0.5}
  plain, compiled = (
    _train(tiny_config(**changes, jit_compile=jit), num_train_steps=10)
    for jit in (False, True)
  )
  np.testing.assert_allclose(plain[2], compiled[2], rtol=1e-4)
  np.testing.assert_array_equal(plain[3], compiled[3])
  for a, b in zip(plain[4], compiled[4]):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_it_acts_by_the_weights_it_has_just_trained(tiny_config):
  parts, learn, _, actions, _ = _train(tiny_config(epsilon=0.0), 5)
  assert actions.shape == (5, 3)
  rng = np.random.default_rng(1)
  observations = rng.normal(size=(64, 4)).astype(np.float32)
  rows = rng.normal(size=(16, 11)).astype(np.float32)
  rows[:, 4] = 1
  noise = parts.sample_noise(rng, 64)
  trained, _ = learn.train_on(rows, observations, noise)
  np.testing.assert_array_equal(trained, learn.act(observations, noise))
  np.testing.assert_array_equal(trained, learn.act_greedily(observations))
  assert trained.dtype == np.int32
