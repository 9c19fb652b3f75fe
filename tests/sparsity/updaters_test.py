"""Updaters against the released code, by hand, and their schedules."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import (
  distributions,
  mask_updates,
  schedules,
  updater_base,
  updaters,
)

_TESTDATA = pathlib.Path(__file__).parents[2] / 'testdata'
_CASES = json.loads((_TESTDATA / 'rigl_updates.json').read_text())
_ARRAYS = np.load(_TESTDATA / 'rigl_updates.npz')


def _case(case):
  names = 'mask weight grad m v new_mask new_weight new_m new_v'.split()
  arrays = {name: _ARRAYS[f'{case["id"]}_{name}'] for name in names}
  # Kernels have two dimensions and more.
  return {
    name: array[:, np.newaxis] if array.ndim == 1 else array
    for name, array in arrays.items()
  }


def _layer(mask, weight):
  """A SparseLayer with this mask and kernel."""
  if mask.ndim == 2:
    plain = tf.keras.layers.Dense(mask.shape[-1], use_bias=False)
    input_shape = (None, mask.shape[0])
  else:
    plain = tf.keras.layers.Conv2D(
      mask.shape[-1], mask.shape[:2], use_bias=False
    )
    input_shape = (None, 8, 8, mask.shape[2])
  layer = sparsity.SparseLayer(plain, 0.5)
  layer.build(input_shape)
  layer.mask.assign(mask)
  layer.kernel.assign(weight)
  return layer


def test_all_reference_cases_are_there():
  assert len(_CASES) == 50


@pytest.mark.parametrize('case', _CASES, ids=lambda c: c['id'])
def test_rigl_agrees_with_the_released_code(case):
  """Mask, weight and both slots of Adam, after nothing but a mask update."""
  legacy = _CASES.index(case) % 2  # The generations of optimizers in turn.
  arrays = _case(case)
  layer = _layer(arrays['mask'], arrays['weight'])
  module = tf.keras.optimizers.legacy if legacy else tf.keras.optimizers
  updater = sparsity.RigL(
    schedules.ConstantDropFraction(case['drop_fraction']), 1
  )
  optimizer = sparsity.SparseOptimizer(module.Adam(), updater)
  optimizer.build([layer.kernel])
  [kernel] = optimizer._sparse_kernels
  assert len(kernel.slots) == 2
  for slot, name in zip(kernel.slots, ('m', 'v')):
    slot.assign(arrays[name])
  mask_updates.update_if_due(
    optimizer.updater,
    [kernel],
    [tf.constant(arrays['grad'])],
    tf.cast(optimizer.iterations, tf.int64),
  )

  new_mask = layer.mask.numpy()
  np.testing.assert_array_equal(new_mask, arrays['new_mask'])
  np.testing.assert_array_equal(layer.kernel.numpy(), arrays['new_weight'])
  for slot, name in zip(kernel.slots, ('new_m', 'new_v')):
    # The released code leaves old values outside the mask.
    np.testing.assert_array_equal(slot.numpy(), arrays[name] * new_mask)


@pytest.mark.parametrize('case', _CASES[::7], ids=lambda c: c['id'])
def test_new_mask_alone_agrees_too(case):
  arrays = _case(case)
  state = updaters.KernelState(
    *(tf.constant(arrays[n], tf.float32) for n in ('weight', 'mask', 'grad'))
  )
  updater = sparsity.RigL(
    schedules.ConstantDropFraction(case['drop_fraction']), 1
  )
  found = updater.new_mask(state, 0.5, tf.constant(0, tf.int64), 0)
  np.testing.assert_array_equal(found, arrays['new_mask'])


def _state(weight, mask, gradient):
  return updaters.KernelState(
    *(tf.constant(a, tf.float32) for a in (weight, mask, gradient))
  )


_STATE = (
  [4, -1, 3, -2, 0, 0, 0, 0],
  [1, 1, 1, 1, 0, 0, 0, 0],
  [0, 0, 0, 0, 1, -4, 3, 2],
)


def _new_mask(updater, state=_STATE, target=0.5, train_step=0, seed=0):
  step = tf.constant(train_step, tf.int64)
  mask = updater.new_mask(_state(*state), target, step, seed)
  return mask.numpy().astype(int).tolist()


def test_set_drops_the_smallest_and_grows_at_random():
  updater = sparsity.SET(0.5, seed=0)
  draws = [_new_mask(updater, train_step=t) for t in range(50)]
  for mask in draws:
    assert sum(mask) == 4
    assert mask[0] == mask[2] == 1
  # Each of the other six entries is drawn now and then, gradient or not.
  counts = np.sum(draws, axis=0)
  assert np.all(counts[[1, 3, 4, 5, 6, 7]] >= 5)


def test_set_depends_on_seed_layer_and_train_step_only():
  size = 64
  state = (np.zeros(size), np.arange(size) < 32, np.zeros(size))

  def draw(seed, step, layer):
    updater = sparsity.SET(1.0, seed=seed)
    return _new_mask(updater, state, train_step=step, seed=layer)

  first = draw(0, 0, 0)
  assert first == draw(0, 0, 0)
  for other in (draw(1, 0, 0), draw(0, 1, 0), draw(0, 0, 1)):
    assert other != first


def test_static_never_changes():
  assert sparsity.Static().is_due(tf.constant(0, tf.int64)) is None


@pytest.mark.parametrize('kind', [sparsity.SET, sparsity.RigL])
def test_due_from_step_0_until_the_end(kind):
  updater = kind(0.3, mask_update_period=3, mask_update_end_train_step=6)
  due = [bool(updater.is_due(t)) for t in range(11)]
  assert [t for t in range(11) if due[t]] == [0, 3, 6]
  assert float(updater.drop_fraction(0)) == pytest.approx(0.3)
  assert float(updater.drop_fraction(6)) == 0
  endless = kind(0.3, mask_update_period=3)
  assert bool(endless.is_due(tf.constant(3 * 10**12, tf.int64)))
  assert float(endless.drop_fraction(10**6)) == pytest.approx(0.3)


def test_no_drop_fraction_left_means_no_change():
  updater = sparsity.RigL(0.5, 1, mask_update_end_train_step=4)
  assert _new_mask(updater, train_step=4) == _STATE[1]


def test_pruning_drops_the_smallest():
  updater = sparsity.MagnitudePruning(0, 10, 5)
  dense = ([4, -1, 8, -2, 3, 7, -6, 5], [1] * 8, [0] * 8)
  assert _new_mask(updater, dense, 0.5, 0) == [1] * 8
  # Halfway: 0.4375 * 8 = 3.5, which rounds to 4, the layer's budget.
  assert _new_mask(updater, dense, 0.5, 5) == [0, 0, 1, 0, 0, 1, 1, 1]
  assert _new_mask(updater, dense, 0.75, 10) == [0, 0, 1, 0, 0, 1, 0, 0]


def test_pruning_never_revives():
  """Not even weights that leaked to be the largest of all."""
  updater = sparsity.MagnitudePruning(0, 10, 5)
  state = ([1, 2, 3, 4, 9, 9, 9, 9], [1, 1, 1, 1, 0, 0, 0, 0], [0] * 8)
  assert _new_mask(updater, state, 0.75, 10) == [0, 0, 1, 1, 0, 0, 0, 0]
  # Fewer than the ramp asks for are there: nothing changes.
  assert _new_mask(updater, state, 0.75, 0) == state[1]


@pytest.mark.parametrize(
  ('size', 'target'),
  [
    *((size, t) for size in (10, 999, 100_000) for t in (0.9, 0.77, 1 / 3)),
    (20_000_000, 0.9),
  ],
)
def test_pruning_ends_at_the_layers_budget(size, target):
  """Exactly, also where float32 has no room for it."""
  updater = sparsity.MagnitudePruning(0, 10, 5)
  ones = tf.ones([size])
  state = updaters.KernelState(ones, ones, ones)
  mask = updater.new_mask(state, target, tf.constant(10, tf.int64), 0)
  zeros = int(tf.math.count_nonzero(mask == 0))
  assert zeros == distributions.num_zeros([size], target)


def test_pruning_is_due_in_its_window_and_at_its_end():
  updater = sparsity.MagnitudePruning(2, 9, 3)
  due = [bool(updater.is_due(t)) for t in range(14)]
  assert [t for t in range(14) if due[t]] == [2, 5, 8, 9]


_UPDATERS = [
  sparsity.Static(),
  sparsity.SET(0.4, 5, 20, seed=9),
  sparsity.RigL(schedules.CosineDropFraction(0.3, 10), 5),
  sparsity.MagnitudePruning(1, 9, 2),
]


@pytest.mark.parametrize('updater', _UPDATERS, ids=lambda u: type(u).__name__)
def test_keras_serialization(updater):
  config = tf.keras.utils.serialize_keras_object(updater)
  config = json.loads(json.dumps(config))
  twin = tf.keras.utils.deserialize_keras_object(config)
  assert type(twin) is type(updater)
  assert twin.get_config() == updater.get_config()
  if updater.drop_fraction is not None:
    assert float(twin.drop_fraction(5)) == float(updater.drop_fraction(5))


class _Largest(sparsity.SET):
  """A method of one's own is a score: here, drop the largest weights."""

  def drop_scores(self, kernel):
    return -tf.abs(kernel.weight)


def test_an_algorithm_overrides_a_score():
  model = sparsity.sparsify(networks.dense_network(), target_sparsity=0.5)
  before = networks.masks(model), networks.kernels(model)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.SGD(0.0), _Largest(0.1), model
  )
  networks.train_step(model, optimizer)(*networks.batch(model))
  for mask, kernel, new in zip(*before, networks.kernels(model)):
    active = np.abs(kernel[mask == 1])
    survivors = np.abs(kernel[(mask == 1) & (new != 0)])
    dropped = int(0.1 * active.size)
    if dropped:
      # Regrown ones keep their weight; the others are the smallest.
      kept = np.sort(active)[: active.size - dropped]
      assert set(kept) <= set(survivors)


@pytest.mark.parametrize('scores', [None, 0.5, np.zeros([3, 3, 3])])
def test_scores_of_another_shape_are_told(scores):
  class Odd(sparsity.RigL):
    def grow_scores(self, kernel, train_step, seed):
      return scores

  kernel = updater_base.KernelState(*[tf.ones([2, 3])] * 3)
  with pytest.raises(ValueError, match=r'Odd.grow_scores .* mask, \(2, 3\). R'):
    Odd().new_mask(kernel, 0.5, tf.constant(0, tf.int64), 0)


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: sparsity.SET(0.0), 'Received: drop_fraction=0.0'),
    (lambda: sparsity.RigL(1.5), 'Received: drop_fraction=1.5'),
    (lambda: sparsity.RigL(0.3, 0), 'Received: mask_update_period=0'),
    (lambda: sparsity.RigL(0.3, 10, 0), 'Received: end_train_step=0'),
    (lambda: sparsity.MagnitudePruning(5, 5), 'Received: begin_train_step=5'),
    (lambda: sparsity.MagnitudePruning(0, 5, 0), 'Received: period=0'),
  ],
)
def test_errors_say_what_was_received(make, message):
  with pytest.raises(ValueError, match=message):
    make()


@pytest.mark.parametrize('mode', ['eager', 'graph', 'compiled'])
@pytest.mark.parametrize(
  'updater', [sparsity.SaliencyPruning, sparsity.GlobalMagnitudePruning]
)
def test_other_prunings_meet_the_budget(updater, mode):
  model = sparsity.sparsify(networks.dense_network(), 'prune', 0.7)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), updater(1, 5, 2), model
  )
  step = networks.train_step(model, optimizer)
  if mode != 'eager':
    step = tf.function(step, autograph=False, jit_compile=mode == 'compiled')
  for seed in range(7):
    before = networks.masks(model)
    step(*networks.batch(model, seed=seed))
    for new, old, kernel in zip(
      networks.masks(model), before, networks.kernels(model)
    ):
      assert np.all(new <= old)
      assert not kernel[new == 0].any()
  weights = sparsity.sparse_weights(model)
  assert sum(w.num_zeros for w in weights) == sum(
    w.num_zeros_of_target for w in weights
  )


def test_global_pruning_on_replicas(two_replicas):
  with two_replicas.scope():
    model = sparsity.sparsify(networks.dense_network(), 'prune', 0.7)
    updater = sparsity.GlobalMagnitudePruning(0, 2, 1)
    optimizer = sparsity.SparseOptimizer('adam', updater, model)
    model.compile(optimizer, 'mse')
  model.fit(*networks.batch(model), epochs=4, verbose=0)
  weights = sparsity.sparse_weights(model)
  assert sum(w.num_zeros for w in weights) == sum(
    w.num_zeros_of_target for w in weights
  )
  for weight in weights:
    first, second = two_replicas.experimental_local_results(weight.mask)
    np.testing.assert_array_equal(first, second)
  # What is written from now on is masked as ever.
  weights[0].variable.assign(tf.ones(weights[0].variable.shape))
  for kernel, mask in zip(
    *map(
      two_replicas.experimental_local_results,
      (weights[0].variable, weights[0].mask),
    )
  ):
    np.testing.assert_array_equal(kernel, mask)


def _srigl(mask, weight, gradient, target, **options):
  state = updaters.KernelState(
    *(tf.constant(x, tf.float32) for x in (weight, mask, gradient))
  )
  updater = sparsity.SRigL(0.5, 1, **options)
  step = tf.constant(0, tf.int64)
  return updater.new_mask(state, target, step, 0).numpy()


@pytest.mark.parametrize('mode', ['eager', 'graph', 'compiled'])
@pytest.mark.parametrize('network', networks.NETWORKS)
def test_srigl_has_a_constant_fan_in(network, mode):
  model = sparsity.sparsify(networks.NETWORKS[network](), 'rigl', 0.7)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), sparsity.SRigL(0.5, 2), model
  )
  step = networks.train_step(model, optimizer)
  if mode != 'eager':
    step = tf.function(step, autograph=False, jit_compile=mode == 'compiled')
  weights = sparsity.sparse_weights(model)
  for seed in range(4):
    step(*networks.batch(model, seed=seed))
    for weight in weights:
      mask = weight.mask.numpy()
      fan_in = mask.reshape(-1, mask.shape[-1]).sum(axis=0)
      assert len(set(fan_in) - {0}) == 1
      ones = mask.size - weight.num_zeros_of_target
      active = np.count_nonzero(fan_in)
      assert max(fan_in) == min(ones // active, mask.size // mask.shape[-1])
      assert weight.missing_zeros == 0
      assert not weight.variable.numpy()[mask == 0].any()


@pytest.mark.parametrize(
  ('salient_fraction', 'units'),
  # Two units are salient: the two kept ones, one of which has the gradient.
  [(0.0, 3), (0.3, 2)],
)
def test_srigl_with_fewer_connections_than_units(salient_fraction, units):
  mask = np.zeros((4, 8))
  mask[0, :3] = 1
  new = _srigl(
    mask, mask, np.ones((4, 8)), 29 / 32, salient_fraction=salient_fraction
  )
  assert sorted(new.sum(axis=0)) == [0] * (8 - units) + [1] * units


def test_srigl_refuses_other_structures():
  model = sparsity.sparsify(
    networks.dense_network(), 'rigl', 0.5, block_shape=(2, 1)
  )
  with pytest.raises(ValueError, match='SRigL sets the structure itself'):
    sparsity.SparseOptimizer('adam', sparsity.SRigL(), model)
