"""Consecutive sparse Conv2D layers as one operation, with its gradient.

The operation includes a Rescaling layer before them and reads uint8 images.
"""

import tensorflow as tf

from tf_sparse_rl.native import backend, conv_sizes, library

_RELU = (tf.keras.activations.relu, tf.nn.relu)
_LINEAR = (tf.keras.activations.linear,)


def fits(layer):
  """Whether there are native kernels for a `stacks.Layer`.

  They are for sparse layers only: TensorFlow's are faster for dense ones.
  """
  conv = layer.plain
  return (
    type(conv) is tf.keras.layers.Conv2D
    and layer.sparsity > 0
    and conv.dtype_policy.compute_dtype == 'float32'
    and conv.dtype_policy.variable_dtype == 'float32'
    and conv.data_format == 'channels_last'
    and conv.dilation_rate == (1, 1)
    and conv.groups == 1
    and conv.padding in ('valid', 'same')
  )


def is_fused(layer):
  """Whether the kernels have the activation of a `stacks.Layer`."""
  return layer.plain.activation in (*_RELU, *_LINEAR)


def is_scale(layer):
  """Whether a `stacks.Layer` is a Rescaling that the kernels can do."""
  return (
    type(layer.plain) is tf.keras.layers.Rescaling
    and layer.plain.dtype_policy.compute_dtype == 'float32'
    and isinstance(layer.plain.scale, (int, float))
    and isinstance(layer.plain.offset, (int, float))
    and layer.plain.offset == 0
  )


def call(stack, operands, inputs):
  """The output of a stack by native kernels; None where they are not used.

  Args:
    stack: list of `stacks.Layer`: one that `is_scale`, or none, then those
      that fit.
    operands: function of a list of layers: their kernels, biases and masks.
    inputs: tensor `[batch, height, width, channels]`.

  Returns:
    Tensor `[batch, height, width, channels]` or None.
  """
  scale, layers = 1.0, stack
  kinds = [tf.float32]
  if is_scale(stack[0]):
    scale, layers = float(stack[0].plain.scale), stack[1:]
    kinds.append(tf.uint8)
  if not (
    layers
    and backend.may_be_native()
    and isinstance(inputs, tf.Tensor)
    and inputs.dtype in kinds
    and inputs.shape.rank == 4
    and inputs.shape[1:].is_fully_defined()
  ):
    return None
  sizes = conv_sizes.sizes_of(layers, inputs.shape[1:].as_list())
  sparsities = tuple(layer.sparsity for layer in layers)
  if not backend.is_native(inputs.shape[0], sizes, sparsities):
    return None
  return (
    library.load()
    .tf_sparse_rl_conv_stack(
      inputs,
      *operands(layers),
      scale=scale,
      relu=[layer.plain.activation in _RELU for layer in layers],
      **conv_sizes.options_of(sizes),
    )
    .output
  )


@tf.RegisterGradient('TfSparseRlConvStack')
def _gradient(op, gradient, *unused_gradients):
  """The gradient of a stack, by operations that are computed if asked for."""
  del unused_gradients
  ops = library.load()
  count = op.get_attr('N')
  all_sizes = {name: op.get_attr(name) for name in conv_sizes.OPTIONS}
  of_each = conv_sizes.options_of_each(**all_sizes)
  masks = op.inputs[1 + 2 * count :]
  output, states = op.outputs[0], op.outputs[1 : 1 + count]
  weights = op.outputs[1 + count :]
  deltas = ops.tf_sparse_rl_conv_deltas(
    *(gradient, output, states, weights, masks),
    relu=op.get_attr('relu'),
    **all_sizes,
  )
  of_input = None
  if op.inputs[0].dtype == tf.float32:
    of_input = ops.tf_sparse_rl_conv_input_gradient(
      deltas[0], weights[0], masks[0], output, **of_each[0]
    )
    if op.get_attr('scale') != 1:
      of_input *= op.get_attr('scale')
  _, of_biases = ops.tf_sparse_rl_conv_weight_gradients(
    states, deltas, masks, output, **all_sizes
  )
  of_kernels = [
    ops.tf_sparse_rl_conv_dense_gradient(state, delta, output, **sizes)
    for state, delta, sizes in zip(states, deltas, of_each)
  ]
  return [of_input, *of_kernels, *of_biases, *[None] * count]


def dense_gradient(op):
  """Computes an operation TfSparseRlConvDenseGradient anew, in this graph.

  Args:
    op: of a graph, perhaps of one around this one.

  Returns:
    Tensor `[kernel height, kernel width, channels, outputs]`.
  """
  return library.load().tf_sparse_rl_conv_dense_gradient(
    *op.inputs, **{name: op.get_attr(name) for name in conv_sizes.OPTIONS}
  )
