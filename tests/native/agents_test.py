"""Seeded agents trained on native kernels are those of the masked path."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.native import backend, library
from tf_sparse_rl.training import learner

_SPECS = {
  'dqn': envs.EnvSpec('CartPole-v1', 4, 2, 500),
  'sac': envs.EnvSpec(
    'HalfCheetah-v5', 4, None, 1000, (-1.0, -2.0), (1.0, 0.5)
  ),
}
_NUM_TRAIN_STEPS = 24


@pytest.fixture(autouse=True)
def native_kernels():
  if library.load() is None:
    pytest.skip(library.problem())


def _config(agent, method, **changes):
  return flags.make_config(
    {
      'agent': agent,
      'method': method,
      'num_env_steps': 200,
      'initial_collect_env_steps': 100,
      'hidden_units': (48, 32),
      'batch_size': 32,
      'mask_update_period': 5,
      'mask_update_end_train_step': 20,
      'prune_begin_train_step': 5,
      'prune_end_train_step': 20,
      'target_update_period': 3 if agent == 'dqn' else 1,
      'sparsity': 0.8,
      'weight_decay': 1e-3,
      **changes,
    }
  )


def _trained(agent, method, backend_name, **changes):
  """(Agent, losses, actions, operations of the train step)."""
  backend.set_backend(backend_name)
  spec, config = _SPECS[agent], _config(agent, method, **changes)
  built = registry.build(config, spec)
  size = 2 * spec.observation_size + spec.action_size + 2
  learn = learner.ReplayLearner(
    built, 32, tf.TensorSpec([size]), tf.TensorSpec([spec.observation_size])
  )
  rng = np.random.default_rng(0)
  losses, actions = [], []
  for _ in range(_NUM_TRAIN_STEPS):
    rows = np.float32(rng.normal(size=(32, size)))
    if agent == 'dqn':
      rows[:, 4] = rng.integers(2, size=32)
    rows[:, spec.observation_size + spec.action_size + 1] = rng.random(32) < 0.9
    action, scalars = learn.train_on(
      rows, np.float32(rng.normal(size=(1, 4))), built.noise(rng, 1)
    )
    losses.append(float(scalars['Losses/total_loss']))
    actions.append(action[0])
  graph = learn._train_step._compiled[False].graph
  kinds = {op.type for op in graph.get_operations()}
  return built, np.array(losses), np.array(actions), kinds


def _networks(agent):
  """The trained networks and their targets."""
  tf_agent = agent.tf_agent
  names = ('_target_q_network', '_target_critic_network_1')
  targets = [getattr(tf_agent, n) for n in names if hasattr(tf_agent, n)]
  return [*agent.networks.values(), *targets]


_CASES = [
  *(('dqn', m, {}) for m in ('dense', 'static', 'set', 'rigl', 'prune')),
  ('dqn', 'rigl', {'block_shape': (4, 1)}),
  (
    *('dqn', 'rigl'),
    {'n_of_m': (2, 4), 'sparsity': 0.5, 'distribution': 'uniform'},
  ),
  ('sac', 'rigl', {}),
]


@pytest.mark.parametrize(('agent', 'method', 'changes'), _CASES)
def test_masks_weights_losses_and_actions_agree(agent, method, changes):
  built, losses, actions, kinds = _trained(agent, method, 'native', **changes)
  other, other_losses, other_actions, _ = _trained(
    agent, method, 'masked', **changes
  )
  native = {kind for kind in kinds if kind.startswith('TfSparseRl')}
  assert bool(native) == (method != 'dense')
  np.testing.assert_allclose(losses, other_losses, rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(actions, other_actions, rtol=1e-3, atol=1e-4)
  for ours, theirs in zip(_networks(built), _networks(other)):
    for a, b in zip(
      sparsity.sparse_layers(ours), sparsity.sparse_layers(theirs)
    ):
      np.testing.assert_array_equal(a.mask, b.mask)
      assert not a.kernel.numpy()[a.mask.numpy() == 0].any()
    for a, b in zip(ours.trainable_variables, theirs.trainable_variables):
      np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4)


def test_a_native_run_repeats_itself_bit_by_bit():
  first = _trained('dqn', 'rigl', 'native')
  second = _trained('dqn', 'rigl', 'native')
  np.testing.assert_array_equal(first[1], second[1])
  np.testing.assert_array_equal(first[2], second[2])
  for ours, theirs in zip(_networks(first[0]), _networks(second[0])):
    for a, b in zip(ours.variables, theirs.variables):
      np.testing.assert_array_equal(a, b)


def test_dense_gradients_are_for_mask_updates_only():
  backend.set_backend('native')
  agent = registry.build(_config('dqn', 'rigl'), _SPECS['dqn'])
  learn = learner.ReplayLearner(
    agent, 32, tf.TensorSpec([11]), tf.TensorSpec([4])
  )
  graph = learn._train_step._compiled[False].graph
  [adam] = [op for op in graph.get_operations() if op.type == 'TfSparseRlAdam']
  # What Adam asks for: everything upstream of it.
  seen, waiting = set(), [adam]
  while waiting:
    op = waiting.pop()
    if op.name not in seen:
      seen.add(op.name)
      waiting += [tensor.op for tensor in op.inputs]
  kinds = [graph.get_operation_by_name(name).type for name in seen]
  sparse = [x for x in agent.policy_layers if x.target_sparsity > 0]
  assert kinds.count('TfSparseRlWeightGradients') == 1
  # Of layers that ERK left dense alone.
  assert kinds.count('TfSparseRlDenseGradient') == 3 - len(sparse)
