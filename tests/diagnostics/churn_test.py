"""Churn diagnostics, on masks written by hand."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.diagnostics import churn


def _network():
  layer = tf.keras.layers.Dense(4, use_bias=False)
  return sparsity.sparsify(
    [layer], method='rigl', target_sparsity=0.5, input_shape=[None, 2]
  )


def _set(network, mask):
  sparsity.sparse_layers(network)[0].mask.assign(np.reshape(mask, (2, 4)))


def test_by_hand():
  network = _network()
  _set(network, [1, 1, 1, 1, 0, 0, 0, 0])
  history = churn.MaskHistory(network)
  none = {'changed': 0.0, 'survived': 1.0, 'ever_active': 0.5}
  assert history.look() == none
  _set(network, [0, 1, 1, 1, 1, 0, 0, 0])
  assert history.look() == {
    'changed': 0.25,
    'survived': 0.75,
    'ever_active': 5 / 8,
  }
  # The first is back, but has not survived; a look without change adds none.
  _set(network, [1, 1, 0, 1, 1, 0, 0, 0])
  after = {'changed': 0.25, 'survived': 0.5, 'ever_active': 5 / 8}
  assert history.look() == after
  assert history.look() == {**after, 'changed': 0.0}


def test_a_checkpoint_holds_it(tmp_path):
  network = _network()
  _set(network, [1, 1, 1, 1, 0, 0, 0, 0])
  history = churn.MaskHistory(network)
  _set(network, [0, 1, 1, 1, 1, 0, 0, 0])
  history.look()
  path = tf.train.Checkpoint(history=history).write(str(tmp_path / 'history'))
  again = churn.MaskHistory(network)  # Begun now: it knows of nothing before.
  assert again.look()['survived'] == 1.0
  tf.train.Checkpoint(history=again).read(path).assert_consumed()
  assert again.look() == history.look()
  assert again.look()['survived'] == 0.75


def test_dense_networks_have_none():
  layer = tf.keras.layers.Dense(3)
  layer.build([None, 2])
  assert churn.MaskHistory([layer]).look() == {}
