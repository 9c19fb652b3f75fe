"""Invariants of masks for every method, optimizer and network."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import distributions, mask_updates

_METHODS = ['static', 'set', 'rigl', 'prune']
_OPTIMIZERS = {
  'adam': lambda: tf.keras.optimizers.Adam(0.02),
  'momentum': lambda: tf.keras.optimizers.SGD(0.02, momentum=0.9),
  'legacy_adam': lambda: tf.keras.optimizers.legacy.Adam(0.02),
}


def _setup(method, optimizer, network):
  model = sparsity.sparsify(
    networks.NETWORKS[network](), method, target_sparsity=0.7
  )
  sparse_optimizer = sparsity.SparseOptimizer(
    _OPTIMIZERS[optimizer](), networks.updater(method), model
  )
  return model, sparse_optimizer


@pytest.mark.parametrize('network', networks.NETWORKS)
@pytest.mark.parametrize('optimizer', _OPTIMIZERS)
@pytest.mark.parametrize('method', _METHODS)
def test_invariants_hold_after_every_step(method, optimizer, network):
  model, sparse_optimizer = _setup(method, optimizer, network)
  layers = [x for x in sparsity.sparse_layers(model) if x.target_sparsity]
  assert len(layers) >= 2
  budgets = [
    distributions.num_zeros(x.kernel.shape, x.target_sparsity) for x in layers
  ]
  step = networks.train_step(model, sparse_optimizer)
  for train_step in range(7):
    before = [layer.mask.numpy() for layer in layers]
    # Schedules count train steps, however many forward passes there are.
    for _ in range(train_step % 3):
      model(networks.batch(model)[0], training=True)
    assert int(sparse_optimizer.iterations.numpy()) == train_step
    step(*networks.batch(model, seed=train_step))
    due = {
      'static': False,
      'set': train_step % 2 == 0,
      'rigl': train_step % 2 == 0,
      'prune': train_step in (3, 5),
    }[method]
    changed = False
    for layer, old, budget in zip(layers, before, budgets):
      mask, kernel = layer.mask.numpy(), layer.kernel.numpy()
      changed |= bool(np.any(mask != old))
      assert set(np.unique(mask)) <= {0.0, 1.0}
      assert np.all(kernel[mask == 0] == 0)
      for slot in networks.slots(sparse_optimizer, layer.kernel):
        assert np.all(slot.numpy()[mask == 0] == 0)
      zeros = int(np.sum(mask == 0))
      if method == 'prune':
        assert np.all(mask <= old)
        assert zeros <= budget
        assert zeros == budget or train_step < 5
      else:
        assert zeros == budget
    assert changed == due


def _grown_and_regrown(optimizer):
  """One RigL update of a known layer; before and after, with slots.

  The update comes alone: no gradient step follows it.
  """
  layer = sparsity.SparseLayer(
    tf.keras.layers.Dense(8, use_bias=False), target_sparsity=0.5
  )
  layer.build((None, 1))
  layer.mask.assign([[1, 1, 1, 1, 0, 0, 0, 0]])
  layer.kernel.assign([[4, -1, 3, -2, 0, 0, 0, 0]])
  sparse_optimizer = sparsity.SparseOptimizer(
    _OPTIMIZERS[optimizer](), sparsity.RigL(0.75, 1)
  )
  sparse_optimizer.build([layer.kernel])
  slots = networks.slots(sparse_optimizer, layer.kernel)
  for i, slot in enumerate(slots):
    slot.assign((i + 1) * layer.mask * [[5, 6, 7, 8, 9, 9, 9, 9]])
  gradient = tf.constant([[0, 0, 9, -8, 0, 0, 0, 7]], tf.float32)
  mask_updates.update_if_due(
    sparse_optimizer.updater,
    sparse_optimizer._sparse_kernels,
    [gradient],
    tf.constant(0, tf.int64),
  )
  return layer, slots


@pytest.mark.parametrize('optimizer', _OPTIMIZERS)
def test_grown_dropped_and_regrown_connections(optimizer):
  """Entry 0 is kept, 2 and 3 come back, 1 goes, 7 comes."""
  layer, slots = _grown_and_regrown(optimizer)
  np.testing.assert_array_equal(layer.mask[0], [1, 0, 1, 1, 0, 0, 0, 1])
  np.testing.assert_array_equal(layer.kernel[0], [4, 0, 3, -2, 0, 0, 0, 0])
  assert slots
  for i, slot in enumerate(slots):
    expected = (i + 1) * np.array([5, 0, 7, 8, 0, 0, 0, 0])
    np.testing.assert_array_equal(slot[0], expected)


def _run(method, network, mode):
  """Masks and kernels after six steps, in one way of running them."""
  model, optimizer = _setup(method, 'adam', network)
  step = networks.train_step(model, optimizer)
  if mode != 'eager':
    step = tf.function(step, autograph=False, jit_compile=mode == 'compiled')
  for i in range(6):
    step(*networks.batch(model, seed=i))
  assert int(optimizer.iterations) == 6
  return networks.masks(model), networks.kernels(model)


@pytest.mark.parametrize(
  ('method', 'network'),
  [('set', 'dense'), ('rigl', 'dense'), ('rigl', 'conv'), ('prune', 'dense')],
)
def test_same_masks_eager_in_a_graph_and_compiled(method, network):
  expected_masks, expected_kernels = _run(method, network, 'eager')
  for mode in ('graph', 'compiled'):
    masks, kernels = _run(method, network, mode)
    for ours, theirs in zip(masks, expected_masks):
      np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(kernels, expected_kernels):
      np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
  ('method', 'optimizer'),
  [
    ('set', 'adam'),
    ('rigl', 'adam'),
    ('rigl', 'legacy_adam'),
    ('prune', 'adam'),
  ],
)
def test_replicas_agree_with_each_other_and_with_a_single_device(
  two_replicas, method, optimizer
):
  assert two_replicas.num_replicas_in_sync == 2
  with two_replicas.scope():
    model, sparse_optimizer = _setup(method, optimizer, 'dense')

  def replica_step(inputs, targets):
    # Gradients are summed over replicas: each gives its half of the mean.
    pairs = networks.gradients(model, inputs, targets)
    sparse_optimizer.apply_gradients([(g / 2, v) for g, v in pairs])

  @tf.function(autograph=False)
  def step(inputs, targets):
    two_replicas.run(replica_step, args=(inputs, targets))

  single, single_optimizer = _setup(method, optimizer, 'dense')
  single_step = tf.function(
    networks.train_step(single, single_optimizer), autograph=False
  )
  for i in range(6):
    whole = networks.batch(single, size=16, seed=i)
    halves = [tf.split(tensor, 2) for tensor in whole]
    step(
      *(
        two_replicas.experimental_distribute_values_from_function(
          lambda c, half=half: half[c.replica_id_in_sync_group]
        )
        for half in halves
      )
    )
    single_step(*whole)

  assert sparse_optimizer.iterations.numpy() == 6
  for layer, other in zip(
    sparsity.sparse_layers(model), sparsity.sparse_layers(single)
  ):
    for variable in (layer.mask, layer.kernel):
      first, second = two_replicas.experimental_local_results(variable)
      np.testing.assert_array_equal(first.numpy(), second.numpy())
    np.testing.assert_array_equal(layer.mask.numpy(), other.mask.numpy())
    np.testing.assert_allclose(
      layer.kernel.numpy(), other.kernel.numpy(), rtol=1e-3, atol=1e-5
    )
    for slot in networks.slots(sparse_optimizer, layer.kernel):
      assert np.all(slot.numpy()[layer.mask.numpy() == 0] == 0)


_FIVE_STEPS = """
import tf_sparse_rl, tensorflow as tf
from tf_sparse_rl import sparsity
from tests.sparsity import networks
model = sparsity.sparsify(networks.dense_network(), 'set', seed=7)
optimizer = sparsity.SparseOptimizer(
  tf.keras.optimizers.Adam(0.02), networks.updater('set'), model)
step = networks.train_step(model, optimizer)
for i in range(5):
  step(*networks.batch(model, seed=i))
print([m.ravel().tolist() for m in networks.masks(model)])
print([k.ravel().tolist() for k in networks.kernels(model)])
"""


def test_same_seed_same_run_in_another_process(capsys):
  result = subprocess.run(
    [sys.executable, '-c', _FIVE_STEPS],
    env={
      **os.environ,
      'PYTHONHASHSEED': '12345',
      'PYTHONPATH': os.pathsep.join(p for p in sys.path if p),
    },
    check=True,
    capture_output=True,
    text=True,
  )
  capsys.readouterr()
  exec(_FIVE_STEPS, {})
  ours = capsys.readouterr().out.splitlines()
  assert result.stdout.splitlines()[-2:] == ours[-2:]
  assert len(ours[-1]) > 100
