"""A sparse network learns a real problem about as well as a dense one."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

from tests.sparsity import networks
from tf_sparse_rl import sparsity

# How far behind the dense network's test accuracy a sparse one may be.
_MARGIN = 0.03


@pytest.fixture(scope='module')
def digits():
  """scikit-learn's digits: train inputs and labels, then test ones."""
  images, labels = datasets.load_digits(return_X_y=True)
  order = np.random.default_rng(0).permutation(len(labels))
  images, labels = images[order].astype(np.float32) / 16, labels[order]
  return images[:1300], labels[:1300], images[1300:], labels[1300:]


def _accuracy(model, optimizer, digits):
  """Test accuracy after 1230 train steps."""
  images, labels, test_images, test_labels = digits
  loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile(optimizer, loss, ['accuracy'])
  tf.keras.utils.set_random_seed(0)
  model.fit(images, labels, 32, 30, verbose=0)
  return model.evaluate(test_images, test_labels, verbose=0)[1]


@pytest.fixture(scope='module')
def plain():
  """64 -> 128 -> 64 -> 10."""
  tf.keras.utils.set_random_seed(0)
  return tf.keras.Sequential(
    [
      tf.keras.layers.Dense(128, 'relu', input_shape=(64,)),
      tf.keras.layers.Dense(64, 'relu'),
      tf.keras.layers.Dense(10),
    ]
  )


@pytest.fixture(scope='module')
def dense_accuracy(plain, digits):
  dense = sparsity.sparsify(plain, 'dense')
  return _accuracy(dense, tf.keras.optimizers.Adam(2e-3), digits)


@pytest.mark.parametrize(
  ('method', 'updater'),
  [
    ('rigl', sparsity.RigL(0.3, 50, mask_update_end_train_step=900)),
    ('prune', sparsity.MagnitudePruning(250, 950, 50)),
  ],
)
def test_ninety_percent_sparse_learns_like_dense(
  method, updater, plain, digits, dense_accuracy
):
  model = sparsity.sparsify(plain, method, target_sparsity=0.9)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(2e-3), updater, model
  )
  accuracy = _accuracy(model, optimizer, digits)
  assert accuracy > 0.9
  assert accuracy > dense_accuracy - _MARGIN
  size = sum(kernel.size for kernel in networks.kernels(model))
  zeros = sum(np.sum(kernel == 0) for kernel in networks.kernels(model))
  assert zeros >= np.floor(0.9 * size) - 3
  # Sparse, and still the same function without any SparseLayer.
  images = digits[2]
  np.testing.assert_allclose(
    sparsity.strip(model).predict(images, verbose=0),
    model.predict(images, verbose=0),
    rtol=1e-4,
    atol=1e-4,
  )
