"""SAC and PPO on images: encoders that are sparse like all layers."""

import functools

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags, replay, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.diagnostics import trace
from tf_sparse_rl.networks import residual
from tf_sparse_rl.sparsity import counting
from tf_sparse_rl.training import learner

_SHAPE = (10, 9, 3)


class _Pictures(gym.Env):
  """Shows noise; the reward is the first entry of the action."""

  observation_space = gym.spaces.Box(0, 255, _SHAPE, np.uint8)

  def __init__(self, several=False):
    self.action_space = gym.spaces.Box(-1, 1, (2,))
    if several:
      self.action_space = gym.spaces.MultiDiscrete([2, 3])

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return self._observe(), {}

  def _observe(self):
    return self.np_random.integers(256, size=_SHAPE, dtype=np.uint8)

  def step(self, action):
    is_over = self.np_random.random() < 0.1
    return self._observe(), float(action[0]), is_over, False, {}


gym.register('Pictures-v0', _Pictures, max_episode_steps=20)


def _config(agent, **changes):
  values = {
    'agent': agent,
    'env_name': 'Pictures-v0',
    'network': 'nature_cnn',
    'hidden_units': (12,),
    'width': 0.25,
    'batch_size': 8,
    'num_env_steps': 320,
    'mask_update_period': 2,
    'mask_update_end_train_step': 30,
    'prune_begin_train_step': 2,
    'prune_end_train_step': 4,
    'sparsity': 0.8,
  }
  if agent == 'ppo':
    values.update(rollout_env_steps=32, num_epochs=2)
  else:
    values.update(initial_collect_env_steps=64)
  return flags.make_config({**values, **changes})


def _collect(env, buffer, choose, num_steps):
  """Adds env steps; returns the last observation."""
  observation = env.reset(0)
  for i in range(num_steps):
    action = choose(observation)
    step = env.step(action)
    buffer.add(observation, action, step)
    observation = step.observation
    if step.terminated or step.truncated:
      observation = env.reset(i)
  return observation


@functools.cache  # A graph takes seconds.
def _trained(config, num_trainings=6):
  """(agent, learner, buffer, scalars of each training)."""
  env = envs.make(config)
  agent = registry.build(config, env.spec)
  buffer = replay.make(config, env.spec)
  learn = learner.make(config, agent, buffer)
  rng = np.random.default_rng(0)

  def act(observation):
    noise = agent.noise(rng, 1)
    return learn.act(observation[np.newaxis], noise)[0]

  observation = _collect(env, buffer, act, config.rollout_env_steps or 64)
  scalars = []
  for _ in range(num_trainings):
    noise = agent.noise(rng, 1)
    _, now = learn.train_and_act(buffer, rng, observation[np.newaxis], noise)
    scalars.append({tag: float(value) for tag, value in now.items()})
  return agent, learn, buffer, scalars


@pytest.mark.parametrize('method', ['rigl', 'prune'])
@pytest.mark.parametrize('agent', ['sac', 'ppo'])
def test_encoders_are_trained_and_sparse(agent, method):
  config = _config(agent, method=method)
  built, learn, _, scalars = _trained(config)
  assert all(np.isfinite(list(now.values())).all() for now in scalars)
  assert learn.train_step >= 6
  for network in built.networks.values():
    layers = sparsity.sparse_layers(network)
    # Three convolutions, a hidden layer, the output.
    assert len(layers) == 5
    for layer in layers:
      assert not layer.kernel.numpy()[layer.mask.numpy() == 0].any()
    total = counting.total(counting.count([network]))
    assert total.sparsity == pytest.approx(0.8, abs=0.02)
  # No network has a layer of another's.
  variables = [
    variable.ref()
    for network in built.networks.values()
    for variable in network.trainable_variables
  ]
  assert len({*variables}) == len(variables)


@pytest.mark.parametrize('agent', ['sac', 'ppo'])
def test_the_convolutions_learn(agent):
  config = _config(agent, method='rigl')
  env = envs.make(config)
  before = registry.build(config, env.spec)
  after, _, _, _ = _trained(config)
  for name, network in after.networks.items():
    old = sparsity.sparse_layers(before.networks[name])[0].kernel.numpy()
    new = sparsity.sparse_layers(network)[0].kernel.numpy()
    assert new.shape[:2] == (8, 8)
    both = (new != 0) & (old != 0)
    assert both.any() and np.abs(new - old)[both].max() > 0


def test_a_critic_joins_features_and_actions():
  config = _config('sac', method='rigl')
  agent, _, buffer, _ = _trained(config)
  critic = agent.networks['critic_1']
  encoder = critic.layers[0]
  assert isinstance(encoder, residual.Encoder)
  rows = buffer.transitions(np.arange(5))
  assert (rows.action.dtype, rows.action.shape) == (np.float32, (5, 2))
  inputs = tf.constant(rows.observation), tf.constant(rows.action)
  joined = encoder(inputs).numpy()
  # 10 x 9 in strides of 4, 2 and 1: 2 x 2 pixels of 16 channels.
  assert joined.shape == (5, 2 * 2 * 16 + 2)
  np.testing.assert_array_equal(joined[:, -2:], rows.action)
  one, _ = critic(inputs)
  other, _ = critic((inputs[0], inputs[1] + 1))
  assert np.abs(one - other).max() > 0


@pytest.mark.parametrize('agent', ['sac', 'ppo'])
def test_diagnoses_trace_encoders(agent):
  config = _config(agent, method='rigl')
  built, learn, buffer, _ = _trained(config)
  rows = learn.draw(buffer, np.random.default_rng(0))
  rows = tf.nest.map_structure(tf.constant, rows)
  for name, probe in built.probes(rows).items():
    network = built.networks[name]
    found = trace.trace(network, probe.inputs, probe.losses)
    assert len(found.layers) == 5
    expected = probe.inputs
    for layer in network.layers[:-1]:
      expected = layer(expected)
    np.testing.assert_allclose(found.outputs, expected, rtol=1e-3, atol=1e-4)


def test_actions_of_several_integers_on_images():
  config = _config('ppo', env_kwargs='{"several": true}')
  _, _, _, scalars = _trained(config)
  assert np.isfinite(scalars[-1]['Losses/total_loss'])


@pytest.mark.parametrize('agent', ['sac', 'ppo'])
def test_the_network_must_fit(agent):
  with pytest.raises(ValueError, match='network=mlp, observations of shape'):
    envs.make(_config(agent, network='mlp'))
  flat = 'Pendulum-v1'
  with pytest.raises(ValueError, match='shape .3. from Pendulum-v1'):
    envs.make(_config(agent, env_name=flat))
  with pytest.raises(ValueError, match='match_sparsity'):
    _config(agent, method='dense', match_sparsity=0.9)


def test_images_are_kept_once_and_whole():
  config = _config('sac')
  env = envs.make(config)
  buffer = replay.make(config, env.spec)
  rng = np.random.default_rng(1)
  seen = []

  def act(observation):
    seen.append(observation)
    return env.random_action(rng)

  _collect(env, buffer, act, 40)
  numbers = np.array([0, 7, 38])
  rows = buffer.transitions(numbers)
  for i, number in enumerate(numbers):
    np.testing.assert_array_equal(rows.observation[i], seen[number])
  assert rows.observation.dtype == np.uint8
  again = replay.make(config, env.spec)
  again.restore([(0, buffer.rows(0, 25)), (25, buffer.rows(25, 40))], 40)
  for old, new in zip(rows, again.transitions(numbers)):
    np.testing.assert_array_equal(old, new)
