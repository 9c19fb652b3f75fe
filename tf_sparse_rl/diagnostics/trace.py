"""What a network does with a batch, layer by layer, sample by sample."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import layers as layers_lib


class Trace(NamedTuple):
  """Tensors of one network, a list entry a layer."""

  inputs: list  # what each layer received, `[batch, inputs]`
  deltas: list  # gradient of each sample's loss by its output before the
  # activation, `[batch, units]`
  outputs: tf.Tensor  # of the last layer, `[batch, outputs]`


def trace(layers, inputs, losses):
  """Goes forward and backward through a network.

  Each sample's loss depends on that sample alone, so the gradient of their
  sum by a layer's outputs is, row by row, that of each sample.

  Args:
    layers: as `dense_layers` returns them.
    inputs: of the network, `[batch, inputs]`.
    losses: function of the last layer's outputs, to a loss for each sample.

  Returns:
    Trace.
  """
  received, before_activation = [], []
  value = inputs
  with tf.GradientTape() as tape:
    for layer in map(plain, layers):
      received.append(value)
      before_activation.append(tf.matmul(value, layer.kernel) + layer.bias)
      value = layer.activation(before_activation[-1])
    total = tf.reduce_sum(losses(value))
  return Trace(received, tape.gradient(total, before_activation), value)


def dense_layers(network):
  """The layers of a network that have kernels, in order.

  Args:
    network: of Dense layers, sparse or not; others have no kernel.

  Returns:
    List of Dense layers and SparseLayers.
  """
  return [
    layer
    for layer in layers_lib.leaf_layers(network)
    if isinstance(plain(layer), tf.keras.layers.Dense)
  ]


def plain(layer):
  """The Dense layer itself, without a SparseLayer around it."""
  return layer.layer if isinstance(layer, sparsity.SparseLayer) else layer


def mask(layer):
  """The mask of a layer as a NumPy array of bool; of a dense one, all True."""
  if isinstance(layer, sparsity.SparseLayer):
    return layer.mask.numpy() > 0
  return np.ones(layer.kernel.shape, bool)
