"""docs/results/static: the deviations do what they say, and are the code's."""

import importlib.util
import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from absl.testing import flagsaver
from tf_agents.networks import sequential

from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry, sizing

_ROOT = pathlib.Path(__file__).parents[2]
_SPEC = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_BOTH = ['intersection', 'dense_critic_2']
# Of a critic of HalfCheetah at 0.9, and what two of its masks share.
_PLAN = sizing.Plan(23, (256, 256), 1, 0.9)
_MEANT = [0.4141, 0.0683, 1.0]
_SHARED = [0.1715, 0.00466, 1.0]


@pytest.fixture(scope='module', name='recreate')
def _recreate():
  path = _ROOT / 'docs' / 'results' / 'static' / 'recreate.py'
  spec = importlib.util.spec_from_file_location('recreate', path)
  module = importlib.util.module_from_spec(spec)
  with flagsaver.flagsaver():  # Its flags are those of no other test.
    spec.loader.exec_module(module)
    yield module


def _agent(recreate, deviations, sparsity_of_each=0.8):
  config = flags.make_config(
    {
      'agent': 'sac',
      'method': 'static',
      'num_env_steps': 400,
      'initial_collect_env_steps': 100,
      'hidden_units': (24, 16),
      'batch_size': 16,
      'sparsity': sparsity_of_each,
    }
  )
  with recreate.deviating(deviations):
    return registry.build(config, _SPEC)


def _rows():
  rows = np.random.default_rng(0).normal(size=(16, 14)).astype(np.float32)
  rows[:, 8] = 1.0
  return rows


def _densities(network):
  kernels = [v for v in network.variables if 'kernel' in v.name]
  return [np.mean(kernel.numpy() != 0) for kernel in kernels]


@pytest.mark.parametrize(
  'index, deviations, expected',
  [
    (1, [], _MEANT),
    (1, ['dense_critic_2'], _MEANT),
    (1, _BOTH, _SHARED),
    (2, ['intersection'], _MEANT),
    (2, _BOTH, [1.0, 1.0, 1.0]),
  ],
)
def test_sparsities_of_a_critic(recreate, index, deviations, expected):
  found = recreate.critic_sparsities(_PLAN, 'erk', index, deviations)
  assert [*found] == ['hidden_0', 'hidden_1', 'output']
  assert 1 - np.array([*found.values()]) == pytest.approx(expected, abs=5e-5)


def test_two_masks_of_the_package_share_what_the_deviation_leaves():
  shape = (23, 256)
  masks = [
    sparsity.sparsify(
      [tf.keras.layers.Dense(256)],
      *('static', 1 - _MEANT[0]),
      seed=seed,
      input_shape=[None, shape[0]],
    )[0].mask.numpy()
    for seed in (0, 1)
  ]
  assert np.mean(masks[0] * masks[1]) == pytest.approx(_SHARED[0], abs=0.015)


def test_only_the_critics_deviate_and_stay_so_in_training(recreate):
  plain, both = _agent(recreate, []), _agent(recreate, _BOTH)
  actor, meant = (
    _densities(plain.networks[name]) for name in ('actor', 'critic_1')
  )
  train = tf.function(both.train)
  for _ in range(3):
    assert _densities(both.networks['actor']) == actor
    for network in (both.networks['critic_1'], both.targets['critic_1']):
      assert _densities(network) == pytest.approx(np.square(meant), abs=0.01)
    for network in (both.networks['critic_2'], both.targets['critic_2']):
      assert _densities(network) == [1.0] * 3
    train(tf.constant(_rows()))
  assert min(meant) < 0.3


def test_what_only_the_first_mask_has_leaks_into_the_actors_loss(recreate):
  # At 0.8 nearly all gradients of a network this small are 0.
  agent = _agent(recreate, ['leak', 'dense_critic_2'], 0.5)
  assert agent.fused_step(16) is None
  first, tf_agent = agent.networks['critic_1'], agent.tf_agent
  masks = [layer.mask.numpy() for layer in sparsity.sparse_layers(first)]
  meant, before = [mask.mean() for mask in masks], _densities(first)
  assert before == pytest.approx(np.square(meant), abs=0.1)
  seen, mask_again = [], tf_agent.mask_again
  tf_agent.mask_again = lambda: (seen.append(_densities(first)), mask_again())
  tf_agent._train(agent.experience(tf.constant(_rows())))  # Eagerly.
  assert before[1] + 0.1 < seen[0][1] <= meant[1]
  for network in (first, agent.targets['critic_1']):
    assert _densities(network) == pytest.approx(before, abs=0.01)
  assert _densities(agent.networks['critic_2']) == [1.0] * 3


def _layer_and_copy(layer):
  """A layer and a copy, made by TF-Agents before both are built."""
  spec = tf.TensorSpec([2], tf.float32)
  first = sequential.Sequential([layer], input_spec=spec)
  second = first.copy(name='second')
  first.create_variables()
  second.create_variables()
  return first.layers[0], second.layers[0]


def test_a_copied_wrapper_masks_the_kernel_of_the_original():
  schedule = tfmot.sparsity.keras.ConstantSparsity(0, begin_step=10**9)
  layer = tfmot.sparsity.keras.prune_low_magnitude(
    tf.keras.layers.Dense(3), pruning_schedule=schedule
  )
  first, second = _layer_and_copy(layer)
  kernel, mask, _ = second.pruning_vars[0]
  assert kernel is first.layer.kernel
  mask.assign(tf.zeros_like(mask))
  second(tf.ones([1, 2]))
  assert not np.any(first.layer.kernel)
  assert np.all(second.layer.kernel)


def test_a_copied_sparse_layer_masks_its_own_kernel():
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(6), 0.5, 0)
  for copy in _layer_and_copy(layer):
    kernel, mask, _ = copy.pruning_vars[0]
    assert kernel is copy.layer.kernel
    assert np.sum(mask.numpy() == 0) == np.sum(kernel.numpy() == 0) == 6


def test_runs_are_collected(recreate, tmp_path):
  run = tmp_path / 'both_0.9_0'
  run.mkdir()
  lines = [{'env_step': i, 'return_mean': i / 2, 'other': 0} for i in (0, 5)]
  text = '\n'.join(map(json.dumps, lines))
  (run / 'results.jsonl').write_text(text, 'utf-8')
  (tmp_path / 'both_0.9_0.deviations.json').write_text('[]', 'utf-8')
  file = io.StringIO()
  recreate.collect(tmp_path, file)
  assert file.getvalue() == (
    'run,env_step,return_mean\nboth_0.9_0,0,0.0\nboth_0.9_0,5,2.5\n'
  )


def test_other_deviations_than_those_of_the_run_are_refused(recreate, tmp_path):
  noted = tmp_path / 'run.deviations.json'
  noted.write_text('["intersection"]', 'utf-8')
  with pytest.raises(ValueError, match='Expected the deviations'):
    recreate.train(tmp_path / 'run', [])
  with pytest.raises(ValueError, match='Expected some of'):
    recreate.train(tmp_path / 'run', ['other'])
  with pytest.raises(ValueError, match='intersection or leak'):
    recreate.train(tmp_path / 'run', ['leak', 'intersection'])
  assert noted.read_text('utf-8') == '["intersection"]'
