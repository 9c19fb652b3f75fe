"""A sparsity for each layer, and zeros in blocks that run faster."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import tensorflow as tf

dense = tf.keras.Sequential(
  [
    tf.keras.layers.Conv2D(16, 3, 2, input_shape=(32, 32, 3), name='stem'),
    tf.keras.layers.Conv2D(32, 3, 2, activation='relu', name='body'),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(128, 'relu', name='hidden'),
    tf.keras.layers.Dense(10, name='head'),
  ]
)
# The stem stays dense, and the head loses half of its weights. Body and hidden
# together lose 95 %, distributed by Erdos-Renyi-Kernel.
by_layer = sparsity.sparsify(
  dense,
  method='static',
  target_sparsity=0.95,
  distribution='erk',
  custom={'stem': 0.0, 'head': 0.5},
)
print(sparsity.summary(by_layer))

# Blocks of four consecutive inputs of a unit are zero; TFLite skips them.
blocks = sparsity.sparsify(
  dense,
  method='static',
  target_sparsity=0.9,
  custom={'stem': 0.0},
  block_shape=(4, 1),
)
print(sparsity.summary(blocks))

# Two of any four consecutive inputs of a unit, the pattern of sparse GPUs.
two_of_four = sparsity.sparsify(
  dense,
  method='static',
  target_sparsity=0.5,
  distribution='uniform',
  custom={'stem': 0.0},
  n_of_m=(2, 4),
)
print(sparsity.summary(two_of_four))
