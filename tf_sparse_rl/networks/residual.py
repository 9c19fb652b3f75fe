"""A layer around others, whose output it adds to their input."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class Residual(tf.keras.layers.Layer):
  """`x + layers(x)`; the layers follow one another and keep the shape.

  It has `layers` and `copy`, by which `sparsify` and `strip` reach inside.
  """

  def __init__(self, layers, **kwargs):
    """Wraps a list of Keras layers."""
    # The layers decide by themselves in what type they compute.
    super().__init__(autocast=False, **kwargs)
    self.layers = layers

  def build(self, input_shape):
    shape = input_shape
    for layer in self.layers:
      if not layer.built:
        with tf.name_scope(layer.name):
          layer.build(shape)
      shape = layer.compute_output_shape(shape)
    super().build(input_shape)

  def call(self, inputs):
    outputs = inputs
    for layer in self.layers:
      outputs = layer(outputs)
    return inputs + outputs

  def compute_output_shape(self, input_shape):
    return tf.TensorShape(input_shape)

  def copy(self, layers):
    """The same around other layers, not built."""
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
