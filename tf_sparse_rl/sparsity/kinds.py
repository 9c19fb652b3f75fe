"""Registry of layer classes: weights that can be sparse and their axes.

A layer whose class is not registered is searched for sublayers that are. So
LSTM, which has a cell, and a block of the user's, which has Dense layers, need
no entry. A subclass of a registered class needs none either, if its weights
have the axes of the base class.
"""

import functools
import re
from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl.sparsity.axes import Axes, Weight

_L = tf.keras.layers


class Found(NamedTuple):
  """A weight of a layer that can be sparse."""

  name: str  # attribute path in the layer, such as 'cell/recurrent_kernel'
  variable: tf.Variable
  axes: Axes


def register_layer(layer_class, weights):
  """Registers the weights of a layer class, and its subclasses, as sparse.

  Args:
    layer_class: subclass of `tf.keras.layers.Layer`.
    weights: list of `Weight`, or a function of a layer that returns one.

  Raises:
    ValueError: if `layer_class` is no layer class, or axes are not negative or
      not distinct.
  """
  if not (isinstance(layer_class, type) and issubclass(layer_class, _L.Layer)):
    raise ValueError(
      'Expected a subclass of tf.keras.layers.Layer. '
      f'Received: {layer_class!r}.'
    )
  for weight in () if callable(weights) else weights:
    axes = (*weight.inputs, *weight.units)
    if not axes or max(axes) >= 0 or len(set(axes)) < len(axes):
      raise ValueError(
        'Expected axes counted from the end, each once, such as inputs=(-2,), '
        f'units=(-1,). Received: {weight}.'
      )
  _KINDS[layer_class] = weights


def registered(layer):
  """Returns the registered weights of the class of a layer or its base class.

  Args:
    layer: a Keras layer.

  Returns:
    List of `Weight`, or None if the class is not registered.
  """
  for kind in type(layer).__mro__:
    if kind in _KINDS:
      weights = _KINDS[kind]
      return list(weights(layer) if callable(weights) else weights)
  return None


def find(layer):
  """Finds the weights of a layer and its sublayers that can be sparse.

  Args:
    layer: a Keras layer, built.

  Returns:
    List of `Found`, each variable once.
  """
  found = {}
  for path, part in parts(layer):
    for weight in registered(part) or ():
      variable = functools.reduce(getattr, weight.name.split('/'), part)
      name = '/'.join([*path, weight.name])
      axes = Axes(weight.inputs, weight.units)
      found.setdefault(id(variable), Found(name, variable, axes))
  return list(found.values())


def others(layer):
  """Returns the weight matrices that cannot be sparse: their axes are unknown.

  Args:
    layer: a Keras layer.

  Returns:
    List of variables of two axes or more.
  """
  known = {
    id(variable)
    for _, part in parts(layer)
    if registered(part) is not None
    for variable in part.weights
  }
  return [v for v in matrices(layer) if id(v) not in known]


def own_matrices(model):
  """Returns the weight matrices of a model that belong to none of its layers.

  Args:
    model: a Keras model or layer.

  Returns:
    List of variables of two axes or more.
  """
  # pylint: disable-next=protected-access
  parts = model._flatten_layers(include_self=False)
  of_parts = {id(variable) for part in parts for variable in part.weights}
  return [v for v in matrices(model) if id(v) not in of_parts]


def matrices(layer):
  """Returns the weights with two axes or more, trainable or frozen."""
  weights = layer.trainable_weights if layer.trainable else layer.weights
  return [variable for variable in weights if variable.shape.rank > 1]


def own_classes(layer):
  """Returns the classes in a layer that are not Keras' own.

  Keras needs them as custom objects to create the layers in a wrapper.

  Args:
    layer: a Keras layer.

  Returns:
    `{name: class}` of the layer and its sublayers.
  """
  classes = [type(part) for _, part in parts(layer)]
  return {c.__name__: c for c in classes if not _is_of_keras(c.__module__)}


def deserialize(config, custom_objects=None):
  """Creates an unbuilt layer from Keras' current or legacy serialization.

  Args:
    config: result of either `serialize_keras_object` of Keras.
    custom_objects: `{name: class}` of classes that are not registered.

  Returns:
    A Keras layer.
  """
  config = _without_shapes(config)
  with tf.keras.utils.custom_object_scope(custom_objects or {}):
    # HDF5 files have the current form with the class name of the legacy one.
    for name in (config.get('registered_name'), config['class_name']):
      known = tf.keras.utils.get_registered_object(name)
      if known is not None:
        return known.from_config(config['config'])
    if _is_of_keras(config.get('module', 'keras')):
      return _L.deserialize(config, use_legacy_format=True)
    return tf.keras.utils.deserialize_keras_object(config)


def _is_of_keras(module):
  return module.split('.')[0] in ('keras', 'tf_keras')


def _without_shapes(config):
  """Removes the build configs of a layer and its sublayers from its config."""
  if isinstance(config, dict):
    kept = {k: value for k, value in config.items() if k != 'build_config'}
    return {k: _without_shapes(value) for k, value in kept.items()}
  if isinstance(config, (list, tuple)):
    return type(config)(_without_shapes(value) for value in config)
  return config


def parts(layer, path=()):
  """Yields (attribute path, layer) for a layer and its sublayers.

  Layers of a registered class are not searched.

  Args:
    layer: a Keras layer.
    path: tuple of str, path of the layer itself.
  """
  yield path, layer
  if registered(layer) is None:
    yield from _held(layer, path)


def _held(holder, path):
  """Yields `parts` of the attributes of a layer or the items of a list."""
  if isinstance(holder, tf.keras.Model):
    children = {layer.name: layer for layer in holder.layers}
  else:
    children = holder._trackable_children()  # pylint: disable=protected-access
  for name, child in children.items():
    below = (*path, name.lstrip('_'))
    if isinstance(child, _L.Layer):
      yield from parts(child, below)
    elif isinstance(child, (list, tuple, dict)):
      yield from _held(child, below)


def _einsum_kernel(layer):
  """Finds the axes by the letters of an equation such as 'abc,cd->abd'."""
  _, kernel, outputs = re.split(',|->', layer.equation.replace(' ', ''))
  axes = range(-len(kernel), 0)
  return [
    Weight(
      'kernel',
      tuple(i for i in axes if kernel[i] not in outputs),
      tuple(i for i in axes if kernel[i] in outputs),
    )
  ]


_KERNEL = [Weight('kernel')]
_TRANSPOSED = [Weight('kernel', inputs=(-1,), units=(-2,))]
_RECURRENT = [Weight('kernel'), Weight('recurrent_kernel')]
_OF_CELL = [Weight('cell/kernel'), Weight('cell/recurrent_kernel')]


def _depthwise(rank):
  """The inputs of a unit are those of the window alone."""
  window = tuple(range(-2 - rank, -2))
  return Weight('depthwise_kernel', inputs=window, units=(-2, -1))


_KINDS = {
  _L.Dense: _KERNEL,
  _L.EinsumDense: _einsum_kernel,
  _L.Conv1D: _KERNEL,
  _L.Conv2D: _KERNEL,
  _L.Conv3D: _KERNEL,
  _L.Conv1DTranspose: _TRANSPOSED,
  _L.Conv2DTranspose: _TRANSPOSED,
  _L.Conv3DTranspose: _TRANSPOSED,
  _L.DepthwiseConv1D: [_depthwise(1)],
  _L.DepthwiseConv2D: [_depthwise(2)],
  _L.SeparableConv1D: [_depthwise(1), Weight('pointwise_kernel')],
  _L.SeparableConv2D: [_depthwise(2), Weight('pointwise_kernel')],
  _L.Embedding: [Weight('embeddings')],
  _L.ConvLSTM1D: _OF_CELL,
  _L.ConvLSTM2D: _OF_CELL,
  _L.ConvLSTM3D: _OF_CELL,
  # Weights with several axes in some uses, but no weight matrices.
  _L.BatchNormalization: [],
  _L.LayerNormalization: [],
  _L.PReLU: [],
  _L.SimpleRNNCell: _RECURRENT,
  _L.GRUCell: _RECURRENT,
  _L.LSTMCell: _RECURRENT,
}
