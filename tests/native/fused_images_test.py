"""Fused train steps on images against DQN's `_train` on the masked path."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.native import fused_runs
from tf_sparse_rl import envs, flags, replay, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.native import backend, library
from tf_sparse_rl.training import learner

_SHAPE = (18, 16, 4)
_SPEC = envs.EnvSpec('ALE/Pong-v5', 1152, 3, None, observation_shape=_SHAPE)


@pytest.fixture(autouse=True)
def native_kernels():
  if library.load() is None:
    pytest.skip(library.problem())


class _Run(fused_runs.Run):
  """An agent that is trained on random batches, the same for each backend."""

  def __init__(self, backend_name, batch_size=24, num_envs=2, **changes):
    tf.keras.utils.set_random_seed(0)
    self.backend_name, self.batch_size = backend_name, batch_size
    self.num_envs = num_envs
    backend.set_backend(backend_name)
    values = {
      'agent': 'dqn',
      'method': 'rigl',
      'network': 'nature_cnn',
      'width': 0.25,
      'num_env_steps': 400,
      'initial_collect_env_steps': 100,
      'batch_size': batch_size,
      'learning_rate': 1e-3,
      'adam_epsilon': 1e-4,
      'mask_update_period': 5,
      'mask_update_end_train_step': 900,
      'prune_begin_train_step': 2,
      'prune_end_train_step': 20,
      'target_update_period': 3,
      'sparsity': 0.8,
      'weight_decay': 1e-3,
    }
    self.agent = registry.build(flags.make_config({**values, **changes}), _SPEC)
    self.rng = np.random.default_rng(0)
    self.outcomes = []  # (actions, actions alone, scalars) of each train step

  @functools.cached_property
  def learn(self):
    backend.set_backend(self.backend_name)
    specs = self.agent.tf_agent.collect_data_spec
    observation, action = specs.observation, specs.action
    scalar = tf.TensorSpec([])
    return learner.ReplayLearner(
      self.agent,
      self.batch_size,
      replay.Transitions(observation, action, scalar, scalar, observation),
      observation,
    )

  def images(self, size):
    return self.rng.integers(256, size=(size, *_SHAPE), dtype=np.uint8)

  def rows(self):
    size = self.batch_size
    return replay.Transitions(
      self.images(size),
      self.rng.integers(3, size=size, dtype=np.int32),
      self.rng.normal(size=size).astype(np.float32),
      (self.rng.random(size) < 0.7).astype(np.float32),
      self.images(size),
    )

  def train(self, num_train_steps=1):
    assert self.learn.is_fused == (self.backend_name == 'fused')
    for _ in range(num_train_steps):
      observations = self.images(self.num_envs)
      noise = self.agent.noise(self.rng, self.num_envs)
      actions, scalars = self.learn.train_on(self.rows(), observations, noise)
      alone = self.learn.act(observations, noise)
      scalars = {tag: float(value) for tag, value in scalars.items()}
      self.outcomes.append((actions, alone, scalars))
    return self


def _assert_close(ours, theirs):
  for (actions, alone, scalars), (others, _, other_scalars) in zip(
    ours.outcomes, theirs.outcomes, strict=True
  ):
    np.testing.assert_array_equal(actions, others)
    np.testing.assert_array_equal(alone, others)
    assert scalars == pytest.approx(other_scalars, rel=1e-3, abs=1e-5)
  fused_runs.assert_variables_close(ours, theirs, rtol=1e-3, atol=1e-5)


_CASES = {
  'rigl': {'double_dqn': True, 'td_loss': 'huber'},
  # Examples side by side only from 10 on; blocks of 32 and of 64.
  'few_examples': {'batch_size': 7, 'num_envs': 1, 'target_update_tau': 0.2},
  'many_examples': {'method': 'set', 'batch_size': 70, 'weight_decay': 0.0},
  'prune': {'method': 'prune', 'reward_scale': 5.0},
}


@pytest.mark.parametrize(
  'case',
  [
    pytest.param(case, marks=[] if case == 'rigl' else pytest.mark.slow)
    for case in _CASES
  ],
)
def test_two_steps_and_twelve_are_those_of_the_agent(case):
  ours, theirs = (_Run(b, **_CASES[case]) for b in ('fused', 'masked'))
  for num_train_steps in (2, 10):
    _assert_close(ours.train(num_train_steps), theirs.train(num_train_steps))
  for network in (*ours.agent.networks.values(), *ours.agent.targets.values()):
    for layer in sparsity.sparse_layers(network):
      assert not layer.kernel.numpy()[layer.mask.numpy() == 0].any()


def test_kernels_keep_their_shapes_where_they_are_read():
  run = _Run('fused', method='static').train(3)
  shapes = [v.shape for v in run.variables]
  assert [value.shape for value in run.values()] == shapes
  run.train()
  kernel = run.agent.networks['q_network'].trainable_variables[0]
  read = tf.function(lambda: tf.reduce_sum(kernel, [0, 1, 2]), autograph=False)
  assert read().shape == kernel.shape[3:]
  run.train()
  assert [value.shape for value in run.values()] == shapes


def test_what_a_checkpoint_holds_goes_on_bit_by_bit(tmp_path):
  whole, first, second = (_Run('fused') for _ in range(3))
  whole.train(12)
  fused_runs.go_on_from(first.train(7), second, tmp_path)
  second.train(5)
  for a, b in zip(whole.values(), second.values(), strict=True):
    np.testing.assert_array_equal(a, b)
  np.testing.assert_array_equal(whole.outcomes[-1][0], second.outcomes[-1][0])


def test_images_that_do_not_fit_are_told():
  run = _Run('fused', method='static').train()
  step = run.agent.fused_step(run.batch_size)
  rows, observations = run.rows(), run.images(1)
  noise = np.zeros((1, 2), np.float32)
  one_less = rows._replace(next_observation=rows.next_observation[1:])
  narrow = rows._replace(observation=rows.observation[:, :, 1:])
  for changed in (
    (one_less, observations, noise),
    (narrow, observations, noise),
    (rows, np.float32(observations), noise),
    (rows, observations[:, 1:], noise),
  ):
    with pytest.raises(tf.errors.InvalidArgumentError, match='Expected'):
      step(*changed)
  with pytest.raises(tf.errors.InvalidArgumentError, match='Expected obs'):
    step.act(observations, noise[:, 1:])


@pytest.mark.parametrize('network', ['impala_resnet', 'nature_cnn'])
def test_other_networks_are_trained_by_tensorflow(network):
  run = _Run('fused', network=network)
  is_fused = network == 'nature_cnn'
  assert (run.agent.fused_step(24) is not None) == is_fused
  layers = run.agent.tf_agent._q_network.layers
  layers[1].layer.activation = tf.nn.tanh
  assert run.agent.fused_step(24) is None
