"""Walks through a network: its leaf layers, and the weights of its models.

A leaf layer is one that becomes a SparseLayer or is copied as it is. The walk
enters lists of layers, nested models, layers with `layers` and `copy`, and
layers that have SparseLayers in their attributes.
"""

import tensorflow as tf

from tf_sparse_rl.sparsity import keras_check, kinds, subclassed
from tf_sparse_rl.sparsity import layers as layers_lib


def holds_layers(layer):
  """Whether a layer consists of others: it has `layers` and `copy`."""
  return hasattr(layer, 'layers') and hasattr(layer, 'copy')


def holds_sparse_layers(layer):
  """Whether a layer, such as a wrapper, has SparseLayers in its attributes."""
  return (
    isinstance(layer, tf.keras.layers.Layer)
    and not isinstance(layer, layers_lib.SparseLayer)
    and bool(layers_lib.sparse_layers(layer))
  )


def is_graph(model):
  """Whether a model is a graph of layers: Sequential or functional."""
  # pylint: disable-next=protected-access
  return isinstance(model, tf.keras.Sequential) or model._is_graph_network


def check_model(model):
  """Rejects a model that is not built."""
  if not model.built or (is_graph(model) and not model.inputs):
    raise ValueError(
      'Expected a built model: kernel shapes decide the sparsities. Give its '
      'first layer an input_shape, or call the model once. Received: '
      f'{model.name!r}, not built.'
    )


def leaves(network):
  """Lists the leaf layers of a network.

  Args:
    network: a Keras model or a list of layers.

  Returns:
    List of (path, layer), each layer once with its first path.
  """
  found = {}
  for path, layer in _walk(network):
    if not isinstance(layer, tf.keras.Model):
      found.setdefault(id(layer), (path, layer))
  return list(found.values())


def own_matrices(network):
  """Lists the weight matrices of models that belong to none of their layers.

  Args:
    network: a Keras model or a list of layers.

  Returns:
    List of (path, variable), each variable once.
  """
  found = {}
  for path, model in _walk(network):
    if isinstance(model, tf.keras.Model):
      for variable in kinds.own_matrices(model):
        name = variable.name.split(':')[0]
        found.setdefault(id(variable), (path + name, variable))
  return list(found.values())


def _walk(network, prefix=''):
  """Yields (path, layer) of leaf layers and (prefix, model) of models."""
  keras_check.refuse_keras_3(network)
  if isinstance(network, tf.keras.Model):
    check_model(network)
    yield prefix, network
    if not is_graph(network):
      for name, value in subclassed.attributes(network).items():
        yield from _walk_value(value, prefix, name)
      return
  for layer in getattr(network, 'layers', network):
    yield from _walk_value(layer, prefix, layer.name)


def _walk_value(value, prefix, name):
  """Walks through a layer, or a list or dict of layers."""
  if isinstance(value, tf.keras.Model):
    yield from _walk(value, f'{prefix}{name}/')
  elif isinstance(value, tf.keras.layers.Layer) and holds_layers(value):
    yield from _walk(value.layers, prefix)
  elif holds_sparse_layers(value):
    for attribute, item in subclassed.attributes(value).items():
      yield from _walk_value(item, f'{prefix}{name}/', attribute)
  elif isinstance(value, tf.keras.layers.Layer):
    yield prefix + name, value
  else:
    for key, item in subclassed.items(value):
      yield from _walk_value(item, prefix, f'{name}/{key}')
