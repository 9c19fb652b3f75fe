"""From a dense checkpoint to 90 % zeros, by gradual magnitude pruning."""

import os
import pathlib
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
inputs = rng.normal(size=(4096, 32)).astype('float32')
targets = np.tanh(inputs @ rng.normal(size=(32, 4)) / 4).astype('float32')


def dense_model():
  """The architecture of the checkpoint."""
  return tf.keras.Sequential(
    [
      tf.keras.layers.Dense(128, 'relu', input_shape=(32,)),
      tf.keras.layers.Dense(128, 'relu'),
      tf.keras.layers.Dense(4),
    ]
  )


trained = dense_model()
trained.compile(tf.keras.optimizers.Adam(1e-3), 'mse')
trained.fit(inputs, targets, 64, epochs=3, verbose=2)
path = pathlib.Path(tempfile.mkdtemp()) / 'dense.weights.h5'
trained.save_weights(path)

dense = dense_model()
dense.load_weights(path)
# Masks are ones at first: the model is the dense one until pruning begins.
model = sparsity.sparsify(dense, method='prune', target_sparsity=0.9)
optimizer = sparsity.SparseOptimizer(
  tf.keras.optimizers.Adam(1e-3),
  sparsity.MagnitudePruning(
    prune_begin_train_step=10, prune_end_train_step=160, mask_update_period=10
  ),
  model,
)
model.compile(optimizer, 'mse')
model.fit(inputs, targets, 64, epochs=4, verbose=2)
print(sparsity.summary(model))
