"""Convolutional Q-networks: shapes, sizes, sparsities, and Q-values by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.networks import conv
from tf_sparse_rl.sparsity import counting
from tf_sparse_rl.sparsity import layers as layers_lib

_ATARI = [None, 84, 84, 4]
_NETWORKS = {'cnn': conv.nature_cnn, 'resnet': conv.impala_resnet}


def _build(network, method='dense', *args, scale=1, **options):
  """Layers for Atari with 6 actions."""
  make = _NETWORKS[network]
  channels = [size // scale for size in conv.CHANNELS]
  plain = make(channels, [512 // scale], 6, options.pop('weight_decay', 0.0))
  return sparsity.sparsify(plain, method, *args, input_shape=_ATARI, **options)


@pytest.fixture(name='dense', scope='module')
def dense_fixture():
  """{network: its plain layers}, of full size."""
  tf.keras.utils.set_random_seed(0)
  return {network: _build(network) for network in _NETWORKS}


def test_kernels_of_the_cnn(dense):
  counts = counting.count(dense['cnn'])
  assert {count.name: count.shape for count in counts} == {
    'conv_0': (8, 8, 4, 32),
    'conv_1': (4, 4, 32, 64),
    'conv_2': (3, 3, 64, 64),
    'hidden_0': (11 * 11 * 64, 512),
    'output': (512, 6),
  }


def test_kernels_of_the_resnet(dense):
  kernels = {c.name: c.shape for c in counting.count(dense['resnet'])}
  expected, inputs = {}, 4
  for i, size in enumerate((32, 64, 64)):
    expected[f'stack_{i}_conv'] = (3, 3, inputs, size)
    for j in range(2):
      for k in range(2):
        expected[f'stack_{i}_block_{j}_conv_{k}'] = (3, 3, size, size)
    inputs = size
  expected['hidden_0'], expected['output'] = (11 * 11 * 64, 512), (512, 6)
  assert kernels == expected
  assert list(kernels) == list(expected)


@pytest.mark.parametrize(
  'network, weights',  # The paper's dense networks.
  [('cnn', 4_045_824), ('resnet', 4_356_224)],
)
def test_weights_are_the_papers(dense, network, weights):
  assert counting.total(counting.count(dense[network])).size == weights


@pytest.mark.parametrize(
  'target, expected',  # The paper's Nature CNN, biases included.
  [
    (0.0, 4_046_502),
    (0.5, 2_023_592),
    (0.8, 809_846),
    (0.9, 405_266),
    (0.95, 202_974),
    (0.98, 81_599),
  ],
)
def test_parameters_of_the_cnn_are_the_papers(target, expected):
  method = 'static' if target else 'dense'
  layers = _build('cnn', method, target)
  assert counting.total(counting.count(layers)).parameters == expected


def test_parameters_of_the_resnet_are_the_papers():
  layers = _build('resnet', 'static', 0.8)
  # Read off figure 11, to 1 %.
  parameters = counting.total(counting.count(layers)).parameters
  assert parameters == pytest.approx(873_000, rel=0.01)


@pytest.mark.parametrize(
  'target, expected',  # ERK by the paper's formula.
  [
    (0.9, [0.7018, 0.8509, 0.8292, 0.9022, 0]),
    (0.95, [0.852, 0.926, 0.9153, 0.9515, 0]),
  ],
)
def test_erk_of_the_cnn_is_the_papers(target, expected):
  layers = sparsity.sparse_layers(_build('cnn', 'prune', target))
  found = [layer.target_sparsity for layer in layers]
  assert found == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize('network', _NETWORKS)
def test_uniform_is_the_same_for_all_layers(network):
  layers = sparsity.sparse_layers(_build(network, 'prune', 0.9, 'uniform'))
  assert [layer.target_sparsity for layer in layers] == [0.9] * len(layers)
  assert len(layers) == {'cnn': 5, 'resnet': 17}[network]


@pytest.mark.parametrize(
  'distribution, target, dims',
  [('er', 0.98, slice(2, 4)), ('erk', 0.9, slice(4))],
)
def test_er_and_erk_of_convolutions_by_formula(distribution, target, dims):
  layers = _build('cnn', 'prune', target, distribution)
  layers = sparsity.sparse_layers(layers)[:3]
  shapes = [tuple(layer.kernel.shape)[dims] for layer in layers]
  densities = [1 - layer.target_sparsity for layer in layers]
  # One factor for all that are not dense.
  factors = [d * np.prod(s) / sum(s) for d, s in zip(densities, shapes)]
  first = 1 if distribution == 'er' else 0
  np.testing.assert_allclose(factors[first:], factors[-1], rtol=1e-6)
  assert max(densities[first:]) < 1
  # (4 + 32) / (4 * 32) times that factor is above 1.
  assert densities[:first] == [1.0] * first


@pytest.mark.parametrize('network, ratio', [('cnn', 1.76), ('resnet', 2.58)])
def test_erk_costs_more_flops_than_uniform_as_in_the_paper(network, ratio):
  flops = {
    distribution: counting.total(
      counting.count(_build(network, 'static', 0.9, distribution))
    ).flops
    for distribution in ('uniform', 'erk')
  }
  # From the layers' positions and the paper's ERK sparsities.
  assert flops['erk'] / flops['uniform'] == pytest.approx(ratio, abs=0.005)


def test_flops_by_hand(dense):
  flops = {c.name: c.flops for c in counting.count(dense['cnn'])}
  assert flops == {
    'conv_0': 2 * 8 * 8 * 4 * 32 * 21 * 21,
    'conv_1': 2 * 4 * 4 * 32 * 64 * 11 * 11,
    'conv_2': 2 * 3 * 3 * 64 * 64 * 11 * 11,
    'hidden_0': 2 * 7744 * 512,
    'output': 2 * 512 * 6,
  }
  flops = {c.name: c.flops for c in counting.count(dense['resnet'])}
  assert flops['stack_0_conv'] == 2 * 9 * 4 * 32 * 84 * 84
  assert flops['stack_0_block_1_conv_0'] == 2 * 9 * 32 * 32 * 42 * 42
  assert flops['stack_1_conv'] == 2 * 9 * 32 * 64 * 42 * 42
  assert flops['stack_2_conv'] == 2 * 9 * 64 * 64 * 21 * 21
  assert flops['stack_2_block_0_conv_1'] == 2 * 9 * 64 * 64 * 11 * 11


def test_flops_of_sparse_convolutions_are_those_of_the_ones():
  layers = _build('resnet', 'static', 0.9, 'uniform', scale=4)
  for count in counting.count(layers):
    if count.name == 'stack_0_conv':
      ones = 9 * 4 * 8 - int(0.9 * 9 * 4 * 8)
      assert (count.nonzero, count.flops) == (ones, 2 * ones * 84 * 84)
      break
  else:
    pytest.fail('no stack_0_conv')


@pytest.mark.parametrize('network', _NETWORKS)
def test_dense_kernels_follow_the_channels(network):
  for scale in (2, 8):
    layers = _build(network, scale=scale)
    kernels = {c.name: c.shape for c in counting.count(layers)}
    features = 11 * 11 * 64 // scale
    assert kernels['hidden_0'] == (features, 512 // scale)


def test_kernels_are_glorot_uniform(dense):
  for layer in sum(map(_with_kernels, dense.values()), []):
    kernel = layer.kernel.numpy()
    window = np.prod(kernel.shape[:-2])
    limit = np.sqrt(6 / (window * sum(kernel.shape[-2:])))
    assert 0.98 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.05)
    assert not layer.bias.numpy().any()


def _with_kernels(layers):
  """The layers with kernels."""
  leaves = layers_lib.leaf_layers(layers)
  return [leaf for leaf in leaves if leaf.weights]


@pytest.mark.parametrize('network', _NETWORKS)
def test_l2_is_of_all_kernels(network):
  layers = _build(network, weight_decay=0.25, scale=16)
  losses = [loss for layer in layers for loss in layer.losses]
  kernels = [layer.kernel.numpy() for layer in _with_kernels(layers)]
  assert len(losses) == len(kernels)
  np.testing.assert_allclose(
    sum(losses), 0.25 * sum(np.sum(k**2) for k in kernels), rtol=1e-5
  )
  plain = _build(network, scale=16)
  assert [loss for layer in plain for loss in layer.losses] == []


def _convolved(x, kernel, bias, stride=1):
  """'Same' padding, as TensorFlow has it: more of it below and right."""
  size = kernel.shape[0]
  x, places = _padded(x, size, stride, 0.0)
  out = np.zeros((len(x), *places, kernel.shape[-1]))
  for i, j in np.ndindex(*places):
    patch = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
    out[:, i, j] = np.tensordot(patch, kernel, 3) + bias
  return out


def _pooled(x):
  """The largest of 3 x 3, at every second place."""
  x, places = _padded(x, 3, 2, -np.inf)
  out = np.zeros((len(x), *places, x.shape[-1]))
  for i, j in np.ndindex(*places):
    patch = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
    out[:, i, j] = patch.max(axis=(1, 2))
  return out


def _padded(x, size, stride, value):
  places = [-(-n // stride) for n in x.shape[1:3]]
  missing = [
    max(0, (p - 1) * stride + size - n) for p, n in zip(places, x.shape[1:3])
  ]
  around = [(m // 2, m - m // 2) for m in missing]
  return np.pad(x, [(0, 0), *around, (0, 0)], constant_values=value), places


def _cnn_by_hand(x, weights):
  x = x / 255
  for stride in (4, 2, 1):
    x = np.maximum(_convolved(x, *next(weights), stride), 0)
  return _head_by_hand(x, weights)


def _resnet_by_hand(x, weights):
  x = x / 255
  for _ in range(3):
    x = _pooled(_convolved(x, *next(weights)))
    for _ in range(2):
      inner = _convolved(np.maximum(x, 0), *next(weights))
      x = x + _convolved(np.maximum(inner, 0), *next(weights))
  return _head_by_hand(np.maximum(x, 0), weights)


def _head_by_hand(x, weights):
  (kernel, bias), (last_kernel, last_bias) = weights
  x = np.maximum(x.reshape(len(x), -1) @ kernel + bias, 0)
  return x @ last_kernel + last_bias


@pytest.mark.parametrize('method', ['dense', 'static'])
@pytest.mark.parametrize(
  'network, by_hand', [('cnn', _cnn_by_hand), ('resnet', _resnet_by_hand)]
)
def test_q_values_by_hand(network, by_hand, method):
  tf.keras.utils.set_random_seed(1)
  layers = sparsity.sparsify(
    _NETWORKS[network]((3, 4, 2), (5,), 3),
    method,
    0.5,
    input_shape=[None, 13, 10, 2],
  )
  rng = np.random.default_rng(0)
  images = rng.integers(256, size=(4, 13, 10, 2), dtype=np.uint8)
  leaves, weights = _with_kernels(layers), []
  for leaf in leaves:
    kernel, bias = leaf.kernel, leaf.trainable_weights[1]
    bias.assign(rng.normal(size=bias.shape))
    mask = leaf.mask.numpy() if method == 'static' else 1
    weights.append((kernel.numpy() * mask, bias.numpy()))
  assert sum((kernel == 0).sum() for kernel, _ in weights) > (
    10 if method == 'static' else -1
  )
  expected = by_hand(images, iter(weights))
  for inputs in (images, images.astype(np.float32)):
    for layer in layers:
      inputs = layer(inputs)
    np.testing.assert_allclose(inputs, expected, rtol=1e-4, atol=1e-5)
