"""Builds layers, including sublayers that are only built by a call."""

import tensorflow as tf

from tf_sparse_rl.sparsity import kinds

_TENSOR = 'tensor'


def build(layer, input_shape):
  """Builds a layer and the sublayers that its first call would build.

  Args:
    layer: a Keras layer.
    input_shape: shape of the input, or a structure of shapes, with batch axis.
  """
  layer.build(input_shape)
  if any(
    not part.built for _, part in kinds.parts(layer) if kinds.registered(part)
  ):
    shapes = tf.nest.map_structure(tf.TensorShape, input_shape)
    build_by_call(layer, tf.nest.map_structure(tf.TensorSpec, shapes))


def build_by_call(layer, *args, **kwargs):
  """Builds a layer by calling it in a temporary graph.

  Args:
    layer: a Keras layer.
    *args: arguments of the call; only shape and dtype of tensors are used.
    **kwargs: keyword arguments of the call.
  """

  def placeholder(value):
    if _is_tensor(value):
      return tf.compat.v1.placeholder(value.dtype, value.shape)
    return value

  # Keras and native kernels know graphs of this name: nothing runs in them.
  with tf.__internal__.FuncGraph('keras_graph').as_default():
    args, kwargs = tf.nest.map_structure(placeholder, (args, kwargs))
    layer(*args, **kwargs)


def call_spec(args, kwargs):
  """Describes the arguments of a call in JSON types, for `build_by_spec`.

  Args:
    args: arguments of the call.
    kwargs: keyword arguments of the call.

  Returns:
    [args, kwargs] with shapes and dtypes in place of tensors; None if there is
    only one tensor, whose shape Keras saves itself.
  """
  if sum(map(_is_tensor, tf.nest.flatten((args, kwargs)))) < 2:
    return None

  def spec(value):
    if isinstance(value, dict):
      return {key: spec(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
      return [spec(item) for item in value]
    if not _is_tensor(value):
      return value
    shape = tf.TensorShape(value.shape).as_list()
    return {_TENSOR: [shape, tf.as_dtype(value.dtype).name]}

  return [spec(args), spec(kwargs)]


def build_by_spec(layer, spec):
  """Builds a layer from what `call_spec` returned."""

  def made(value):
    if isinstance(value, dict):
      if _TENSOR in value:
        return tf.TensorSpec(*value[_TENSOR])
      return {key: made(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
      return [made(item) for item in value]
    return value

  args, kwargs = made(spec)
  build_by_call(layer, *args, **kwargs)


def _is_tensor(value):
  return hasattr(value, 'dtype') and hasattr(value, 'shape')
