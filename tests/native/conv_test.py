"""Convolutions by native kernels against TensorFlow's on masked kernels."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_sparse_rl import sparsity
from tf_sparse_rl.native import backend, library, measure, stacks
from tf_sparse_rl.networks import conv as networks
from tf_sparse_rl.networks import stack


@pytest.fixture(autouse=True)
def native_backend():
  if library.load() is None:
    pytest.skip(library.problem())
  backend.set_backend('native')


def _layer(shape, level, seed, block_shape=None, **options):
  """A built SparseLayer around a Conv2D, with a random mask."""
  rng = np.random.default_rng(seed)
  conv = tf.keras.layers.Conv2D(**options)
  layer = sparsity.SparseLayer(
    conv, level, seed=seed, block_shape=block_shape, name=f'conv_{seed}'
  )
  layer.build([None, *shape])
  layer.kernel.assign(rng.normal(size=layer.kernel.shape))
  conv.bias.assign(rng.normal(size=conv.filters))
  return layer


def _gradients(layers):
  """A graph: images -> the output and the gradients of a loss."""
  variables = [v for layer in layers for v in layer.trainable_variables]

  @tf.function(autograph=False)
  def step(images):
    with tf.GradientTape() as tape:
      tape.watch(images)
      outputs = stack.call(layers, images)
      flat = tf.reshape(outputs, [-1])
      loss = tf.reduce_sum(
        flat * tf.cos(tf.range(tf.size(flat), dtype=tf.float32))
      )
    found = tape.gradient(loss, [images, *variables])
    parts = [stacks.parts_of(g) for g in found[1:]]
    return outputs, found, [p[0].packed for p in parts if p is not None]

  return step


def _assert_as_masked(layers, images):
  images = tf.constant(images)
  backend.set_backend('masked')
  expected, all_expected, _ = _gradients(layers)(images)
  backend.set_backend('native')
  outputs, found, packed = _gradients(layers)(images)
  _assert_close(outputs, expected)
  for ours, theirs in zip(found, all_expected, strict=True):
    _assert_close(ours, theirs)
  kernels = [g for g in all_expected[1:] if g.shape.rank == 4]
  for ours, theirs, layer in zip(packed, kernels, layers, strict=True):
    _assert_close(ours, theirs.numpy()[layer.mask.numpy() == 1])


def _assert_close(found, expected):
  assert found.shape == expected.shape
  scale = 1 + np.max(np.abs(expected), initial=0)
  np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * scale)


def _kinds(function, *args):
  graph = function.get_concrete_function(*args).graph
  return [op.type for op in graph.get_operations()]


@hypothesis.settings(max_examples=8)
@hypothesis.given(
  data=st.data(), batch=st.sampled_from([1, 3, 9, 10, 16, 17, 33])
)
def test_any_stack_agrees_with_tensorflow(data, batch):
  sides, channels = st.integers(1, 9), st.integers(1, 5).map(lambda n: 2 * n)
  first = shape = data.draw(sides), data.draw(sides), data.draw(channels)
  layers = []
  for seed in range(data.draw(st.integers(1, 3))):
    padding = data.draw(st.sampled_from(['same', 'valid']))
    largest = [4, 4] if padding == 'same' else [min(4, s) for s in shape[:2]]
    layer = _layer(
      shape,
      data.draw(st.sampled_from([0.5, 0.9, 0.99])),
      seed,
      data.draw(st.sampled_from([None, (2, 1), (2, 2)])),
      filters=data.draw(channels),
      kernel_size=[data.draw(st.integers(1, k)) for k in largest],
      strides=[data.draw(st.integers(1, 3)) for _ in 'yx'],
      padding=padding,
      activation=data.draw(st.sampled_from(['relu', None, 'tanh'])),
    )
    layers.append(layer)
    shape = layer.layer.compute_output_shape([None, *shape])[1:]
  rng = np.random.default_rng(batch)
  _assert_as_masked(layers, np.float32(rng.normal(size=(batch, *first))))


def test_a_wide_stack_in_parts_agrees_with_tensorflow():
  # Enough work for two threads, and channels for several chunks.
  layers = [
    _layer((20, 20, 32), 0.8, 0, filters=40, kernel_size=4, strides=2),
    _layer((9, 9, 40), 0.8, 1, filters=32, kernel_size=3, padding='same'),
  ]
  images = np.random.default_rng(0).normal(size=(32, 20, 20, 32))
  _assert_as_masked(layers, np.float32(images))
  step = _gradients(layers)
  first, second = (step(tf.constant(np.float32(images)))[1] for _ in 'ab')
  for ours, theirs in zip(first, second):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('batch', [1, 20])
def test_the_nature_cnn_takes_bytes_in_one_operation(batch):
  layers = sparsity.sparsify(
    networks.nature_torso((4, 8, 8)),
    target_sparsity=0.7,
    input_shape=[None, 84, 84, 4],
  )
  rng = np.random.default_rng(0)
  images = tf.constant(rng.integers(0, 256, (batch, 84, 84, 4), np.uint8))
  backend.set_backend('masked')
  expected = stack.call(layers, images)
  backend.set_backend('native')
  call = tf.function(lambda x: stack.call(layers, x), autograph=False)
  _assert_close(call(images), expected)
  kinds = _kinds(call, images)
  assert kinds.count('TfSparseRlConvStack') == 1
  assert not {'Cast', 'Mul', 'Conv2D', 'BiasAdd', 'Relu'} & set(kinds)


def test_residual_blocks_are_native():
  layers = sparsity.sparsify(
    networks.impala_torso((2, 4, 4)),
    target_sparsity=0.5,
    distribution='uniform',
    input_shape=[None, 12, 10, 3],
  )
  images = tf.random.stateless_uniform([2, 12, 10, 3], [0, 0], 0, 255)
  backend.set_backend('masked')
  expected = stack.call(layers, images)
  backend.set_backend('native')
  call = tf.function(lambda x: stack.call(layers, x), autograph=False)
  _assert_close(call(images), expected)
  kinds = _kinds(call, images)
  # One a stack, and one a block of its two convolutions.
  assert kinds.count('TfSparseRlConvStack') == 3 + 6
  assert 'Conv2D' not in kinds


@pytest.mark.parametrize('batch', [2, 16])
@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_what_is_not_finite_spreads_as_in_tensorflow(bad, batch):
  layers = [
    _layer((7, 7, 2), 0.9, 0, filters=3, kernel_size=3, activation='relu'),
    _layer((5, 5, 3), 0.9, 1, filters=4, kernel_size=2),
  ]
  images = np.ones((batch, 7, 7, 2), np.float32)
  images[1, 1, 5, 0] = bad
  outputs, *_ = _gradients(layers)(tf.constant(images))
  backend.set_backend('masked')
  linear = [layer.layer for layer in layers]
  hidden = linear[0](images)
  # What oneDNN fuses with a ReLU turns NaN into 0.
  touched = np.isnan(linear[0].convolution_op(images, linear[0].kernel))
  expected = linear[1](tf.where(touched, np.nan, hidden))
  np.testing.assert_array_equal(np.isnan(outputs), np.isnan(expected))
  assert np.isnan(outputs[1]).any() and not np.isnan(outputs[0]).any()

  backend.set_backend('native')

  @tf.function(autograph=False)
  def of_images(images, gradient):
    with tf.GradientTape() as tape:
      tape.watch(images)
      outputs = layers[1](images)
    return tape.gradient(outputs, images, gradient)

  gradient = np.ones((batch, 4, 4, 4), np.float32)
  gradient[1, 3, 0, 2] = bad
  found = of_images(tf.ones([batch, 5, 5, 3]), tf.constant(gradient))
  at_window = np.zeros([batch, 5, 5, 3], bool)
  at_window[1, 3:, :2] = True
  np.testing.assert_array_equal(np.isnan(found), at_window)


def test_a_changed_mask_or_kernel_is_seen_at_once():
  layer = _layer((6, 6, 3), 0.5, 0, filters=4, kernel_size=3)
  images = tf.random.stateless_normal([12, 6, 6, 3], [0, 0])
  step = _gradients([layer])
  rng = np.random.default_rng(0)
  for _ in range(3):
    layer.mask.assign(np.float32(rng.random(layer.mask.shape) < 0.4))
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    outputs, _, [packed] = step(images)
    _assert_close(outputs, layer.layer(images))
    assert len(packed) == layer.mask.numpy().sum()


@pytest.mark.parametrize(
  'options',
  [
    {'dilation_rate': 2},
    {'groups': 2},
    {'dtype': 'float64'},
    {'dtype': 'mixed_bfloat16'},
  ],
  ids=lambda options: next(iter(options)),
)
def test_what_the_kernels_do_not_have_is_tensorflows(options):
  layer = _layer((6, 6, 2), 0.5, 0, filters=4, kernel_size=2, **options)
  dtype = layer.layer.dtype_policy.compute_dtype
  call = tf.function(layer, autograph=False)
  assert 'TfSparseRlConvStack' not in _kinds(
    call, tf.TensorSpec([4, 6, 6, 2], dtype)
  )


def test_dense_convolutions_and_images_of_any_size_are_tensorflows():
  dense = sparsity.SparseLayer(tf.keras.layers.Conv2D(4, 2), 0.0)
  dense.build([None, 6, 6, 2])
  sparse = _layer((6, 6, 2), 0.5, 0, filters=4, kernel_size=2)
  for layer, sides in ((dense, [6, 6]), (sparse, [None, 6])):
    call = tf.function(layer, autograph=False)
    kinds = _kinds(call, tf.TensorSpec([4, *sides, 2]))
    assert 'TfSparseRlConvStack' not in kinds and 'Conv2D' in kinds


def test_l2_is_added_to_packed_gradients():
  layer = _layer(
    *((5, 5, 2), 0.5, 0),
    filters=3,
    kernel_size=2,
    kernel_regularizer=tf.keras.regularizers.L2(0.3),
  )

  @tf.function(autograph=False)
  def step(images):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(layer(images)) + layer.losses[0]
    gradient = tape.gradient(loss, layer.kernel)
    parts = stacks.parts_of(gradient)
    assert [part.packed is None for part in parts] == [False, True]
    return gradient, parts[0].packed, parts[1].decay

  gradient, packed, decay = step(tf.ones([4, 5, 5, 2]))
  active = layer.mask.numpy() == 1
  kernel = layer.kernel.numpy()[active]
  _assert_close(packed + decay * kernel, gradient.numpy()[active])
  assert float(decay) == pytest.approx(2 * 0.3)


def test_auto_measures_convolutions_and_says_so(monkeypatch, tmp_path):
  layers = [
    _layer((8, 8, 2), 0.5, 0, filters=4, kernel_size=3, strides=2),
    _layer((3, 3, 4), 0.9, 1, filters=4, kernel_size=2, padding='same'),
  ]
  monkeypatch.setattr(library, 'cache_dir', lambda: tmp_path)
  backend.set_backend('auto')
  step = _gradients(layers)
  kinds = _kinds(step, tf.TensorSpec([6, 8, 8, 2]))
  [divided] = stacks.divide([layer.operand for layer in layers])
  choice = stacks.choice_of(divided)
  assert choice.native_ms > 0 and choice.masked_ms > 0
  assert choice.is_native == (choice.native_ms < choice.masked_ms)
  assert choice.is_native == ('TfSparseRlConvStack' in kinds)


def test_what_is_measured_is_true_of_layers_far_from_the_break_even():
  sizes = ((20, 20, 64), (3, 3, 64, 1, 1, 'same'))
  masked, native, _ = measure.seconds(32, sizes, (0.99,))
  assert native < masked


def test_what_does_not_fit_is_refused():
  ops = library.load()
  operands = [tf.ones([2, 2, 3, 4])], [tf.ones([4])], [tf.zeros([0])]
  options = {'scale': 1.0, 'same': [False], 'relu': [False]}
  with pytest.raises(tf.errors.InvalidArgumentError, match='Expected images'):
    ops.tf_sparse_rl_conv_stack(
      *(tf.ones([1, 5, 5, 2]), *operands),
      image=[5, 5, 3],
      layers=[2, 2, 4, 1, 1],
      **options,
    )
  with pytest.raises(tf.errors.InvalidArgumentError, match='does not fit'):
    ops.tf_sparse_rl_conv_stack(
      *(tf.ones([1, 5, 5, 3]), *operands),
      image=[5, 5, 3],
      layers=[3, 2, 4, 1, 1],
      **options,
    )
