"""The learner of a prioritized replay: batches, weights, new priorities."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags, replay, seeds
from tf_sparse_rl.agents import base, registry
from tf_sparse_rl.envs import gymnasium_env
from tf_sparse_rl.training import learner

_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_BATCH = 8


def _config(**changes):
  values = {
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'hidden_units': (12, 8),
    'batch_size': _BATCH,
    'replay_capacity': 40,
    'priority_exponent': 0.5,
    'method': 'static',
  }
  return flags.make_config({**values, **changes})


class _Parts:
  """An agent, a full buffer and the learner of both."""

  def __init__(self, **changes):
    config = _config(**changes)
    self.agent = registry.build(config, _SPEC)
    self.buffer = replay.make(config, _SPEC)
    rng = np.random.default_rng(0)
    for i in range(50):
      observation, following = rng.normal(size=(2, 4)).astype(np.float32)
      step = gymnasium_env.Step(following, rng.normal(), i % 7 == 0, False)
      self.buffer.add(observation, i % 2, step)
    self.learner = learner.make(config, self.agent, self.buffer)

  def train(self):
    """A train step; returns its scalars."""
    observations = np.zeros((1, 4), np.float32)
    noise = self.agent.noise(np.random.default_rng(0), 1)
    _, scalars = self.learner.train_and_act(
      self.buffer, None, observations, noise
    )
    return scalars


@pytest.mark.parametrize('td_loss', ['squared', 'huber'])
def test_losses_are_weighted_and_become_priorities(td_loss):
  parts = _Parts(td_loss=td_loss, weight_decay=0.0)
  for _ in range(10):  # Until priorities differ.
    parts.train()
  # The next batch, drawn by hand from the stream of the train step.
  rng = seeds.generator(0, seeds.Stream.PRIORITY, 10)
  expected = replay.Priorities(parts.buffer, 0.5, 0.5)
  priorities = parts.learner.saved['priorities'].state
  expected.from_bytes(priorities.serialize())
  (rows, weights), numbers = expected.draw(_BATCH, rng)
  assert weights.max() == 1 > weights.min()
  probe = parts.agent.probes(tf.constant(rows))['q_network']
  network = parts.agent.networks['q_network']
  losses = probe.losses(network(rows[:, :4])[0]).numpy()
  scalars = parts.train()
  assert base.PER_SAMPLE not in scalars
  np.testing.assert_allclose(
    scalars['Losses/total_loss'], np.mean(weights * losses), rtol=1e-5
  )
  np.testing.assert_allclose(
    scalars['Losses/td_loss'], np.mean(losses), rtol=1e-5
  )
  expected.update(numbers, losses)
  found = np.frombuffer(priorities.serialize()[24:], np.float32)
  by_hand = np.frombuffer(expected.to_bytes()[24:], np.float32)
  np.testing.assert_allclose(found, by_hand, rtol=1e-4)
  place = numbers[-1] - parts.buffer.drawable.start
  assert found[place] == pytest.approx(losses[-1] ** 0.5, rel=1e-4)


def test_batches_for_diagnostics_are_uniform_and_trained_on_with_weight_1():
  parts = _Parts(weight_decay=0.0)
  rows = parts.learner.draw(parts.buffer, np.random.default_rng(3))
  expected = parts.buffer.sample(_BATCH, np.random.default_rng(3))
  np.testing.assert_array_equal(rows, expected)
  observations, noise = rows[:1, :4], np.zeros((1, 2), np.float32)
  _, scalars = parts.learner.train_on(rows, observations, noise)
  np.testing.assert_allclose(
    scalars['Losses/total_loss'],
    np.mean(scalars[base.PER_SAMPLE]),
    rtol=1e-6,
  )


def test_uniform_replay_has_no_priorities():
  assert _Parts(priority_exponent=0.0).learner.saved == {}


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({'priority_exponent': -1.0}, r'an exponent in \[0, 10\]'),
    ({'num_gpus': 2}, 'priority_exponent on one device'),
    ({'agent': 'td3'}, 'priority_exponent with agent=dqn only'),
  ],
)
def test_what_does_not_fit_is_refused(changes, expected):
  with pytest.raises(ValueError, match=expected):
    _config(**changes)
