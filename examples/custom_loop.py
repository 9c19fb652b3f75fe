"""SET in a custom training loop: only the optimizer is different."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
inputs = rng.normal(size=(2048, 16)).astype('float32')
targets = np.tanh(inputs @ rng.normal(size=(16, 1))).astype('float32')
batches = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(64)

model = sparsity.sparsify(
  tf.keras.Sequential(
    [
      tf.keras.layers.Dense(128, 'tanh', input_shape=(16,)),
      tf.keras.layers.Dense(128, 'tanh'),
      tf.keras.layers.Dense(1),
    ]
  ),
  method='set',
  target_sparsity=0.8,
)
optimizer = sparsity.SparseOptimizer(
  tf.keras.optimizers.Adam(1e-3, clipnorm=1.0),  # Clips masked gradients.
  sparsity.SET(drop_fraction=0.2, mask_update_period=50),
  model,
)


@tf.function
def train_step(inputs, targets):
  """One step; the masks change in it when they are due."""
  with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(model(inputs, training=True) - targets))
  variables = model.trainable_variables
  optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
  return loss


for epoch in range(5):
  losses = [float(train_step(*batch)) for batch in batches]
  print(f'epoch {epoch}: loss {np.mean(losses):.3f}')
print(sparsity.summary(model))
