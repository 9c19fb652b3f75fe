"""RigL in `model.fit`: a functional Keras model, 90 % zeros throughout."""

import os
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
inputs = rng.normal(size=(4096, 64)).astype('float32')
labels = (inputs @ rng.normal(size=(64, 10))).argmax(axis=1)

pixels = tf.keras.Input((64,))
hidden = tf.keras.layers.Dense(256, 'relu', name='first')(pixels)
hidden = tf.keras.layers.Dense(256, 'relu', name='second')(hidden)
skip = tf.keras.layers.Concatenate()([pixels, hidden])
dense = tf.keras.Model(pixels, tf.keras.layers.Dense(10, name='head')(skip))

model = sparsity.sparsify(dense, method='rigl', target_sparsity=0.9)
optimizer = sparsity.SparseOptimizer(
  tf.keras.optimizers.Adam(2e-3),
  sparsity.RigL(
    drop_fraction=0.3, mask_update_period=20, mask_update_end_train_step=200
  ),
  model,
)
model.compile(
  optimizer,
  tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  ['accuracy'],
)
model.fit(
  inputs,
  labels,
  batch_size=64,
  epochs=4,
  validation_split=0.1,
  verbose=2,
  callbacks=[sparsity.SparsityCallback(tempfile.mkdtemp())],
)
plain = sparsity.strip(model)  # Plain Keras layers, zeros baked in.
print('Deployed layer:', type(plain.get_layer('first')).__name__)
