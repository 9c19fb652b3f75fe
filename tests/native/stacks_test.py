"""Stacks of layers by native kernels against NumPy in double precision."""

import gc
import threading
import weakref

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_sparse_rl import sparsity
from tf_sparse_rl.native import backend, library, stacks
from tf_sparse_rl.networks import stack

_ACTIVATIONS = {
  'linear': (lambda z: z, lambda y: np.ones_like(y)),
  'relu': (lambda z: np.maximum(z, 0), lambda y: (y > 0) * 1.0),
  'tanh': (np.tanh, lambda y: 1 - y**2),
  'sigmoid': (lambda z: 1 / (1 + np.exp(-z)), lambda y: y * (1 - y)),
  'elu': (
    lambda z: np.where(z < 0, np.expm1(z), z),
    lambda y: np.where(y < 0, y + 1, 1.0),
  ),
}


@pytest.fixture(autouse=True)
def native_backend():
  if library.load() is None:
    pytest.skip(library.problem())
  backend.set_backend('native')


def _layers(sizes, sparsities, activations, seed, use_bias=True):
  """Built SparseLayers with random masks, some with empty rows and columns."""
  rng = np.random.default_rng(seed)
  layers = []
  for i, (units, level, name) in enumerate(
    zip(sizes[1:], sparsities, activations)
  ):
    dense = tf.keras.layers.Dense(units, name, use_bias=use_bias, name=f'l{i}')
    layer = sparsity.SparseLayer(dense, target_sparsity=min(level, 0.99))
    layer.build([None, sizes[i]])
    mask = (rng.random((sizes[i], units)) >= level).astype(np.float32)
    if layer.target_sparsity:
      mask[rng.integers(sizes[i])] = 0
      mask[:, rng.integers(units)] = 0
      layer.mask.assign(mask)
      layer.kernel.assign(rng.normal(size=mask.shape) * mask)
    if use_bias:
      dense.bias.assign(rng.normal(size=units))
    layers.append(layer)
  return layers


def _step(layers):
  """A graph: (inputs, gradient of the output) -> output and gradients."""

  @tf.function(autograph=False)
  def step(inputs, gradient):
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      outputs = stack.call(layers, inputs)
    variables = [v for layer in layers for v in layer.trainable_variables]
    found = tape.gradient(outputs, [inputs, *variables], gradient)
    # Beside each dense gradient of a kernel, its packed active entries.
    packed = [stacks.parts_of(g) for g in found[1:]]
    packed = [p[0].packed for p in packed if p is not None]
    return outputs, found, packed

  return step


def _expected(layers, inputs, gradient):
  """The same in NumPy, float64."""
  states = [inputs.astype(np.float64)]
  for layer in layers:
    z = states[-1] @ layer.kernel.numpy().astype(np.float64)
    if layer.layer.use_bias:
      z = z + layer.layer.bias.numpy()
    states.append(_ACTIVATIONS[layer.layer.activation.__name__][0](z))
  found, delta = [], gradient.astype(np.float64)
  for layer, x, y in zip(reversed(layers), states[-2::-1], states[:0:-1]):
    delta = delta * _ACTIVATIONS[layer.layer.activation.__name__][1](y)
    biases = [delta.sum(axis=0)] if layer.layer.use_bias else []
    found = [x.T @ delta, *biases, *found]
    delta = delta @ layer.kernel.numpy().astype(np.float64).T
  return states[-1], [delta, *found]


def _assert_close(found, expected):
  scale = 1 + np.max(np.abs(expected), initial=0)
  np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * scale)


def _assert_as_dense(layers, batch, seed=0):
  rng = np.random.default_rng(seed)
  inputs = rng.normal(size=(batch, layers[0].kernel.shape[0]))
  gradient = rng.normal(size=(batch, layers[-1].kernel.shape[1]))
  inputs, gradient = np.float32(inputs), np.float32(gradient)
  step = _step(layers)
  outputs, found, packed = step(tf.constant(inputs), tf.constant(gradient))
  expected_outputs, expected = _expected(layers, inputs, gradient)
  _assert_close(outputs, expected_outputs)
  assert len(found) == len(expected)
  for ours, theirs in zip(found, expected):
    _assert_close(ours, theirs)
  kernels = [g for g, v in zip(expected[1:], _trainable(layers)) if v]
  masked = [
    (g, layer) for g, layer in zip(kernels, layers) if layer.target_sparsity
  ]
  assert len(packed) == len(masked)
  for ours, (theirs, layer) in zip(packed, masked):
    _assert_close(ours, theirs[layer.mask.numpy() == 1])
  return step


def _trainable(layers):
  """For each trainable variable, whether it is a kernel."""
  return [
    'kernel' in v.name for layer in layers for v in layer.trainable_variables
  ]


@hypothesis.settings(max_examples=15)
@hypothesis.given(
  sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
  batch=st.sampled_from([1, 2, 15, 16, 17, 32, 33, 64, 65, 100, 256]),
  data=st.data(),
)
def test_any_stack_agrees_with_numpy(sizes, batch, data):
  count = len(sizes) - 1

  def each(values):
    return data.draw(st.lists(values, min_size=count, max_size=count))

  layers = _layers(
    sizes,
    each(st.sampled_from([0.0, 0.2, 0.5, 0.9, 0.99, 1.0])),
    each(st.sampled_from(sorted(_ACTIVATIONS))),
    seed=data.draw(st.integers(0, 1000)),
    use_bias=data.draw(st.booleans()),
  )
  _assert_as_dense(layers, batch)


@pytest.mark.parametrize('batch', [1, 30, 128, 256])
def test_a_wide_stack_in_parts_agrees_with_numpy(batch):
  # Enough work to be shared with a second thread.
  layers = _layers((20, 300, 260, 4), (0.5, 0.6, 0.3), ['relu'] * 3, seed=0)
  _assert_as_dense(layers, batch)


def test_three_layers_are_one_operation():
  layers = _layers((6, 8, 7, 3), (0.5,) * 3, ['relu', 'relu', 'linear'], seed=0)

  function = tf.function(
    lambda inputs: stack.call(layers, inputs), autograph=False
  ).get_concrete_function(tf.TensorSpec([4, 6]))
  [output] = function.graph.outputs
  while output.op.type == 'Identity':
    [output] = output.op.inputs
  assert output.op.type == 'TfSparseRlStack'
  assert output.op.get_attr('N') == 3
  assert output.op.inputs[0] is function.graph.inputs[0]


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spreads_as_in_dense(bad):
  layers = _layers((6, 9, 4), (0.9, 0.9), ['relu', 'linear'], seed=1)
  inputs = np.ones((5, 6), np.float32)
  inputs[2, 3] = bad
  step = _step(layers)
  outputs, found, _ = step(tf.constant(inputs), tf.ones([5, 4]))
  finite = np.isfinite(outputs.numpy()).all(axis=1)
  np.testing.assert_array_equal(finite, [True, True, False, True, True])
  assert np.isnan(outputs[2]).all()
  assert np.isnan(step(tf.constant(inputs[2:3]), tf.ones([1, 4]))[0]).all()
  gradient = np.ones((5, 4), np.float32)
  gradient[1, 0] = bad
  _, found, _ = step(tf.ones([5, 6]), tf.constant(gradient))
  finite = np.isfinite(found[0].numpy()).all(axis=1)
  np.testing.assert_array_equal(finite, [True, False, True, True, True])


def test_a_changed_mask_or_kernel_is_seen_at_once():
  [layer] = layers = _layers((12, 10), (0.5,), ['linear'], seed=2)
  step = _assert_as_dense(layers, 8)
  rng = np.random.default_rng(0)
  inputs, gradient = np.float32(rng.normal(size=(2, 8, 12)))
  gradient = gradient[:, :10]

  def check():
    found = step(tf.constant(inputs), tf.constant(gradient))
    _assert_close(found[0], _expected(layers, inputs, gradient)[0])
    expected = _expected(layers, inputs, gradient)[1][1]
    _assert_close(found[2][0], expected[layer.mask.numpy() == 1])

  for round_ in range(3):
    mask = np.float32(rng.random((12, 10)) < 0.4)
    layer.mask.assign(mask)
    layer.kernel.assign(rng.normal(size=(12, 10)) * mask)
    check()
    layer.kernel.assign_add(0.5 * mask)  # In place, if TensorFlow may.
    check()
    layer.mask.assign_sub(mask)
    layer.mask.scatter_nd_update([[0, round_], [3, 4]], [1.0, 1.0])
    layer.kernel.assign(layer.kernel * layer.mask)
    check()


def test_threads_do_not_disturb_each_other():
  layers = _layers((40, 300, 260, 4), (0.5, 0.7, 0.2), ['relu'] * 3, seed=3)
  step = _step(layers)
  rng = np.random.default_rng(0)
  batches = [
    tf.constant(np.float32(rng.normal(size=(256, 40)))) for _ in 'abcd'
  ]
  gradient = tf.ones([256, 4])
  expected = [[t.numpy() for t in step(b, gradient)[1]] for b in batches]
  wrong = []

  def work(batch, right):
    for _ in range(20):
      for ours, theirs in zip(step(batch, gradient)[1], right):
        if not np.array_equal(ours, theirs):
          wrong.append(ours)

  threads = [
    threading.Thread(target=work, args=each) for each in zip(batches, expected)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert not wrong


def test_a_mask_of_another_shape_is_refused():
  ops = library.load()
  with pytest.raises(tf.errors.InvalidArgumentError, match='does not fit'):
    ops.tf_sparse_rl_stack(
      *(tf.ones([2, 3]), [tf.ones([3, 4])], [tf.ones([4])], [tf.ones([2, 2])]),
      sizes=[3, 4],
      activations=['relu'],
    )


def test_l2_is_that_of_the_active_entries():
  dense = tf.keras.layers.Dense(
    7, kernel_regularizer=tf.keras.regularizers.L2(0.3)
  )
  layer = sparsity.SparseLayer(dense, 0.5)
  layer.build([None, 5])
  mask = np.float32(np.arange(35).reshape(5, 7) % 3 == 0)
  layer.mask.assign(mask)
  layer.kernel.assign(mask * 2)

  @tf.function(autograph=False)
  def step():
    with tf.GradientTape() as tape:
      [loss] = layer.losses
    gradient = tape.gradient(loss, layer.kernel)
    assert 'TfSparseRlSumOfSquares' in {
      op.type for op in tf.compat.v1.get_default_graph().get_operations()
    }
    return loss, gradient

  loss, gradient = step()
  assert float(loss) == pytest.approx(0.3 * 4 * mask.sum())
  np.testing.assert_allclose(gradient, 0.3 * 2 * 2 * mask, rtol=1e-6)


def test_the_parts_of_a_gradient_add_up_to_it():
  dense = tf.keras.layers.Dense(
    5, 'tanh', kernel_regularizer=tf.keras.regularizers.L2(0.3)
  )
  layer = sparsity.SparseLayer(dense, 0.5)
  layer.build([None, 5])
  mask = np.float32(np.arange(25).reshape(5, 5) % 3 == 0)
  layer.mask.assign(mask)
  layer.kernel.assign(layer.kernel * mask)
  counts = []

  @tf.function(autograph=False)
  def step(inputs):
    with tf.GradientTape(persistent=True) as tape:
      twice = tf.reduce_sum(layer(layer(inputs))) + layer.losses[0]
      foreign = twice + tf.reduce_sum(layer.kernel**2)
      decay = layer.losses[0]
    gradient = tape.gradient(twice, layer.kernel)
    parts = stacks.parts_of(gradient)
    counts.extend([len(parts), sum(p.packed is None for p in parts)])
    # Not to be had in parts: another loss of the kernel, and L2 alone.
    for loss in (foreign, decay):
      assert stacks.parts_of(tape.gradient(loss, layer.kernel)) is None
    packed = tf.add_n([p.packed for p in parts if p.packed is not None])
    decays = tf.add_n([p.decay for p in parts if p.decay is not None])
    return gradient, tf.add_n([p.dense() for p in parts]), packed, decays

  gradient, dense_sum, packed, decays = step(tf.random.normal([4, 5]))
  assert counts == [3, 1]
  _assert_close(dense_sum, gradient)
  active = gradient.numpy()[mask == 1]
  _assert_close(packed + decays * layer.kernel.numpy()[mask == 1], active)


def test_a_layer_alone_is_a_stack_of_one():
  layers = _layers((6, 8, 3), (0.5, 0.5), ['relu', 'linear'], seed=0)

  def act(inputs):
    for layer in layers:
      inputs = layer(inputs)
    return inputs

  graph = (
    tf.function(act, autograph=False)
    .get_concrete_function(tf.TensorSpec([4, 6]))
    .graph
  )
  sizes = [
    op.get_attr('N')
    for op in graph.get_operations()
    if op.type == 'TfSparseRlStack'
  ]
  assert sizes == [1, 1]


def test_weights_are_those_at_the_time_of_each_call():
  first, second = _layers((3, 3, 2), (0.3, 0.3), ['linear'] * 2, seed=5)
  inputs = np.float32([[1, 2, 3]])
  expected = _expected([first, second], inputs, np.zeros([1, 2]))[0]

  @tf.function(autograph=False)
  def call(inputs):
    outputs = stack.call([first, second], inputs)
    first.kernel.assign(first.kernel * 7)
    seven = stack.call([first], inputs)
    first.kernel.assign(first.kernel / 7)
    return outputs, seven

  outputs, seven = call(tf.constant(inputs))
  _assert_close(outputs, expected)
  bias = first.layer.bias.numpy()
  once = _expected([first], inputs, np.zeros([1, 3]))[0]
  _assert_close(seven, 7 * (once - bias) + bias)


def test_in_between_two_layers_there_is_a_gradient():
  first, second = _layers((3, 4, 2), (0.3, 0.3), ['relu'] * 2, seed=5)

  @tf.function(autograph=False)
  def gradient(inputs):
    with tf.GradientTape() as tape:
      hidden = first(inputs)
      tape.watch(hidden)
      outputs = second(hidden)
    return hidden, tape.gradient(outputs, hidden)

  hidden, found = gradient(tf.constant([[1.0, 2.0, 3.0]]))
  expected = _expected([second], hidden.numpy(), np.ones([1, 2]))[1][0]
  _assert_close(found, expected)


def test_graphs_are_forgotten_with_their_functions():
  [layer] = _layers((3, 2), (0.3,), ['relu'], seed=5)
  function = tf.function(layer, autograph=False)
  graph = weakref.ref(
    function.get_concrete_function(tf.TensorSpec([1, 3])).graph
  )
  del function
  gc.collect()
  assert graph() is None
