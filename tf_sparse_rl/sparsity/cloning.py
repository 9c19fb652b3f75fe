"""Clones networks while replacing some of their layers."""

import functools
from copy import deepcopy

import tensorflow as tf

from tf_sparse_rl.sparsity import building, keras_check, kinds, subclassed, walk
from tf_sparse_rl.sparsity import layers as layers_lib


def plain_copy(layer, path):
  """Returns an unbuilt layer of the same config, without its SparseLayer."""
  del path
  layer = _plain(layer)
  with tf.keras.utils.custom_object_scope(kinds.own_classes(layer)):
    return type(layer).from_config(layer.get_config())


def clone(network, convert, input_shape=None):
  """Clones a network with its weights.

  Args:
    network: a Keras model or a list of layers.
    convert: function (layer, path) that returns the unbuilt layer that
      replaces it; see `walk.leaves` for which layers and paths.
    input_shape: see `sparsify`.

  Returns:
    A model or a list of built layers.
  """
  keras_check.refuse_keras_3(network)
  cloning = _Cloning(network, convert)
  if isinstance(network, tf.keras.Model):
    copied = cloning.layer(network)
  else:
    copied = cloning.list(network, input_shape)
  cloning.copy_weights()
  return copied


class _Cloning:
  """Clones a network; layers shared by its parts stay shared."""

  def __init__(self, network, convert):
    self._convert = convert
    self._network = network
    self._copies = {}  # {id of a layer: its copy}
    self._leaves = []  # (layer, its copy)
    self._holders = []  # (holder, its copy), which have variables of their own

  @functools.cached_property
  def _paths(self):
    return {id(layer): path for path, layer in walk.leaves(self._network)}

  def layer(self, layer):
    """Returns the copy of a layer or model."""
    if id(layer) not in self._copies:
      self._copies[id(layer)] = self._copy(layer)
    return self._copies[id(layer)]

  def _copy(self, layer):
    if isinstance(layer, tf.keras.Model):
      walk.check_model(layer)
      return (
        self._graph(layer) if walk.is_graph(layer) else self._subclassed(layer)
      )
    if walk.holds_layers(layer):
      return layer.copy(layers=[self.layer(part) for part in layer.layers])
    if walk.holds_sparse_layers(layer):
      copy = plain_copy(layer, None)
      self._convert_attributes(layer, copy)
      return copy
    copy = self._convert(layer, self._paths.get(id(layer), layer.name))
    self._leaves.append((layer, copy))
    return copy

  def _graph(self, model):
    """Copies a Sequential or functional model."""
    copy = tf.keras.models.clone_model(model, clone_function=self.layer)
    if subclassed.behaves_otherwise(model, type(copy)):
      # Keras clones a class with its own constructor as a plain model.
      copy.__class__ = type(model)
      subclassed.adopt(
        copy,
        model,
        lambda layer: self._copies.get(id(layer)) or deepcopy(layer),
      )
    return copy

  def _subclassed(self, model):
    """Creates the model again and replaces the layers in its attributes."""
    plain, config = subclassed.plain(model)
    try:
      copy = plain.from_config(config)
    except TypeError:  # Its config lacks arguments of its constructor.
      copy = subclassed.bare(model, plain, lambda layer: layer)
    self._convert_attributes(model, copy)
    called_with = model.save_spec()
    if called_with is None:
      copy.build(model.get_build_config()['input_shape'])
    else:
      building.build_by_call(copy, *called_with[0], **called_with[1])
    if layers_lib.sparse_layers(copy):
      subclassed.become_sparse(copy, config)
    return copy

  def _convert_attributes(self, holder, copy):
    for name, value in subclassed.attributes(holder).items():
      setattr(copy, name, self._converted(value))
    self._holders.append((holder, copy))

  def _converted(self, value):
    """Copies a layer, or a list or dict that contains layers."""
    if isinstance(value, dict):
      return {key: self._converted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
      found = [self._converted(item) for item in value]
      return tuple(found) if isinstance(value, tuple) else found
    return self.layer(value) if subclassed.has_layers(value) else value

  def list(self, layers, input_shape):
    """Copies and builds layers that are called one after another."""
    if not isinstance(layers, (list, tuple)) or not all(
      isinstance(layer, tf.keras.layers.Layer) for layer in layers
    ):
      raise ValueError(
        'Expected a Keras model or a list of Keras layers. '
        f'Received: {layers!r}.'
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
      copy = self.layer(layer)
      if not copy.built:
        with tf.name_scope(layer.name):  # As Keras does when it is called.
          building.build(copy, shape)
      shape = copy.compute_output_shape(shape)
      clones.append(copy)
    return clones

  def copy_weights(self):
    """Copies the weights of the originals to their copies."""
    for layer, copy in self._leaves:
      if layer.built:
        _copy_weights(_plain(layer), _plain(copy))
    for holder, copy in self._holders:
      for names in ('_trainable_weights', '_non_trainable_weights'):
        for new, old in zip(getattr(copy, names), getattr(holder, names)):
          new.assign(old)


def _plain(layer):
  return layer.layer if isinstance(layer, layers_lib.SparseLayer) else layer


def _copy_weights(layer, copy):
  """Copies the weights of a plain layer to its copy."""
  if all(isinstance(weight, tf.Variable) for weight in layer.weights):
    for old, new in zip(layer.weights, copy.weights):
      new.assign(old)
  else:  # Tables, as layers of preprocessing have them.
    copy.set_weights(layer.get_weights())
