"""Adaptive pruning: sparsities along schedules, layers' shares, masks."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import adaptive, updater_base

_SHAPES = [(4, 512), (512, 512), (512, 2)]
_CONVOLUTIONS = [(8, 8, 4, 32), (4, 4, 32, 64), (3136, 512), (512, 6)]


def _updater(**changes):
  values = {'max_sparsity_step': 0.9, 'selection_period': 100, 'seed': 3}
  return adaptive.AdaptivePruning(**{**values, **changes})


def _sparsities(updater, sparsity_now, powers, train_step, num_train_steps):
  powers = tf.constant(powers, tf.float32)
  step = tf.constant(train_step, tf.int64)
  found = updater.sparsities(
    tf.constant(sparsity_now, tf.float32), powers, step, num_train_steps
  )
  return found.numpy()


def test_sparsities_by_hand():
  # 100 of the 500 train steps that are left: densities times 0.8 ** power.
  found = _sparsities(_updater(), 0.5, [0, 1, 2], 500, 1000)
  np.testing.assert_allclose(found, [0.5, 0.6, 0.68], rtol=1e-6)
  # A step of at most 0.15.
  updater = _updater(max_sparsity_step=0.15)
  found = _sparsities(updater, 0.5, [0, 1, 2], 500, 1000)
  np.testing.assert_allclose(found, [0.5, 0.6, 0.65], rtol=1e-6)


@pytest.mark.parametrize('power', [0.5, 1.0, 2.0, 3.0])
def test_a_power_that_is_kept_follows_the_polynomial(power):
  updater, now = _updater(), 0.0
  for step in range(0, 1000, 100):
    expected = 1 - (1 - step / 1000) ** power
    assert now == pytest.approx(expected, abs=1e-5)
    _, now = _sparsities(updater, now, [0, power], step, 1000)


def test_sparsities_rise_by_a_bounded_step_to_the_end_and_past_it():
  updater = _updater(max_sparsity_step=0.01)
  rng = np.random.default_rng(0)
  for step in (0, 1, 899, 900, 950, 999, 1000, 1500):
    now = rng.random() * 0.98
    powers = [0, *3 * rng.random(4)]
    found = _sparsities(updater, now, powers, step, 1000)
    assert found[0] == pytest.approx(now, abs=1e-7)
    assert (found >= found[0]).all()
    assert (found <= np.float32(now + 0.01) + 1e-6).all()


def test_powers_are_a_function_of_seed_network_and_train_step():
  def powers(updater, network=0, step=7):
    return updater.powers(network, tf.constant(step, tf.int64))

  updater = _updater(num_networks=4000, max_sparsity_power=2.0)
  first = powers(updater).numpy()
  compiled = tf.function(lambda: powers(updater), jit_compile=True)
  np.testing.assert_array_equal(compiled(), first)
  assert first[0] == 0
  assert 0 <= first.min() and first.max() < 2
  np.testing.assert_allclose(np.mean(first), 1.0, atol=0.05)
  np.testing.assert_allclose(np.std(first), 2 / np.sqrt(12), atol=0.05)
  other_seed = _updater(num_networks=4000, max_sparsity_power=2.0, seed=4)
  for other in (
    powers(updater, 1),
    powers(updater, step=8),
    powers(other_seed),
  ):
    assert np.mean(other.numpy() == first) < 0.01


def test_shares_of_layers_by_hand():
  # Raw densities 6 / 8 and 12 / 32; of 40 entries 20 are active.
  shapes = [(4, 2), (8, 4)]
  found = adaptive.layer_sparsities(shapes, 0.5, 'er')
  np.testing.assert_allclose(found, [1 / 6, 7 / 12])
  # Of 32 the first layer would have 10.7: it is dense, the other has 24 of 32.
  found = adaptive.layer_sparsities(shapes, 0.2, 'er')
  np.testing.assert_allclose(found, [0, 0.25])
  found = adaptive.layer_sparsities(shapes, 0.2, 'uniform')
  np.testing.assert_allclose(found, [0.2, 0.2])


@pytest.mark.parametrize('shapes', [_SHAPES, _CONVOLUTIONS])
def test_shares_of_layers_are_those_of_the_distributions(shapes):
  named = dict(enumerate(shapes))
  sizes = np.array([np.prod(shape) for shape in shapes])
  for kind, wanted in itertools.product(
    sparsity.distributions.DISTRIBUTIONS, (0, 1e-4, 0.1, 0.5, 0.9, 0.99, 0.999)
  ):
    found = adaptive.layer_sparsities(shapes, wanted, kind).numpy()
    expected = sparsity.distributions.layer_sparsities(named, wanted, kind)
    # There budgets are whole numbers, here they are not yet.
    atol = len(shapes) / sizes
    assert (np.abs(found - [*expected.values()]) <= atol).all(), (kind, wanted)
    np.testing.assert_allclose(found @ sizes, wanted * sizes.sum(), rtol=1e-6)


def _new_mask(weight, mask, layer_sparsity):
  state = updater_base.KernelState(
    *(tf.constant(x, tf.float32) for x in (weight, mask, weight))
  )
  target = tf.constant(layer_sparsity, tf.float64)
  return _updater().new_mask(state, target).numpy().ravel().tolist()


def test_masks_by_hand():
  weight = [[0.1, -0.5, 0.3, 0.0, 0.7, -0.2, 0.0, 0.4]]
  mask = [[1, 1, 1, 1, 1, 1, 0, 1]]
  assert _new_mask(weight, mask, 0.5) == [0, 1, 1, 0, 1, 0, 0, 1]
  assert _new_mask(weight, mask, 0.6) == [0, 1, 1, 0, 1, 0, 0, 1]  # floor(4.8)
  # Never fewer zeros than there are, and never all.
  assert _new_mask(weight, mask, 0.0) == mask[0]
  assert _new_mask(weight, mask, 0.9999) == [0, 0, 0, 0, 1, 0, 0, 0]
  assert _new_mask(weight, [[0] * 8], 0.5) == [0] * 8


def test_a_network_alone_cannot_have_it():
  layers = [tf.keras.layers.Dense(2)]
  with pytest.raises(ValueError, match="'adaptive', which needs an agent"):
    sparsity.sparsify(layers, 'adaptive', 0.9, input_shape=[None, 3])
