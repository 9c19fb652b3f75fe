"""Neuroplastic expansion: connections replaced, and ever more of them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import schedules, updaters


def test_numbers_by_hand():
  """25 + 75 (t / 1000 + sin(pi t / 1000) / pi)."""
  updater = sparsity.NeuroplasticExpansion(0.3, 100, 1099)
  assert updater.target_train_step == 1000
  steps = [0, 250, 500, 750, 1000, 5000]
  found = [int(updater.num_active(100, tf.constant(t))) for t in steps]
  assert found == [25, 61, 86, 98, 100, 100]


def _new_mask(mask, train_step):
  state = updaters.KernelState(
    *(
      tf.constant([x], tf.float32)
      for x in (
        [4, 1, 0, 0, 0, 0, 0, 0],
        mask,
        [0, 0, 0, 0, 1, -4, 3, 2],
      )
    )
  )
  updater = sparsity.NeuroplasticExpansion(
    schedules.ConstantDropFraction(0.5), 1, 2
  )
  step = tf.constant(train_step, tf.int64)
  return updater.new_mask(state, 0.5, step, 7)[0].numpy()


def test_masks_by_hand():
  """Four connections are thinned to one, which grow to three and to four."""
  thinned = _new_mask([1, 1, 1, 1, 0, 0, 0, 0], 0)
  assert thinned.sum() == 1 and not thinned[4:].any()
  # One of two is dropped; it and one more grow where gradients are largest.
  grown = _new_mask([1, 1, 0, 0, 0, 0, 0, 0], 1)
  np.testing.assert_array_equal(grown, [1, 0, 0, 0, 0, 1, 1, 0])


@pytest.mark.parametrize(
  ('network', 'mode', 'block_shape'),
  [
    ('dense', 'eager', None),
    ('conv', 'graph', None),
    ('dense', 'compiled', 'unit'),
    ('conv', 'eager', (2, 1)),
  ],
)
def test_layers_grow_to_their_targets(network, mode, block_shape):
  model = sparsity.sparsify(
    networks.NETWORKS[network](), 'neuroplastic', 0.6, block_shape=block_shape
  )
  updater = sparsity.NeuroplasticExpansion(0.5, 2, 6, initial_share=0.5)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), updater, model
  )
  step = networks.train_step(model, optimizer)
  if mode != 'eager':
    step = tf.function(step, autograph=False, jit_compile=mode == 'compiled')
  weights = sparsity.sparse_weights(model)
  budgets = [w.mask.numpy().size - w.num_zeros_of_target for w in weights]
  counts = []
  for seed in range(8):
    step(*networks.batch(model, seed=seed))
    counts.append([int(w.mask.numpy().sum()) for w in weights])
    for weight in weights:
      assert not weight.variable.numpy()[weight.mask.numpy() == 0].any()
  assert np.all(np.diff(counts, axis=0) >= 0)
  for count, budget in zip(counts[0], budgets):
    assert count < budget
  # Due at 0, 2, 4 and 6.
  assert counts[0] == counts[1] and counts[5] != budgets
  assert counts[6] == counts[7] == budgets


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda f: f(0.3, 10), 'Received: mask_update_end_train_step=None'),
    (lambda f: f(0.3, 10, 9), 'Received: mask_update_end_train_step=9'),
    (lambda f: f(0.3, 10, 90, initial_share=0), 'Received: initial_share=0'),
  ],
)
def test_errors_say_what_was_received(make, message):
  with pytest.raises(ValueError, match=message):
    make(sparsity.NeuroplasticExpansion)


def test_a_pattern_is_refused():
  model = sparsity.sparsify(
    networks.conv_network(),
    'neuroplastic',
    *(0.5, 'uniform'),
    n_of_m=(2, 4),
    ignore=['first', 'last'],
  )
  updater = sparsity.NeuroplasticExpansion(0.5, 2, 6)
  with pytest.raises(ValueError, match='without n_of_m'):
    sparsity.SparseOptimizer('adam', updater, model)
