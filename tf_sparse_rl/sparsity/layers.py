"""Lists the layers of a network and calls them in a row."""

import itertools

import tensorflow as tf

from tf_sparse_rl.native import stacks
from tf_sparse_rl.sparsity import keras_check
from tf_sparse_rl.sparsity.sparse_layer import SparseLayer


def call_in_turn(layers, inputs):
  """Calls layers one after another; consecutive SparseLayers as one stack.

  A Rescaling layer before SparseLayers is part of their stack.

  Args:
    layers: list of built layers.
    inputs: input of the first layer, `[batch, ...]`.

  Returns:
    Tensor `[batch, ...]`, the output of the last layer.
  """
  for is_stack, group in itertools.groupby(layers, _is_of_stack):
    if is_stack:
      inputs = stacks.call([_operand(layer) for layer in group], inputs)
    else:
      for layer in group:
        inputs = layer(inputs)
  return inputs


def rows_of(network):
  """Returns the SparseLayers that are called in a row; see `call_in_turn`.

  Args:
    network: a list of layers or an object with `layers`, nested or not.

  Returns:
    List of lists of SparseLayers, in the order of the network.
  """
  rows = []
  layers = getattr(network, 'layers', network)
  for is_stack, group in itertools.groupby(layers, _is_of_stack):
    if is_stack:
      row = [layer for layer in group if isinstance(layer, SparseLayer)]
      rows += [row] if row else []
    else:
      for layer in group:
        alone = [[sparse] for sparse in sparse_layers(layer)]
        rows += rows_of(layer) if hasattr(layer, 'layers') else alone
  return rows


def _is_of_stack(layer):
  if isinstance(layer, tf.keras.layers.Rescaling):
    return True
  return isinstance(layer, SparseLayer) and layer.built


def _operand(layer):
  """Returns the operand of native kernels for a SparseLayer or Rescaling."""
  if isinstance(layer, SparseLayer):
    return layer.operand
  return stacks.Layer(layer, None, 0.0)


def leaf_layers(network):
  """Returns the innermost layers of a network; a SparseLayer is one of them.

  Args:
    network: a Keras model or layer, a TF-Agents network, or a list of them.

  Returns:
    List of layers, each once, in the order of the network.
  """
  keras_check.refuse_keras_3(network)
  if isinstance(network, (list, tuple)):
    parts = network
  elif isinstance(network, SparseLayer):
    return [network]
  else:
    parts = getattr(network, 'layers', None)
    if parts is None:
      parts = network._flatten_layers(recursive=False, include_self=False)
      parts = list(parts)
    if not parts:
      return [network]
  found = [leaf for part in parts for leaf in leaf_layers(part)]
  return list({id(leaf): leaf for leaf in found}.values())


def sparse_layers(network):
  """Returns every SparseLayer of a network, including nested networks.

  Args:
    network: see `leaf_layers`.

  Returns:
    List of SparseLayers, each once, in the order of the network.
  """
  return [x for x in leaf_layers(network) if isinstance(x, SparseLayer)]


def sparse_weights(network):
  """Returns every sparse weight of a network, with its mask.

  Args:
    network: see `leaf_layers`.

  Returns:
    List of `masked.MaskConstraint`, in the order of the network.
  """
  layers = sparse_layers(network)
  return [weight for layer in layers for weight in layer.sparse_weights]
