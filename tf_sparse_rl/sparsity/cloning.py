"""Copies of networks in which some layers are others."""

import tensorflow as tf

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
  pairs = []

  def convert_layer(layer, prefix=''):
    if holds_layers(layer):
      inner = [convert_layer(part, prefix) for part in layer.layers]
      return layer.copy(layers=inner)
    copy = convert(layer, prefix + layer.name)
    pairs.append((layer, copy))
    return copy

  if isinstance(network, tf.keras.Model):
    copied = _clone_model(network, convert_layer)
  else:
    copied = _clone_list(network, convert_layer, input_shape)
  for layer, copy in pairs:
    if layer.built and layer.weights:
      # get_weights() of a SparseLayer leaves out the mask.
      copy.set_weights(layer.get_weights())
  return copied


def check_model(model):
  """Only these can be cloned, and only once they are built."""
  # pylint: disable-next=protected-access
  if not (isinstance(model, tf.keras.Sequential) or model._is_graph_network):
    raise ValueError(
      'Expected a Sequential or functional model. Received: '
      f'{type(model).__name__}; give it as a list of layers, or put '
      'SparseLayers into it yourself.'
    )
  if not model.built or not model.inputs:
    raise ValueError(
      'Expected a built model: kernel shapes decide the sparsities. Give its '
      f'first layer an input_shape. Received: {model.name!r}, not built.'
    )


def _clone_model(model, convert_layer, prefix=''):
  check_model(model)

  def clone_layer(layer):
    if isinstance(layer, tf.keras.Model):
      return _clone_model(layer, convert_layer, f'{prefix}{layer.name}/')
    return convert_layer(layer, prefix)

  return tf.keras.models.clone_model(model, clone_function=clone_layer)


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
      copy.build(shape)
    shape = copy.compute_output_shape(shape)
    clones.append(copy)
  return clones
