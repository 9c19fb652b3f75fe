"""Models go from TFMOT to us and back."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot

from tests.sparsity import networks
from tf_sparse_rl import sparsity

_PRUNING = tfmot.sparsity.keras


def _pruned_by_tfmot(**options):
  """A model in the middle of TFMOT's ramp from 0.3 to 0.8."""
  schedule = _PRUNING.PolynomialDecay(0.3, 0.8, 0, 20, frequency=1)
  model = _PRUNING.prune_low_magnitude(
    networks.conv_network(), schedule, **options
  )
  model.compile('adam', 'mse')
  data = networks.batch(model)
  steps = _PRUNING.UpdatePruningStep()
  model.fit(*data, epochs=5, verbose=0, callbacks=[steps])
  return model, data


def _masks(model):
  return [x.pruning_vars[0][1].numpy() for x in model.layers if x.pruning_vars]


def test_masks_and_weights_are_taken_over():
  theirs, data = _pruned_by_tfmot()
  model = sparsity.take_over(theirs)
  layers = sparsity.sparse_layers(model)
  assert [layer.target_sparsity for layer in layers] == [0.8] * 3
  assert len({layer.seed for layer in layers}) == 3
  for layer, mask in zip(layers, _masks(theirs)):
    assert 0.3 < np.mean(mask == 0) < 0.8
    np.testing.assert_array_equal(layer.mask, mask)
    assert not layer.kernel.numpy()[mask == 0].any()
  # TFMOT masks its own weights when it is called.
  expected = theirs(data[0])
  np.testing.assert_allclose(model(data[0]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('method', ['rigl', 'prune'])
def test_training_goes_on(method):
  theirs, data = _pruned_by_tfmot()
  before = _masks(theirs)
  model = sparsity.take_over(theirs)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), networks.updater(method), model
  )
  model.compile(optimizer, 'mse')
  model.fit(*data, epochs=7, verbose=0)
  for new, old, kernel in zip(
    networks.masks(model), before, networks.kernels(model)
  ):
    assert np.any(new != old)
    assert not kernel[new == 0].any()
    zeros = np.sum(old == 0) if method == 'rigl' else int(0.8 * old.size)
    assert np.sum(new == 0) == zeros


def test_structures_are_taken_over():
  dense = networks.dense_network()
  wrapped = _PRUNING.prune_low_magnitude(
    dense.layers[1], _PRUNING.ConstantSparsity(0.5, 0), block_size=(4, 1)
  )
  model = sparsity.take_over(
    tf.keras.Sequential([tf.keras.Input((16,)), wrapped])
  )
  assert sparsity.sparse_layers(model)[0].block_shape == (4, 1)
  wrapped = _PRUNING.prune_low_magnitude(
    tf.keras.layers.Dense(3),
    _PRUNING.ConstantSparsity(0.25, 0),
    sparsity_m_by_n=(1, 4),
  )
  model = sparsity.take_over(
    tf.keras.Sequential([tf.keras.Input((16,)), wrapped])
  )
  assert sparsity.sparse_layers(model)[0].n_of_m == (3, 4)


def test_a_plain_model_is_refused():
  with pytest.raises(ValueError, match='Expected a model wrapped by'):
    sparsity.take_over(networks.dense_network())


def test_tfmots_latency_policy_takes_sparse_layers():
  """It says which layers XNNPACK can skip zeros in, and checks the model."""
  policy = _PRUNING.PruneForLatencyOnXNNPack()
  layers = tf.keras.layers
  plain = tf.keras.Sequential(
    [
      layers.Input((16, 16, 3)),
      layers.ZeroPadding2D(1),
      layers.Conv2D(8, 3, 2, activation='relu'),
      layers.Conv2D(16, 1, activation='relu', name='pointwise'),
      layers.GlobalAveragePooling2D(keepdims=True),
    ]
  )

  def wrap(layer):
    copy = type(layer).from_config(layer.get_config())
    allowed = policy.allow_pruning(layer)
    return sparsity.SparseLayer(copy, 0.5) if allowed else copy

  model = tf.keras.models.clone_model(plain, clone_function=wrap)
  [layer] = sparsity.sparse_layers(model)
  assert layer.layer.name == 'pointwise'
  policy.ensure_model_supports_pruning(model)
  stripped = _PRUNING.strip_pruning(model)
  assert not sparsity.sparse_layers(stripped)
