"""Copies of networks in which some layers are others."""

from copy import deepcopy

import tensorflow as tf

from tf_sparse_rl.sparsity import building, keras_check, subclassed
from tf_sparse_rl.sparsity import layers as layers_lib


def plain_copy(layer, path):
  """A layer of the same config, not built, without its SparseLayer."""
  del path
  if isinstance(layer, layers_lib.SparseLayer):
    layer = layer.layer
  return type(layer).from_config(layer.get_config())


def holds_layers(layer):
  """Whether a layer consists of others: it has `layers` and `copy`."""
  return hasattr(layer, 'layers') and hasattr(layer, 'copy')


def is_graph(model):
  """Whether a model is a graph of layers: Sequential or functional."""
  # pylint: disable-next=protected-access
  return isinstance(model, tf.keras.Sequential) or model._is_graph_network


def leaves(network, prefix=''):
  """Yields (path, layer) of the layers that `clone` hands to `convert`.

  Args:
    network: a Keras model or a list of layers.
    prefix: of the paths.
  """
  keras_check.refuse_keras_3(network)
  if isinstance(network, tf.keras.Model):
    check_model(network)
    if not is_graph(network):
      for name, value in subclassed.attributes(network).items():
        yield from _leaves_of(value, prefix, name)
      return
  for layer in getattr(network, 'layers', network):
    yield from _leaves_of(layer, prefix, layer.name)


def _leaves_of(value, prefix, name):
  """As `leaves`, of a layer or of a list or dict of them."""
  if isinstance(value, tf.keras.Model):
    yield from leaves(value, f'{prefix}{name}/')
  elif isinstance(value, tf.keras.layers.Layer) and holds_layers(value):
    yield from leaves(value.layers, prefix)
  elif isinstance(value, tf.keras.layers.Layer):
    yield prefix + name, value
  else:
    for key, item in subclassed.items(value):
      yield from _leaves_of(item, prefix, f'{name}/{key}')


def clone(network, convert, input_shape=None):
  """Clones a network with its weights.

  Args:
    network: a Keras model or a list of layers.
    convert: function (layer, path) that returns a new layer, not built, that
      stands in for it. A layer that consists of others is made anew of theirs,
      which have no part of it in their paths.
    input_shape: see `sparsify`.

  Returns:
    A model or a list of built layers.
  """
  keras_check.refuse_keras_3(network)
  pairs = []

  def convert_layer(layer, prefix='', name=None):
    if holds_layers(layer):
      inner = [convert_layer(part, prefix) for part in layer.layers]
      return layer.copy(layers=inner)
    copy = convert(layer, prefix + (name or layer.name))
    pairs.append((layer, copy))
    return copy

  if isinstance(network, tf.keras.Model):
    copied = _clone_model(network, convert_layer)
  else:
    copied = _clone_list(network, convert_layer, input_shape)
  for layer, copy in pairs:
    if layer.built and layer.weights:
      # get_weights() of a SparseLayer leaves out the masks.
      copy.set_weights(layer.get_weights())
  return copied


def check_model(model):
  """Refuses a model whose weights do not exist yet."""
  if not model.built or (is_graph(model) and not model.inputs):
    raise ValueError(
      'Expected a built model: kernel shapes decide the sparsities. Give its '
      'first layer an input_shape, or call the model once. Received: '
      f'{model.name!r}, not built.'
    )


def _clone_model(model, convert_layer, prefix=''):
  check_model(model)
  if not is_graph(model):
    return _clone_subclassed(model, convert_layer, prefix)

  copies = {}

  def clone_layer(layer):
    copies[id(layer)] = (
      _clone_model(layer, convert_layer, f'{prefix}{layer.name}/')
      if isinstance(layer, tf.keras.Model)
      else convert_layer(layer, prefix)
    )
    return copies[id(layer)]

  copy = tf.keras.models.clone_model(model, clone_function=clone_layer)
  if subclassed.behaves_otherwise(model, type(copy)):
    # Keras makes a plain model of a class with a constructor of its own.
    copy.__class__ = type(model)
    subclassed.adopt(
      copy, model, lambda layer: copies.get(id(layer)) or deepcopy(layer)
    )
  return copy


def _clone_subclassed(model, convert_layer, prefix):
  """Makes the model anew, and puts other layers into its attributes."""
  plain, config = subclassed.plain(model)
  try:
    copy = plain.from_config(config)
  except TypeError:  # Its constructor takes what no config says.
    copy = subclassed.bare(model, plain, lambda layer: layer)
  copies = {}

  def converted(value, name):
    if isinstance(value, dict):
      return {k: converted(v, f'{name}/{k}') for k, v in value.items()}
    if isinstance(value, (list, tuple)):
      items = [converted(v, f'{name}/{i}') for i, v in enumerate(value)]
      return tuple(items) if isinstance(value, tuple) else items
    if not subclassed.has_layers(value):
      return value
    if id(value) not in copies:
      copies[id(value)] = (
        _clone_model(value, convert_layer, f'{prefix}{name}/')
        if isinstance(value, tf.keras.Model)
        else convert_layer(value, prefix, name)
      )
    return copies[id(value)]

  for name, value in subclassed.attributes(model).items():
    setattr(copy, name, converted(value, name))
  called_with = model.save_spec()
  if called_with is None:
    copy.build(model.get_build_config()['input_shape'])
  else:
    building.build_by_call(copy, *called_with[0], **called_with[1])
  own = '_trainable_weights', '_non_trainable_weights'
  for names in own:  # Of the model itself, not of its layers.
    for new, old in zip(getattr(copy, names), getattr(model, names)):
      new.assign(old)
  if layers_lib.sparse_layers(copy):
    subclassed.become_sparse(copy, config)
  return copy


def _clone_list(layers, convert_layer, input_shape):
  if not isinstance(layers, (list, tuple)) or not all(
    isinstance(layer, tf.keras.layers.Layer) for layer in layers
  ):
    raise ValueError(
      f'Expected a Keras model or a list of Keras layers. Received: {layers!r}.'
    )
  clones, shape = [], input_shape
  for layer in layers:
    if layer.built and shape is None:
      shape = layer.get_build_config()['input_shape']
    if shape is None:
      raise ValueError(
        'Expected input_shape with layers that are not built, such as '
        f'[None, 4]. Received: input_shape=None and {layer.name!r}.'
      )
    copy = convert_layer(layer)
    with tf.name_scope(layer.name):  # As where Keras builds it in a call.
      building.build(copy, shape)
    shape = copy.compute_output_shape(shape)
    clones.append(copy)
  return clones
