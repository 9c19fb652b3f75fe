"""Counts by hand, and the paper's parameter counts."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import counting

_L = tf.keras.layers


def _fields(count):
  return count.size, count.nonzero, count.other, count.parameters, count.flops


def test_dense_network_by_hand():
  model = sparsity.sparsify(
    networks.dense_network(),
    distribution='uniform',
    target_sparsity=0.75,
    custom={'last': 0.0},
  )
  first, second, last = counting.count(model)
  assert (first.name, first.shape) == ('first', (6, 16))
  assert _fields(first) == (96, 24, 16, 40, 48)
  assert _fields(second) == (128, 32, 8, 40, 64)
  assert _fields(last) == (24, 24, 3, 27, 48)
  assert [c.sparsity for c in (first, second, last)] == [0.75, 0.75, 0.0]
  total = counting.total([first, second, last])
  assert _fields(total) == (248, 80, 27, 107, 160)
  assert total.sparsity == pytest.approx(1 - 80 / 248)


def test_conv_network_by_hand():
  """6 x 6 -> 4 x 4 -> 3 x 3: a kernel entry is used 16 and 9 times."""
  model = sparsity.sparsify(
    networks.conv_network(), distribution='uniform', target_sparsity=0.5
  )
  first, second, last = counting.count(model)
  assert (first.shape, second.shape) == ((3, 3, 2, 4), (2, 2, 4, 8))
  assert _fields(first) == (72, 36, 4, 40, 2 * 36 * 16)
  assert _fields(second) == (128, 64, 8, 72, 2 * 64 * 9)
  assert _fields(last) == (72 * 3, 108, 3, 111, 216)


@pytest.mark.parametrize(
  ('layer', 'input_shape', 'uses'),
  [
    (lambda: _L.Dense(3), (4,), 1),
    (lambda: _L.Dense(3), (5, 7, 4), 35),
    (lambda: _L.Conv1D(3, 2), (8, 4), 7),
    (lambda: _L.Conv2D(3, 2, strides=2, padding='same'), (5, 8, 4), 3 * 4),
    (lambda: _L.Conv3D(3, 2), (3, 4, 5, 2), 2 * 3 * 4),
    # Every input meets every kernel entry of its channel once.
    (lambda: _L.Conv2DTranspose(3, 2, strides=2), (5, 8, 4), 5 * 8),
    # Unknown: None in the shape.
    (lambda: _L.Conv1D(3, 2), (None, 4), 0),
    (lambda: _L.Dense(3), (None, 4), 0),
  ],
)
def test_flops_count_uses_of_the_kernel(layer, input_shape, uses):
  model = tf.keras.Sequential([_L.InputLayer(input_shape), layer()])
  [plain] = counting.count(model)
  assert plain.flops == 2 * plain.size * uses
  [sparse] = counting.count(sparsity.sparsify(model, target_sparsity=0.5))
  assert sparse.nonzero == plain.size - plain.size // 2
  assert sparse.flops == 2 * sparse.nonzero * uses


def test_active_entries_count_though_their_value_is_zero():
  model = sparsity.sparsify(networks.dense_network(), target_sparsity=0.5)
  before = counting.total(counting.count(model))
  for layer in sparsity.sparse_layers(model):
    layer.kernel.assign(tf.zeros_like(layer.kernel))
  assert counting.total(counting.count(model)) == before


def test_other_layers_are_counted_whole():
  model = tf.keras.Sequential(
    [
      _L.Embedding(7, 5, input_length=3),
      _L.LSTM(4),
      _L.BatchNormalization(),
      _L.Dense(2),
    ]
  )
  model.build((None, 3))
  counts = counting.count(model)
  assert counting.total(counts).parameters == model.count_params()


def test_summary_by_hand():
  model = sparsity.sparsify(
    tf.keras.Sequential(
      [_L.Dense(20, input_shape=(100,), name='hidden'), _L.Dense(1, name='out')]
    ),
    distribution='uniform',
    target_sparsity=0.25,
  )
  assert sparsity.summary(model).splitlines() == [
    'layer   kernel    sparsity  non-zeros  parameters  FLOPs',
    '--------------------------------------------------------',
    'hidden  100 x 20    0.2500      1,500       1,520  3,000',
    'out     20 x 1      0.2500         15          16     30',
    '--------------------------------------------------------',
    'total               0.2500      1,515       1,536  3,030',
  ]


def _parameters(sizes, target_sparsity):
  layers = [_L.Dense(units) for units in sizes[1:]]
  sparse = sparsity.sparsify(
    layers, 'static', target_sparsity, input_shape=(None, sizes[0])
  )
  return counting.total(counting.count(sparse)).parameters


# The paper's parameters: dense, then at these sparsities.
_SPARSITIES = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]
_CARTPOLE = [266_242, 133_634, 54_070, 27_549, 14_289, 6_332]
_HALFCHEETAH = [217_870, 109_710, 44_823, 23_190, 12_373, 5_884]
_NATURE = [4_046_502, 2_023_592, 809_846, 405_266, 202_974, 81_599]


@pytest.mark.parametrize(
  ('target', 'expected'), list(zip(_SPARSITIES, _CARTPOLE))
)
def test_dqn_cartpole_as_in_the_paper(target, expected):
  assert _parameters([4, 512, 512, 2], target) == expected


@pytest.mark.parametrize(
  ('target', 'expected'), list(zip(_SPARSITIES, _HALFCHEETAH))
)
def test_sac_halfcheetah_as_in_the_paper(target, expected):
  """The actor and two critics, each at the target by itself."""
  actor = _parameters([17, 256, 256, 12], target)
  critic = _parameters([23, 256, 256, 1], target)
  assert actor + 2 * critic == expected


@pytest.mark.parametrize(
  ('target', 'expected'), list(zip(_SPARSITIES, _NATURE))
)
def test_nature_cnn_as_in_the_paper(target, expected):
  layers = [
    _L.Conv2D(32, 8, 4, padding='same'),
    _L.Conv2D(64, 4, 2, padding='same'),
    _L.Conv2D(64, 3, 1, padding='same'),
    _L.Flatten(),
    _L.Dense(512),
    _L.Dense(6),
  ]
  sparse = sparsity.sparsify(
    layers, 'static', target, input_shape=(None, 84, 84, 4)
  )
  assert counting.total(counting.count(sparse)).parameters == expected


def test_changed_fraction_by_hand():
  before = [np.packbits([1, 1, 0, 0]), np.packbits([1, 1])]
  assert counting.changed_fraction(before, before) == 0
  replaced = [np.packbits([1, 0, 1, 0]), np.packbits([1, 1])]
  assert counting.changed_fraction(before, replaced) == 0.25
  removed = [np.packbits([1, 0, 0, 0]), np.packbits([0, 1])]
  assert counting.changed_fraction(before, removed) == 0.5
