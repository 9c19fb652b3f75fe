"""Q-networks, actors and critics: shapes, initialisers, where L2 is."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl.networks import dense


def _build(layers, num_inputs):
  shape = [None, num_inputs]
  for layer in layers:
    layer.build(shape)
    shape = layer.compute_output_shape(shape)
  return layers


@pytest.fixture(name='layers')
def layers_fixture():
  tf.keras.utils.set_random_seed(0)
  return _build(dense.q_layers((400, 300), 3, weight_decay=0.25), 200)


def test_shapes_names_and_activations(layers):
  assert [layer.name for layer in layers] == ['hidden_0', 'hidden_1', 'output']
  assert [tuple(layer.kernel.shape) for layer in layers] == [
    (200, 400),
    (400, 300),
    (300, 3),
  ]
  names = [layer.activation.__name__ for layer in layers]
  assert names == ['relu', 'relu', 'linear']


def test_hidden_kernels_have_variance_2_by_fan_in_cut_at_2_deviations(layers):
  for layer, fan_in in zip(layers, (200, 400)):
    kernel = layer.kernel.numpy()
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_in), rtol=0.02)
    # Keras widens the normal distribution by 1/.8796 before it cuts it.
    limit = 2 * np.sqrt(2 / fan_in) / 0.87962566
    assert 0.97 * limit < np.abs(kernel).max() <= limit
    assert not layer.bias.numpy().any()


def test_the_output_is_uniform_in_003_with_bias_minus_02(layers):
  kernel = layers[-1].kernel.numpy()
  assert 0.029 < np.abs(kernel).max() <= 0.03
  np.testing.assert_allclose(kernel.std(), 0.03 / np.sqrt(3), rtol=0.05)
  np.testing.assert_array_equal(layers[-1].bias, np.float32([-0.2] * 3))


def test_l2_is_of_hidden_kernels_only(layers):
  for layer in layers[:-1]:
    [loss] = layer.losses
    expected = 0.25 * np.sum(np.square(layer.kernel.numpy()))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert layer.bias_regularizer is None
  assert layers[-1].losses == []


@pytest.mark.parametrize('make', [dense.q_layers, dense.glorot_layers])
def test_no_weight_decay_no_loss(make):
  [hidden, output] = _build(make((8,), 2), 4)
  assert hidden.losses == output.losses == []


@pytest.fixture(name='glorot')
def glorot_fixture():
  tf.keras.utils.set_random_seed(0)
  return _build(dense.glorot_layers((400, 300), 12, weight_decay=0.25), 200)


def test_glorot_shapes_names_and_activations(glorot):
  assert [layer.name for layer in glorot] == ['hidden_0', 'hidden_1', 'output']
  assert [tuple(layer.kernel.shape) for layer in glorot] == [
    (200, 400),
    (400, 300),
    (300, 12),
  ]
  names = [layer.activation.__name__ for layer in glorot]
  assert names == ['relu', 'relu', 'linear']


def test_glorot_kernels_are_uniform_up_to_their_limits(glorot):
  for layer in glorot:
    limit = np.sqrt(6 / sum(layer.kernel.shape))
    kernel = layer.kernel.numpy()
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.03)
    assert not layer.bias.numpy().any()


def test_glorot_l2_is_of_all_kernels(glorot):
  for layer in glorot:
    [loss] = layer.losses
    expected = 0.25 * np.sum(np.square(layer.kernel.numpy()))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert layer.bias_regularizer is None


def test_layer_norm_comes_before_the_activation():
  layers = _build(dense.glorot_layers((2,), 2, layer_norm=True), 2)
  names = [layer.name for layer in layers]
  assert names == ['hidden_0', 'hidden_0_norm', 'hidden_0_act', 'output']
  for layer in (layers[0], layers[-1]):
    layer.set_weights([np.eye(2), np.zeros(2)])
  outputs = tf.constant([[1.0, 5.0]])
  for layer in layers:
    outputs = layer(outputs)
  # The deviation of (1, 5) is 2: (-1, 1), of which ReLU keeps the second.
  np.testing.assert_allclose(outputs, [[0, 1]], atol=1e-5)
  of_ppo = dense.orthogonal_layers((4,), 1, 'tanh', 'zeros', layer_norm=True)
  assert of_ppo[2].activation is tf.keras.activations.tanh
