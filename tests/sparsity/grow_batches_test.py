"""Growth by the mean of the gradients of several batches."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import sparsity

_PERIOD, _BATCHES = 4, 3
_MASK = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], np.float32)


def _updater(grow_batches=_BATCHES):
  return sparsity.RigL(0.5, _PERIOD, grow_batches=grow_batches)


class _Layer:
  """A layer of two inputs and four units, half of them active."""

  def __init__(self, updater):
    layers = [tf.keras.layers.Dense(4, use_bias=False)]
    self.layers = sparsity.sparsify(layers, 'rigl', 0.5, input_shape=[None, 2])
    [self.layer] = self.layers
    self.layer.mask.assign(_MASK)
    self.layer.kernel.assign([[4.0, 3, 2, 1], [0, 0, 0, 0]])
    sgd = tf.keras.optimizers.SGD(0.0)  # Weights stay: what counts is grown.
    self.optimizer = sparsity.SparseOptimizer(sgd, updater, self.layers)
    self.saved = tf.train.Checkpoint(layer=self.layer, optimizer=self.optimizer)

  def step(self, gradient, **kwargs):
    pair = tf.constant(gradient, tf.float32), self.layer.kernel
    self.optimizer.apply_gradients([pair], **kwargs)
    return self.layer.mask.numpy()


def _gradients(num=9):
  return np.random.default_rng(0).normal(size=(num, 2, 4)).astype(np.float32)


def test_which_gradients_count_by_hand():
  steps = tf.range(10)
  found = _updater().needs_gradient(steps).numpy()
  assert np.flatnonzero(found).tolist() == [0, 2, 3, 4, 6, 7, 8]
  assert _updater().needs_gradient(tf.constant(2)).numpy()
  np.testing.assert_array_equal(
    _updater(1).needs_gradient(steps), _updater(1).is_due(steps)
  )
  every = _updater(_PERIOD).needs_gradient(steps)
  assert np.flatnonzero(every).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  assert sparsity.Static().needs_gradient(steps) is None


@pytest.mark.parametrize('is_compiled', [False, True])
def test_it_grows_by_the_mean_by_hand(is_compiled):
  layer = _Layer(_updater())
  step = layer.step
  if is_compiled:
    layer.optimizer.build([layer.layer.kernel])
    graph = tf.function(
      lambda g: layer.optimizer.apply_gradients([(g, layer.layer.kernel)])
    )

    def step(gradient):
      graph(tf.constant(gradient, tf.float32))
      return layer.layer.mask.numpy()

  zeros = np.zeros((2, 4))
  # At train step 0 there is one batch: two of four connections are replaced.
  first = step([zeros[0], [0, 9, 0, 8]])
  np.testing.assert_array_equal(first, [[1, 1, 0, 0], [0, 1, 0, 1]])
  step([[0, 0, 90, 90], [90, 0, 90, 0]])  # Train step 1 does not count.
  step([zeros[0], [6, 0, 0, 0]])
  step([[0, 0, 6, 0], [0, 0, -5, 0]])
  # The last gradient alone would grow the last of the first row. Of the means,
  # 2, 1.67, 1.33 and 2 are at hand; grown are at weight 0, so they go first.
  masks = step([[0, 0, 0, 4], [0, 0, 0, 0]])
  np.testing.assert_array_equal(masks, [[1, 1, 1, 0], [1, 0, 0, 0]])
  # None of them is left over for the next update.
  for _ in range(3):
    step(zeros)
  masks = step([[0, 0, 0, 2], [0, 0, 1, 0]])
  np.testing.assert_array_equal(masks, [[1, 1, 0, 1], [0, 0, 1, 0]])


def test_one_batch_is_rigl_as_ever():
  masks = [
    [layer.step(g) for g in _gradients()]
    for layer in (_Layer(_updater(1)), _Layer(sparsity.RigL(0.5, _PERIOD)))
  ]
  np.testing.assert_array_equal(*masks)
  assert len(_Layer(_updater(1)).optimizer.variables) < 3


def test_what_was_gathered_is_restored(tmp_path):
  gradients = _gradients()
  alone, stopped = _Layer(_updater()), _Layer(_updater())
  expected = [alone.step(g) for g in gradients]
  for gradient in gradients[:4]:
    stopped.step(gradient)
  path = stopped.saved.write(str(tmp_path / 'checkpoint'))
  again = _Layer(_updater())
  again.optimizer.build([again.layer.kernel])
  again.saved.read(path).assert_consumed()
  found = [again.step(g) for g in gradients[4:]]
  np.testing.assert_array_equal(found, expected[4:])
  forgetful = _Layer(_updater())
  forgetful.layer.mask.assign(expected[3])
  forgetful.optimizer.iterations.assign(4)
  assert not np.array_equal(forgetful.step(gradients[4]), expected[4])


def test_steps_that_do_not_count_need_no_condition():
  gradients, needed = _gradients(), _updater().needs_gradient(tf.range(9))
  alone, told = _Layer(_updater()), _Layer(_updater())
  for gradient, may in zip(gradients, needed.numpy()):
    np.testing.assert_array_equal(
      alone.step(gradient), told.step(gradient, masks_may_change=bool(may))
    )


def test_replicas_gather_alike(two_replicas):
  alone = _Layer(_updater())
  with two_replicas.scope():
    shared = _Layer(_updater())

  @tf.function
  def step(gradient):
    def of_replica():
      pair = gradient / 2, shared.layer.kernel  # Keras adds them up.
      shared.optimizer.apply_gradients([pair])

    two_replicas.run(of_replica)

  for gradient in _gradients(5):
    expected = alone.step(gradient)
    step(tf.constant(gradient))
  np.testing.assert_array_equal(shared.layer.mask, expected)


def test_no_more_than_a_period():
  with pytest.raises(
    ValueError, match='grow_batches from 1 to mask_update_per'
  ):
    _updater(5)
  with pytest.raises(ValueError, match='grow_batches of at most mask_update_p'):
    config_lib.make_config({'grow_batches': 11, 'mask_update_period': 10})
  config = config_lib.make_config({'grow_batches': 7, 'method': 'srigl'})
  updater = sparsity.updaters.make('srigl', config)
  assert updater.grow_batches == updater.get_config()['grow_batches'] == 7
