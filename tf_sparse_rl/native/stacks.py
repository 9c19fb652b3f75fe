"""Stacks of sparse Dense layers as one operation, with its gradient.

Conv2D layers form their own stacks, see `conv`.

`call` takes consecutive layers: one operation computes the output of the last
from the input of the first. A single layer is a stack of one.

In the graph the gradient of a kernel is dense. `parts_of` returns its packed
parts; if only these are used, the dense gradient is never computed.

A "packed" tensor is `[connections]`: one entry per 1 of a mask, in order.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl.native import backend, conv, conv_sizes, library

_ACTIVATIONS = {
  tf.keras.activations.linear: 'linear',
  tf.keras.activations.relu: 'relu',
  tf.keras.activations.tanh: 'tanh',
  tf.keras.activations.sigmoid: 'sigmoid',
  tf.keras.activations.elu: 'elu',
  tf.nn.relu: 'relu',
  tf.nn.tanh: 'tanh',
  tf.nn.sigmoid: 'sigmoid',
  tf.nn.elu: 'elu',
}


class Layer(NamedTuple):
  """A layer of a stack."""

  plain: tf.keras.layers.Layer  # built
  mask: tf.Variable | None  # None for ones
  sparsity: float  # that it has, or is pruned to


class Part(NamedTuple):
  """A summand of the gradient of a sparse kernel.

  Its active entries are those of `packed` plus `decay` times the kernel.
  """

  packed: tf.Tensor | None  # `[connections]`
  decay: tf.Tensor | None  # scalar
  dense: Callable[[], tf.Tensor]  # the whole of it, of the kernel's shape


class _Operands(NamedTuple):
  """The variables of a layer as they were when it was called."""

  kernel: tf.Tensor
  bias: tf.Tensor
  mask: tf.Tensor


def call(layers, inputs):
  """The output of consecutive layers, by native kernels where they are used.

  Args:
    layers: list of Layer, built.
    inputs: a tensor, of the first.

  Returns:
    A tensor, the output of the last.
  """
  for stack in divide(layers):
    outputs = None
    if conv.fits(stack[-1]):
      outputs = conv.call(stack, _operands_of, inputs)
    elif _is_native(stack, inputs):
      outputs = _emit(stack, inputs)
    if outputs is None:
      for layer in stack:
        inputs = layer.plain(inputs)
    else:
      last = stack[-1].plain
      inputs = outputs if _is_fused(stack[-1]) else last.activation(outputs)
  return inputs


def divide(layers):
  """Divides consecutive layers into stacks, one operation each.

  A stack ends with a layer whose activation the kernels do not have. A layer
  without native kernels is a stack of its own.

  Args:
    layers: list of Layer.

  Returns:
    List of lists of Layer.
  """
  stacks, open_for = [], None
  for layer in layers:
    if open_for and open_for(layer):
      stacks[-1].append(layer)
    else:
      stacks.append([layer])
    open_for = _followers(layer)
  return stacks


def _followers(layer):
  """A function: whether a layer may follow this one in a stack; or None."""
  if conv.is_scale(layer):
    return conv.fits
  if fits(layer) and _is_fused(layer):
    return fits
  return conv.fits if conv.fits(layer) and _is_fused(layer) else None


def choice_of(stack):
  """The `backend.Choice` for a stack of `divide`, or None without kernels."""
  sparsities = [layer.sparsity for layer in stack]
  if fits(stack[0]):
    return backend.choice(sizes_of(stack), sparsities)
  if not conv.fits(stack[-1]):
    return None
  # A layer keeps the shape that it was built for.
  _, *image = stack[0].plain.get_build_config()['input_shape']
  return backend.choice(conv_sizes.sizes_of(stack, image), sparsities)


def sizes_of(layers):
  """Units of the input and of each of some Layers."""
  inputs = layers[0].plain.kernel.shape[0]
  return (inputs, *(layer.plain.units for layer in layers))


def fits(layer):
  """Whether there are native kernels for a Layer."""
  return (
    type(layer.plain) is tf.keras.layers.Dense
    and layer.plain.dtype_policy.compute_dtype == 'float32'
    and layer.plain.dtype_policy.variable_dtype == 'float32'
  )


def _is_native(stack, inputs):
  """Whether native kernels compute a stack, here and now."""
  if not (
    fits(stack[0])
    and backend.may_be_native()
    and isinstance(inputs, tf.Tensor)
    and inputs.dtype == tf.float32
    and inputs.shape.rank == 2
  ):
    return False
  sparsities = tuple(layer.sparsity for layer in stack)
  return backend.is_native(inputs.shape[0], sizes_of(stack), sparsities)


def activation_of(layer):
  """The kernels' name of a Layer's activation, or None if they have none."""
  return _ACTIVATIONS.get(layer.plain.activation)


def _is_fused(layer):
  """Whether the kernels have the layer's activation."""
  if conv.fits(layer):
    return conv.is_fused(layer)
  return layer.plain.activation in _ACTIVATIONS


def _operands(layer):
  plain = layer.plain
  return _Operands(
    tf.convert_to_tensor(plain.kernel),
    tf.convert_to_tensor(plain.bias)
    if plain.use_bias
    else tf.zeros(plain.kernel.shape[-1:]),
    mask_tensor(layer.mask),
  )


def _operands_of(layers):
  """(kernels, biases, masks) of some layers, as they are now."""
  operands = [_operands(layer) for layer in layers]
  return (
    [layer.kernel for layer in operands],
    [layer.bias for layer in operands],
    [layer.mask for layer in operands],
  )


def mask_tensor(mask):
  """A mask as the operations take it: None, for ones, has no entries."""
  return tf.zeros([0]) if mask is None else tf.convert_to_tensor(mask)


def _emit(stack, inputs):
  """Puts the operation of a stack into the graph; returns its output."""
  outputs = library.load().tf_sparse_rl_stack(
    inputs,
    *_operands_of(stack),
    sizes=sizes_of(stack),
    activations=[activation_of(layer) or 'linear' for layer in stack],
  )
  return outputs.output


@tf.RegisterGradient('TfSparseRlStack')
def _stack_gradient(op, gradient, *unused_gradients):
  """The gradient of a stack, by operations that are computed if asked for."""
  del unused_gradients
  ops = library.load()
  count, sizes = op.get_attr('N'), op.get_attr('sizes')
  masks = op.inputs[1 + 2 * count :]
  states, last = op.outputs[1 : 1 + count], op.outputs[1 + count]
  weights = op.outputs[2 + count :]
  deltas = ops.tf_sparse_rl_deltas(
    gradient,
    states,
    last,
    weights,
    masks,
    sizes=sizes,
    activations=op.get_attr('activations'),
  )
  of_input = ops.tf_sparse_rl_input_gradient(
    deltas[0], weights[0], masks[0], gradient, sizes=sizes
  )
  _, of_biases = ops.tf_sparse_rl_weight_gradients(
    states, deltas, masks, sizes=sizes
  )
  of_kernels = [
    ops.tf_sparse_rl_dense_gradient(
      states[i], deltas[i], sizes=sizes[i : i + 2]
    )
    for i in range(count)
  ]
  return [of_input, *of_kernels, *of_biases, *[None] * count]


def l2(kernel, mask, factor):
  """`factor * sum(kernel ** 2)`, or None where there are no native kernels.

  Args:
    kernel: a sparse kernel, of a Dense or Conv2D layer, or its variable.
    mask: its mask.
    factor: float.

  Returns:
    A scalar or None.
  """
  kernel = tf.convert_to_tensor(kernel)
  if (
    not backend.may_be_native()
    or kernel.dtype != tf.float32
    or kernel.shape.rank not in (2, 4)
  ):
    return None
  return factor * library.load().tf_sparse_rl_sum_of_squares(
    kernel, tf.convert_to_tensor(mask)
  )


@tf.RegisterGradient('TfSparseRlSumOfSquares')
def _sum_of_squares_gradient(op, gradient):
  return (2 * gradient) * op.inputs[0], None


def parts_of(gradient):
  """The summands of the gradient of a sparse kernel.

  Args:
    gradient: a tensor.

  Returns:
    List of Parts, or None if it is anything else.
  """
  if tf.executing_eagerly() or not isinstance(gradient, tf.Tensor):
    return None
  summands = [gradient]
  if gradient.op.type == 'AddN':
    summands = gradient.op.inputs
  parts = [_part(summand.op) for summand in summands]
  if not all(parts) or all(part.packed is None for part in parts):
    return None
  return parts


def _dense_gradient(op):
  """Computes an operation TfSparseRlDenseGradient anew, in this graph."""
  return library.load().tf_sparse_rl_dense_gradient(
    *op.inputs, sizes=op.get_attr('sizes')
  )


# Operations that compute dense gradients: those that compute the packed ones
# from the same deltas, and how to get the dense one where it is asked for.
_DENSE_GRADIENTS = {
  'TfSparseRlDenseGradient': ('TfSparseRlWeightGradients', _dense_gradient),
  'TfSparseRlConvDenseGradient': (
    'TfSparseRlConvWeightGradients',
    conv.dense_gradient,
  ),
}


def _part(op):
  """The Part that an operation computes densely, or None."""
  if op.type in _DENSE_GRADIENTS:
    weights_type, dense = _DENSE_GRADIENTS[op.type]
    delta = op.inputs[1]
    # The packed gradients of the same stack are made of the same deltas.
    weights = _consumer(delta, weights_type)
    if weights is None:
      return None  # It is in another graph, around this one.
    index, count = delta.value_index, weights.get_attr('N')
    if not weights.inputs[2 * count + index].shape[0]:
      return None  # A kernel without a mask.
    return Part(weights.outputs[index], None, lambda: dense(op))
  if op.type == 'Mul':
    decay, kernel = op.inputs
    if decay.shape.rank == 0 and _consumer(kernel, 'TfSparseRlSumOfSquares'):
      return Part(None, decay, lambda: decay * kernel)
  return None


def _consumer(tensor, kind):
  """The operation of a kind that takes a tensor, or None."""
  return next((op for op in tensor.consumers() if op.type == kind), None)
