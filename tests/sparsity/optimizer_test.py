"""`SparseOptimizer`: what it hands on, saving, errors, Keras' own loops."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity

_CURRENT, _LEGACY = tf.keras.optimizers, tf.keras.optimizers.legacy


def _model(target_sparsity=0.5, seed=0):
  return sparsity.sparsify(
    networks.dense_network(), target_sparsity=target_sparsity, seed=seed
  )


@pytest.mark.parametrize('module', [_CURRENT, _LEGACY])
def test_is_the_inner_optimizer_on_masked_gradients(module):
  """One step of SGD by hand."""
  model = _model()
  optimizer = sparsity.SparseOptimizer(
    module.SGD(0.1), sparsity.Static(), model
  )
  before = model.trainable_variables
  pairs = networks.gradients(model, *networks.batch(model))
  masks = iter(networks.masks(model))
  expected = [
    v.numpy() - 0.1 * g.numpy() * (next(masks) if 'kernel' in v.name else 1)
    for g, v in pairs
  ]
  optimizer.apply_gradients(pairs)
  assert int(optimizer.iterations) == 1
  for variable, value in zip(before, expected):
    np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
  'make',
  [
    lambda: _CURRENT.SGD(1.0, clipnorm=1.0),
    lambda: _CURRENT.SGD(1.0, global_clipnorm=1.0),
    lambda: _LEGACY.SGD(1.0, clipnorm=1.0),
    lambda: _LEGACY.SGD(1.0, global_clipnorm=1.0),
  ],
  ids=['clipnorm', 'global_clipnorm', 'legacy_clip', 'legacy_global_clip'],
)
def test_clipping_sees_masked_gradients_only(make):
  """(3, 4) has norm 5; 1000 outside the mask would swamp it."""
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(3, use_bias=False), 0.5)
  layer.build((None, 1))
  layer.mask.assign([[1, 1, 0]])
  layer.kernel.assign([[0, 0, 0]])
  optimizer = sparsity.SparseOptimizer(make(), sparsity.Static())
  optimizer.apply_gradients([(tf.constant([[3.0, 4, 1000]]), layer.kernel)])
  np.testing.assert_allclose(layer.kernel[0], [-0.6, -0.8, 0], rtol=1e-6)


@pytest.mark.parametrize('module', [_CURRENT, _LEGACY])
def test_gradients_that_are_not_finite_stay_outside(module):
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(4, use_bias=False), 0.5)
  layer.build((None, 1))
  layer.mask.assign([[1, 1, 0, 0]])
  layer.kernel.assign([[2, 1, 0, 0]])
  optimizer = sparsity.SparseOptimizer(module.Adam(0.1), sparsity.Static())
  gradient = tf.constant([[1.0, -1, np.nan, np.inf]])
  optimizer.apply_gradients([(gradient, layer.kernel)])
  np.testing.assert_allclose(layer.kernel[0], [1.9, 1.1, 0, 0], rtol=1e-5)
  for slot in networks.slots(optimizer, layer.kernel):
    assert not slot.numpy()[0, 2:].any()


def test_masks_change_before_the_weights_do():
  """A connection grown at a step takes part in it: 0 - 0.1 * 5."""
  layer = sparsity.SparseLayer(tf.keras.layers.Dense(4, use_bias=False), 0.5)
  layer.build((None, 1))
  layer.mask.assign([[1, 1, 0, 0]])
  layer.kernel.assign([[2, 1, 0, 0]])
  optimizer = sparsity.SparseOptimizer(_CURRENT.SGD(0.1), sparsity.RigL(0.5))
  optimizer.apply_gradients([(tf.constant([[1.0, 1, 3, 5]]), layer.kernel)])
  np.testing.assert_array_equal(layer.mask[0], [1, 0, 0, 1])
  np.testing.assert_allclose(layer.kernel[0], [1.9, 0, 0, -0.5], rtol=1e-6)


@pytest.mark.parametrize('module', [_CURRENT, _LEGACY])
def test_a_train_step_multiplies_gradients_by_masks_and_nothing_else(module):
  """Weights keep their zeros by construction: no product, no choice."""
  model = _model()
  optimizer = sparsity.SparseOptimizer(
    module.SGD(0.1, momentum=0.9), sparsity.Static(), model
  )
  pairs = networks.gradients(model, *networks.batch(model))
  optimizer.build([v for _, v in pairs])

  @tf.function(autograph=False)
  def step(*gradients):
    optimizer.apply_gradients(zip(gradients, [v for _, v in pairs]))

  graph = step.get_concrete_function(*[g for g, _ in pairs]).graph
  types = [op.type for op in graph.get_operations()]
  assert types.count('MulNoNan') == len(sparsity.sparse_weights(model))
  assert not {'SelectV2', 'NotEqual', 'IsNan'} & set(types)


def test_dense_layers_train_as_ever():
  """Sparsity 0 costs nothing: no mask, no kernel to look after."""
  model = sparsity.sparsify(
    networks.dense_network(), target_sparsity=0.5, custom={'first': 0.0}
  )
  optimizer = sparsity.SparseOptimizer(
    _CURRENT.SGD(0.1), networks.updater('set'), model
  )
  before = networks.kernels(model)[0]
  networks.train_step(model, optimizer)(*networks.batch(model))
  assert len(optimizer._sparse_kernels) == 2
  assert np.all(model.layers[0].mask.numpy() == 1)
  assert np.any(networks.kernels(model)[0] != before)


def test_variables_without_a_gradient_are_left_out():
  model = _model()
  optimizer = sparsity.SparseOptimizer(_CURRENT.Adam(), sparsity.SET(), model)
  pairs = networks.gradients(model, *networks.batch(model))
  optimizer.build([v for _, v in pairs])
  before = networks.masks(model)[0], networks.kernels(model)[0]
  optimizer.apply_gradients([(None, pairs[0][1]), *pairs[1:]])
  np.testing.assert_array_equal(networks.masks(model)[0], before[0])
  np.testing.assert_array_equal(networks.kernels(model)[0], before[1])


@pytest.mark.parametrize('module', [_CURRENT, _LEGACY])
def test_a_sparse_kernel_that_comes_late_is_refused(module):
  model = _model()
  optimizer = sparsity.SparseOptimizer(module.Adam(), sparsity.SET(), model)
  pairs = networks.gradients(model, *networks.batch(model))
  optimizer.apply_gradients(pairs[2:])
  with pytest.raises(ValueError, match='build.*Received:.*first/kernel'):
    optimizer.apply_gradients(pairs)


def test_learning_rate_is_the_inner_one():
  inner = _CURRENT.Adam(0.25)
  optimizer = sparsity.SparseOptimizer(inner, sparsity.Static())
  assert float(optimizer.learning_rate) == 0.25
  optimizer.learning_rate = 0.5
  assert float(inner.learning_rate) == 0.5
  assert optimizer.inner_optimizer is inner


@pytest.mark.parametrize(
  ('method', 'module', 'suffix'),
  [
    *((method, _CURRENT, 'keras') for method in ('set', 'rigl', 'prune')),
    *((method, _LEGACY, 'keras') for method in ('set', 'rigl', 'prune')),
    ('rigl', _CURRENT, 'h5'),
    ('set', _LEGACY, 'h5'),
  ],
)
@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5')
def test_save_and_load_continues_identically(method, module, suffix, tmp_path):
  model = sparsity.sparsify(
    networks.dense_network(), method, target_sparsity=0.8
  )
  optimizer = sparsity.SparseOptimizer(
    module.Adam(0.02), networks.updater(method), model
  )
  model.compile(optimizer, 'mse')
  inputs, targets = networks.batch(model, size=48)

  def fit(model):
    model.fit(inputs, targets, 16, shuffle=False, verbose=0)

  fit(model)
  path = str(tmp_path / f'model.{suffix}')
  model.save(path)
  loaded = tf.keras.models.load_model(path)
  assert isinstance(loaded.optimizer, sparsity.SparseOptimizer)
  assert type(loaded.optimizer.updater) is type(optimizer.updater)
  for _ in range(2):
    assert int(loaded.optimizer.iterations) == int(optimizer.iterations)
    for ours, theirs in zip(
      [*model.variables, *optimizer.variables],
      [*loaded.variables, *loaded.optimizer.variables],
    ):
      np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    fit(model)
    fit(loaded)
  assert int(optimizer.iterations) == 9


def test_a_saved_model_keeps_masks_and_the_updater(tmp_path):
  """Train steps and slots not: Keras restores no optimizer's from it."""
  model = _model()
  optimizer = sparsity.SparseOptimizer(
    _CURRENT.Adam(0.02), networks.updater('rigl'), model
  )
  model.compile(optimizer, 'mse')
  data = networks.batch(model)
  model.fit(*data, epochs=3, verbose=0)
  model.save(tmp_path / 'model')
  loaded = tf.keras.models.load_model(tmp_path / 'model')
  assert loaded.optimizer.updater.get_config() == optimizer.updater.get_config()
  assert int(loaded.optimizer.iterations) == 0
  for ours, theirs in zip(model.variables, loaded.variables):
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
  loaded.fit(*data, epochs=1, verbose=0)
  for new, old, kernel in zip(
    networks.masks(loaded), networks.masks(model), networks.kernels(loaded)
  ):
    assert new.sum() == old.sum()
    assert np.all(kernel[new == 0] == 0)
  assert any(
    np.any(new != old)
    for new, old in zip(networks.masks(loaded), networks.masks(model))
  )


def test_checkpoint_restores_masks_and_slots(tmp_path):
  """Into objects that have not made a step yet."""

  def make():
    model = _model()  # The seed of a layer is part of its config.
    optimizer = sparsity.SparseOptimizer(
      _CURRENT.Adam(0.02), networks.updater('set'), model
    )
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
    return model, networks.train_step(model, optimizer), checkpoint

  model, step, checkpoint = make()
  step(*networks.batch(model))
  path = checkpoint.write(str(tmp_path / 'checkpoint'))
  other, other_step, other_checkpoint = make()
  for variable in other.variables:
    variable.assign(tf.zeros_like(variable))
  status = other_checkpoint.read(path)
  for i in range(3):
    step(*networks.batch(model, seed=i))
    other_step(*networks.batch(model, seed=i))
  status.assert_consumed()
  for ours, theirs in zip(model.variables, other.variables):
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_loss_scale_outside():
  model = _model()
  inner = sparsity.SparseOptimizer(
    _CURRENT.Adam(0.02), networks.updater('rigl'), model
  )
  optimizer = tf.keras.mixed_precision.LossScaleOptimizer(inner)
  model.compile(optimizer, 'mse')
  model.fit(*networks.batch(model), epochs=3, verbose=0)
  assert int(inner.iterations) == 3
  for mask, kernel in zip(networks.masks(model), networks.kernels(model)):
    assert np.all(kernel[mask == 0] == 0)
    assert np.all(np.isfinite(kernel))


def test_moving_averages_are_sparse_too():
  model = _model()
  optimizer = sparsity.SparseOptimizer(
    _CURRENT.SGD(0.1, use_ema=True, ema_momentum=0.5), sparsity.Static(), model
  )
  networks.train_step(model, optimizer)(*networks.batch(model))
  before = networks.kernels(model)
  optimizer.finalize_variable_values(model.trainable_variables)
  for mask, kernel, old in zip(
    networks.masks(model), networks.kernels(model), before
  ):
    assert np.any(kernel != old)
    assert np.all(kernel[mask == 0] == 0)


def test_double_precision_layers():
  layer = sparsity.SparseLayer(
    tf.keras.layers.Dense(4, use_bias=False, dtype='float64'), 0.5
  )
  layer.build((None, 1))
  layer.mask.assign([[1, 1, 0, 0]])
  layer.kernel.assign([[2, 1, 0, 0]])
  optimizer = sparsity.SparseOptimizer(_CURRENT.SGD(0.1), sparsity.RigL(0.5))
  gradient = tf.constant([[1, 1, 3, 5]], tf.float64)
  optimizer.apply_gradients([(gradient, layer.kernel)])
  np.testing.assert_allclose(layer.kernel[0], [1.9, 0, 0, -0.5])


def _loss_scaled():
  return tf.keras.mixed_precision.LossScaleOptimizer(_CURRENT.Adam())


@pytest.mark.parametrize(
  ('arguments', 'error', 'message'),
  [
    (lambda: (3, sparsity.Static()), TypeError, 'Received: 3'),
    (lambda: (_CURRENT.Adam(), 'rigl'), TypeError, "Received: 'rigl'"),
    (
      lambda: (_loss_scaled(), sparsity.Static()),
      ValueError,
      'the loss scale outside',
    ),
    (
      lambda: (_CURRENT.Adam(), sparsity.RigL(), networks.dense_network()),
      ValueError,
      r'sparsify\(\). Received: <',
    ),
    (
      lambda: (_CURRENT.Adam(), sparsity.RigL(), _model(target_sparsity=0.0)),
      ValueError,
      'target_sparsity > 0',
    ),
  ],
)
def test_errors_say_what_was_received(arguments, error, message):
  with pytest.raises(error, match=message):
    sparsity.SparseOptimizer(*arguments())


def test_refuses_variables_without_a_mask():
  model = networks.dense_network()
  optimizer = sparsity.SparseOptimizer(_CURRENT.Adam(), sparsity.RigL())
  with pytest.raises(ValueError, match='none among the variables'):
    networks.train_step(model, optimizer)(*networks.batch(model))
