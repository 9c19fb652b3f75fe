"""Small networks, batches and train steps that the tests share."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl import sparsity


def dense_network(seed=1):
  """6 -> 16 -> 8 -> 3."""
  tf.keras.utils.set_random_seed(seed)
  return tf.keras.Sequential(
    [
      tf.keras.layers.Dense(16, 'relu', input_shape=(6,), name='first'),
      tf.keras.layers.Dense(8, 'relu', name='second'),
      tf.keras.layers.Dense(3, name='last'),
    ]
  )


def conv_network(seed=1):
  """6 x 6 x 2 through two convolutions to 3."""
  tf.keras.utils.set_random_seed(seed)
  return tf.keras.Sequential(
    [
      tf.keras.layers.Conv2D(
        4, 3, activation='relu', input_shape=(6, 6, 2), name='first'
      ),
      tf.keras.layers.Conv2D(8, 2, activation='relu', name='second'),
      tf.keras.layers.Flatten(name='flat'),
      tf.keras.layers.Dense(3, name='last'),
    ]
  )


NETWORKS = {'dense': dense_network, 'conv': conv_network}


def batch(model, size=16, seed=0):
  """Normal inputs and targets that fit the model; float32 tensors."""
  rng = np.random.default_rng(seed)
  shapes = [(size, *model.input_shape[1:]), (size, *model.output_shape[1:])]
  return [tf.constant(rng.normal(size=s), tf.float32) for s in shapes]


def updater(method, period=2):
  """An updater that acts often enough for a test of six steps."""
  end = 1 + 2 * period
  return {
    'static': sparsity.Static,
    'set': lambda: sparsity.SET(0.5, period, seed=3),
    'rigl': lambda: sparsity.RigL(0.5, period),
    'srigl': lambda: sparsity.SRigL(0.5, period),
    'neuroplastic': lambda: sparsity.NeuroplasticExpansion(0.5, period, end),
    'prune': lambda: sparsity.MagnitudePruning(1, end, period),
    'saliency': lambda: sparsity.SaliencyPruning(1, end, period),
    'global_prune': lambda: sparsity.GlobalMagnitudePruning(1, end, period),
    'straight_through': lambda: sparsity.StraightThrough(1, end),
  }[method]()


def gradients(model, inputs, targets):
  """Gradients of the mean squared error; list of (gradient, variable)."""
  with tf.GradientTape() as tape:
    error = model(inputs, training=True) - targets
    loss = tf.reduce_mean(tf.square(error))
  variables = model.trainable_variables
  return list(zip(tape.gradient(loss, variables), variables))


def train_step(model, optimizer):
  """A function (inputs, targets) that makes one train step."""

  def step(inputs, targets):
    optimizer.apply_gradients(gradients(model, inputs, targets))

  return step


def masks(model):
  """The masks as NumPy arrays."""
  return [layer.mask.numpy() for layer in sparsity.sparse_layers(model)]


def kernels(model):
  """The kernels of the sparse layers as NumPy arrays."""
  return [layer.kernel.numpy() for layer in sparsity.sparse_layers(model)]


def slots(optimizer, kernel):
  """The slots that a SparseOptimizer's inner optimizer keeps for a kernel.

  Found by name, which is not how the package finds them.
  """
  inner = optimizer.inner_optimizer
  if isinstance(inner, tf.keras.optimizers.legacy.Optimizer):
    return [inner.get_slot(kernel, name) for name in inner.get_slot_names()]
  return [v for v in inner.variables if v.name.endswith(f'/{kernel.name}')]
