"""Layers that contain layers: a residual block, an encoder of images.

`sparsify` and `strip` use their `layers` and `copy`.
"""

import tensorflow as tf

from tf_sparse_rl.sparsity import layers as layers_lib


class _Container(tf.keras.layers.Layer):
  """Base class of layers that contain a sequence of layers."""

  def __init__(self, layers, **kwargs):
    """Wraps a list of Keras layers."""
    # The inner layers cast their inputs themselves.
    super().__init__(autocast=False, **kwargs)
    self.layers = layers

  def _build_in_turn(self, shape):
    """Builds the layers that are not built; returns the output shape."""
    for layer in self.layers:
      if not layer.built:
        with tf.name_scope(layer.name):
          layer.build(shape)
      shape = layer.compute_output_shape(shape)
    return shape

  def copy(self, layers):
    """Returns a copy, not built, with other inner layers."""
    return type(self)(layers, **super().get_config())

  def get_config(self):
    layers = [tf.keras.layers.serialize(layer) for layer in self.layers]
    return {**super().get_config(), 'layers': layers}

  @classmethod
  def from_config(cls, config, custom_objects=None):
    config = dict(config)
    layers = [
      tf.keras.layers.deserialize(layer, custom_objects)
      for layer in config.pop('layers')
    ]
    return cls(layers, **config)


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class Residual(_Container):
  """Computes `x + layers(x)`; the layers keep the shape."""

  def build(self, input_shape):
    self._build_in_turn(input_shape)
    super().build(input_shape)

  def call(self, inputs):
    return inputs + layers_lib.call_in_turn(self.layers, inputs)

  def compute_output_shape(self, input_shape):
    return tf.TensorShape(input_shape)


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class Encoder(_Container):
  """Concatenates the features of images with vectors.

  Inputs are (images, vectors). The inner layers map `[batch, height, width,
  channels]` to `[batch, features]`.
  """

  def build(self, input_shape):
    self._build_in_turn(input_shape[0])
    super().build(input_shape)

  def call(self, inputs):
    images, vectors = inputs
    features = layers_lib.call_in_turn(self.layers, images)
    return tf.concat([features, tf.cast(vectors, features.dtype)], -1)

  def compute_output_shape(self, input_shape):
    shape, vector_shape = input_shape
    for layer in self.layers:
      shape = layer.compute_output_shape(shape)
    return tf.TensorShape([shape[0], shape[-1] + vector_shape[-1]])
