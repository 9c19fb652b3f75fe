"""Straight-through top-k: all weights are trained, the largest compute."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity

# The gradient of every weight, whatever the mask.
_SLOPES = [3.0, 0.0, 0.0, -2.0]
# Kernel, and what its mask hides, after each train step: pruning ends at 1.
_BY_HAND = [
  ([1, 3, 2, 3], [0, 0, 0, 0]),
  ([0, 3, 0, 5], [-2, 0, 2, 0]),
  ([-5, 0, 0, 7], [0, 3, 2, 0]),  # The first comes back.
  ([-8, 0, 0, 9], [0, 3, 2, 0]),
]


def _line(optimizer, **options):
  """Four weights, of which two stay; returns model, optimizer, train step."""
  layer = tf.keras.layers.Dense(4, use_bias=False, input_shape=(1,), **options)
  model = sparsity.sparsify(
    tf.keras.Sequential([layer]), 'straight_through', 0.5
  )
  model.layers[0].set_weights([np.array([[4.0, 3, 2, 1]])])
  updater = sparsity.StraightThrough(0, 1)
  optimizer = sparsity.SparseOptimizer(optimizer, updater, model)

  def step():
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(model(tf.ones([1, 1])) * _SLOPES)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

  return model, optimizer, step


@pytest.mark.parametrize(
  ('kind', 'mode'),
  [
    ('current', 'eager'),
    ('current', 'compiled'),
    ('legacy', 'graph'),
  ],
)
def test_by_hand(kind, mode):
  keras = tf.keras.optimizers
  model, optimizer, step = _line(
    (keras if kind == 'current' else keras.legacy).SGD(1.0)
  )
  if mode != 'eager':
    step = tf.function(step, autograph=False, jit_compile=mode == 'compiled')
  [weight] = sparsity.sparse_weights(model)
  for kernel, hidden in _BY_HAND:
    step()
    np.testing.assert_allclose(weight.variable, [kernel], atol=1e-5)
    np.testing.assert_array_equal(weight.mask, [np.array(kernel) != 0])
    np.testing.assert_allclose(optimizer.variables[-1], [hidden], atol=1e-5)


def test_what_others_write_is_trained_on():
  model, optimizer, step = _line(tf.keras.optimizers.SGD(1.0))
  step()
  step()
  model.layers[0].set_weights([np.full([1, 4], 10.0)])
  [weight] = sparsity.sparse_weights(model)
  # The mask is there still, and so is what it hides.
  np.testing.assert_array_equal(weight.variable, [[0, 10, 0, 10]])
  step()
  np.testing.assert_allclose(weight.variable, [[0, 10, 0, 12]], atol=1e-5)
  np.testing.assert_allclose(optimizer.variables[-1], [[-5, 0, 2, 0]])


def test_a_constraint_holds_for_hidden_weights():
  constraint = tf.keras.constraints.NonNeg()
  model, optimizer, step = _line(
    tf.keras.optimizers.SGD(1.0), kernel_constraint=constraint
  )
  for _ in range(3):
    step()
  [weight] = sparsity.sparse_weights(model)
  np.testing.assert_allclose(weight.variable, [[0, 3, 0, 7]], atol=1e-5)
  np.testing.assert_allclose(optimizer.variables[-1], [[0, 0, 2, 0]])


def _trained(model, optimizer, first, last):
  step = networks.train_step(model, optimizer)
  for seed in range(first, last):
    step(*networks.batch(model, seed=seed))


@pytest.mark.parametrize('network', networks.NETWORKS)
@pytest.mark.parametrize('structure', [{}, {'block_shape': 'unit'}])
def test_budgets_are_met_and_a_file_goes_on(network, structure, tmp_path):
  """Over shapes and structures; a file holds what is hidden."""
  model = sparsity.sparsify(
    networks.NETWORKS[network](), 'straight_through', 0.7, **structure
  )
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.1), sparsity.StraightThrough(1, 4), model
  )
  model.compile(optimizer, 'mse')
  _trained(model, optimizer, 0, 6)
  model.save(tmp_path / 'model.keras')
  loaded = tf.keras.models.load_model(tmp_path / 'model.keras')
  before = networks.masks(model)
  _trained(model, optimizer, 6, 12)
  _trained(loaded, loaded.optimizer, 6, 12)
  came_back = False
  for ours, theirs, old in zip(
    sparsity.sparse_weights(model), sparsity.sparse_weights(loaded), before
  ):
    mask, kernel = ours.mask.numpy(), ours.variable.numpy()
    assert ours.num_zeros == ours.num_zeros_of_target
    assert not kernel[mask == 0].any()
    came_back |= bool(np.any(mask > old))
    np.testing.assert_allclose(theirs.variable, kernel, atol=1e-6)
  assert came_back or structure  # Whole units may stay away.


def test_on_replicas(two_replicas):
  with two_replicas.scope():
    model = sparsity.sparsify(networks.dense_network(), 'straight_through', 0.7)
    optimizer = sparsity.SparseOptimizer(
      'adam', sparsity.StraightThrough(0, 2), model
    )
    model.compile(optimizer, 'mse')
  model.fit(*networks.batch(model), epochs=4, verbose=0)
  for weight in sparsity.sparse_weights(model):
    assert weight.num_zeros == weight.num_zeros_of_target
    for variable in (weight.variable, weight.mask):
      first, second = two_replicas.experimental_local_results(variable)
      np.testing.assert_array_equal(first, second)
