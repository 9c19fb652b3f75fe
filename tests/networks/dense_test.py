"""The Q-network: sizes, initialisers, where L2 is, the small baselines."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags
from tf_sparse_rl.agents import dqn
from tf_sparse_rl.networks import dense
from tf_sparse_rl.sparsity import counting

_CARTPOLE = envs.EnvSpec('CartPole-v1', 4, 2, 500)


@pytest.mark.parametrize(
  'width, expected',
  [
    (1.0, (512, 512)),
    (0.5, (256, 256)),
    (0.317, (162, 162)),  # 162.3
    (0.7079, (362, 362)),  # 362.4
    (0.1996, (102, 102)),  # 102.2
    (0.0001, (1, 1)),
    (2.0, (1024, 1024)),
  ],
)
def test_widths_are_rounded_down(width, expected):
  assert dense.hidden_sizes((512, 512), width) == expected


def test_each_hidden_layer_is_scaled():
  assert dense.hidden_sizes((100, 50, 3), 0.5) == (50, 25, 1)


@pytest.fixture(name='layers')
def layers_fixture():
  tf.keras.utils.set_random_seed(0)
  layers = dense.q_layers((400, 300), num_actions=3, weight_decay=0.25)
  shape = [None, 200]
  for layer in layers:
    layer.build(shape)
    shape = layer.compute_output_shape(shape)
  return layers


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


def test_no_weight_decay_no_loss():
  [hidden, output] = dense.q_layers((8,), 2)
  hidden.build([None, 4])
  assert hidden.losses == output.losses == []


# paper.md 2.7: parameters of the sparse network, units of the dense one.
_MATCHING = [
  (0.5, 133_634, 362),
  (0.8, 54_070, 229),
  (0.9, 27_549, 162),
  (0.95, 14_289, 116),
  (0.98, 6_332, 76),
]


@pytest.mark.parametrize('sparsity, parameters, units', _MATCHING)
def test_matching_units_are_the_papers(sparsity, parameters, units):
  del sparsity
  found = dense.matching_units((512, 512), 4, 2, parameters)
  assert found == (units, units)


@pytest.mark.parametrize('sparsity, parameters, units', _MATCHING)
def test_match_sparsity_builds_the_papers_small_network(
  sparsity, parameters, units
):
  config = flags.make_config({'method': 'dense', 'match_sparsity': sparsity})
  layers = dqn.q_network_layers(config, _CARTPOLE)
  assert [layer.units for layer in layers] == [units, units, 2]
  found = counting.total(counting.count(layers)).parameters
  assert abs(found - parameters) / parameters < 0.01


def test_whole_units_are_not_lost_to_rounding():
  assert int(29 / 100 * 100) == 28  # What has to be got around.
  # (4 + 1) * 29 + 30 * 29 + 30 * 2 = 1075 parameters.
  assert dense.matching_units((100, 100), 4, 2, 1075) == (29, 29)


def test_matching_units_keep_the_proportions():
  # (4 + 1) * 40 + 41 * 20 + 21 * 2 = 1062 parameters: the network itself.
  assert dense.matching_units((40, 20), 4, 2, 1062) == (40, 20)
  first, second = dense.matching_units((40, 20), 4, 2, 300)
  assert abs(first - 2 * second) <= 1
