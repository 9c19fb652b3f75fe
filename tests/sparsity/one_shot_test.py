"""Masks that are set once: from dense weights, SNIP, GraSP."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import kinds_test, networks
from tf_sparse_rl import sparsity


@pytest.mark.parametrize('kind', ['Dense', 'LSTM', 'MultiHeadAttention'])
def test_dense_weights_with_masks_by_magnitude(kind):
  plain = kinds_test.MODELS[kind][0]()
  model = sparsity.sparsify(plain, target_sparsity=0.6, seed=3)
  trained = tf.keras.models.clone_model(plain)
  trained.set_weights([w + 0.01 for w in trained.get_weights()])
  sparsity.load_dense(model, trained)
  for weight, dense in zip(
    sparsity.sparse_weights(model),
    [v for v in trained.trainable_variables if _is_matrix(v)],
  ):
    mask, dense = weight.mask.numpy(), dense.numpy()
    assert np.sum(mask == 0) == int(weight.target_sparsity * mask.size)
    np.testing.assert_array_equal(weight.variable.numpy(), dense * mask)
    kept, gone = np.abs(dense[mask == 1]), np.abs(dense[mask == 0])
    assert not gone.size or gone.max() <= kept.min()
  inputs = kinds_test.data(model)[0]
  np.testing.assert_allclose(
    sparsity.strip(model)(inputs), model(inputs), atol=1e-5
  )


def _is_matrix(variable):
  return 'bias' not in variable.name


def test_masks_may_stay_and_pruning_starts_dense():
  plain = networks.dense_network(seed=2)
  model = sparsity.sparsify(networks.dense_network(), target_sparsity=0.5)
  before = networks.masks(model)
  sparsity.load_dense(model, plain, masks='keep')
  for mask, old, kernel, layer in zip(
    networks.masks(model), before, networks.kernels(model), plain.layers
  ):
    np.testing.assert_array_equal(mask, old)
    np.testing.assert_array_equal(kernel, layer.kernel.numpy() * mask)
  pruned = sparsity.sparsify(networks.dense_network(), 'prune', 0.5)
  sparsity.load_dense(pruned, plain)
  assert all(mask.all() for mask in networks.masks(pruned))
  for kernel, layer in zip(networks.kernels(pruned), plain.layers):
    np.testing.assert_array_equal(kernel, layer.kernel)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((networks.conv_network(),), 'of the same layers'),
    ((networks.dense_network(), 'best'), "Received: masks='best'"),
  ],
)
def test_what_cannot_be_loaded(arguments, message):
  model = sparsity.sparsify(networks.dense_network(), target_sparsity=0.5)
  with pytest.raises(ValueError, match=message):
    sparsity.load_dense(model, *arguments)


_WEIGHT = np.array([1, -1, 2, -2, 1, -1, 2, -2], np.float32)
_GRADIENT = np.array([1, 2, -1, 0, 3, 1, -2, 2], np.float32)


def _quadratic(target_sparsity):
  """Two layers of four weights w, loss w H w / 2 - b w of that gradient.

  H has 1, 2, 1, 2, ... on its diagonal, and 1 between entries 0 and 4.
  """
  layers = [
    sparsity.SparseLayer(
      tf.keras.layers.Dense(1, use_bias=False), target_sparsity, method='prune'
    )
    for _ in range(2)
  ]
  for layer, weight in zip(layers, np.split(_WEIGHT[:, np.newaxis], 2)):
    layer.build((None, 4))
    layer.kernel.assign(weight)
  form = np.diag(np.float32([1, 2] * 4))
  form[0, 4] = form[4, 0] = 1
  linear = form @ _WEIGHT - _GRADIENT

  def loss():
    weight = tf.concat([layer.kernel[:, 0] for layer in layers], 0)
    quadratic = tf.tensordot(weight, tf.linalg.matvec(form, weight), 1) / 2
    return quadratic - tf.reduce_sum(linear * weight)

  return layers, loss


@pytest.mark.parametrize(
  ('prune', 'target', 'expected'),
  [
    # |w g| = 1, 2, 2, 0, 3, 1, 4, 4; of equal scores the lowest index stays.
    (sparsity.snip, 0.5, [0, 1, 0, 0, 1, 0, 1, 1]),
    (sparsity.snip, 0.75, [0, 0, 0, 0, 0, 0, 1, 1]),
    # H g = 4, 4, -1, 0, 4, 2, -2, 4; the largest of -w H g = -4, 4, 2, 0, -4,
    # 2, 4, 8 go first.
    (sparsity.grasp, 0.5, [1, 0, 1, 1, 1, 0, 0, 0]),
    (sparsity.grasp, 0.75, [1, 0, 0, 0, 1, 0, 0, 0]),
  ],
)
def test_by_hand(prune, target, expected):
  layers, loss = _quadratic(target)
  prune(layers, loss)
  masks = np.concatenate([layer.mask[:, 0] for layer in layers])
  np.testing.assert_array_equal(masks, expected)
  kernels = np.concatenate([layer.kernel[:, 0] for layer in layers])
  np.testing.assert_array_equal(kernels, _WEIGHT * expected)


@pytest.mark.parametrize('prune', [sparsity.snip, sparsity.grasp])
@pytest.mark.parametrize('kind', ['Conv2D', 'GRU'])
def test_budget_of_the_network_is_met_and_training_goes_on(prune, kind):
  tf.keras.utils.set_random_seed(0)
  plain = kinds_test.MODELS[kind][0]()
  model = sparsity.sparsify(plain, 'prune', target_sparsity=0.7)
  inputs, targets = kinds_test.data(model)
  prune(model, lambda: tf.reduce_mean(tf.square(model(inputs) - targets)))
  weights = sparsity.sparse_weights(model)
  zeros = sum(weight.num_zeros for weight in weights)
  assert zeros == sum(weight.num_zeros_of_target for weight in weights)
  optimizer = sparsity.SparseOptimizer('adam', sparsity.Static(), model)
  model.compile(optimizer, 'mse')
  model.fit(inputs, targets, verbose=0)
  for weight in weights:
    assert not weight.variable.numpy()[weight.mask.numpy() == 0].any()
  assert sum(weight.num_zeros for weight in weights) == zeros


def test_masks_drawn_at_random_leave_no_choice():
  model = sparsity.sparsify(networks.dense_network())
  with pytest.raises(ValueError, match=r"sparsify\(method='prune'\)"):
    sparsity.snip(model, lambda: 0.0)


@pytest.mark.parametrize('kind', ['Dense', 'Bidirectional', 'Block'])
def test_checkpoints_of_dense_models_are_loaded(kind, tmp_path):
  """Masks stay; TensorFlow would leave unmatched objects as they are."""
  plain = kinds_test.MODELS[kind][0]()
  plain.save_weights(str(tmp_path / 'weights'))
  model = sparsity.sparsify(plain, target_sparsity=0.6)
  for variable in model.trainable_variables:
    variable.assign(tf.zeros_like(variable))
  model.load_weights(str(tmp_path / 'weights'))
  for ours, theirs in zip(model.trainable_variables, plain.trainable_variables):
    mask = sparsity.mask_of(ours)
    mask = np.ones(ours.shape) if mask is None else mask.numpy()
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy() * mask)
