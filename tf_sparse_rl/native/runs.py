"""Runs of sparse Dense layers as one operation, with its gradient.

While TensorFlow traces a graph, each SparseLayer that follows another one
stands for both: its output is one operation from the first one's input, and
what the first put into the graph on its own is never computed, since nobody
asks for it. The same goes for gradients: a kernel's gradient is the dense one,
in the graph, but who knows of `parts_of` gets at what it is made of, packed,
and the dense one is not computed.

So what lies between two layers of a run has no gradient on a tape, as it is not
what the output was computed from. Who wants one puts a `tf.identity` there.

"Packed" are tensors `[connections]`, one entry for each 1 of a mask, in order.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl.native import backend, library

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
  """A layer of a run."""

  dense: tf.keras.layers.Dense  # built
  mask: tf.Variable | None  # None for ones
  sparsity: float  # that it has, or is pruned to


class Part(NamedTuple):
  """A summand of the gradient of a sparse kernel.

  Its active entries are those of `packed` plus `decay` times the kernel.
  """

  packed: tf.Tensor | None  # `[connections]`
  decay: tf.Tensor | None  # scalar
  dense: Callable[[], tf.Tensor]  # the whole of it, `[inputs, outputs]`


class _Operands(NamedTuple):
  """What a layer computes with, as it was when the layer was called."""

  kernel: tf.Tensor
  bias: tf.Tensor
  mask: tf.Tensor
  activation: str
  sparsity: float


class _Run(NamedTuple):
  """Layers that follow one another, and what goes into the first."""

  inputs: tf.Tensor
  layers: tuple  # of _Operands

  @property
  def sizes(self):
    """Units of the input and of each layer."""
    units = (layer.kernel.shape[1] for layer in self.layers)
    return (self.layers[0].kernel.shape[0], *units)


def _known(graph, what):
  """{name of a tensor: what is known of it}; lives as long as the graph."""
  name = f'_tf_sparse_rl_{what}'
  if not hasattr(graph, name):
    setattr(graph, name, {})
  return getattr(graph, name)


def call(layer, inputs, *args, **kwargs):
  """The output of a layer, by native kernels if these are to be used.

  Args:
    layer: a Layer.
    inputs: a tensor, `[batch, units]`.
    *args: for a layer that takes more; Dense does not.
    **kwargs: the same.

  Returns:
    A tensor `[batch, units]`.
  """
  if not _fits(layer, inputs):
    return layer.dense(inputs, *args, **kwargs)
  known = _known(tf.compat.v1.get_default_graph(), 'runs')
  run = _Run(inputs, ())
  # What comes from around a loop or a branch is not computed again inside.
  if inputs.graph is tf.compat.v1.get_default_graph():
    run = known.get(inputs.name, run)
  run = run._replace(layers=(*run.layers, _operands(layer)))
  if backend.is_native(
    inputs.shape[0], run.sizes, tuple(x.sparsity for x in run.layers)
  ):
    outputs = _emit(run)
    if not _is_fused(layer):
      return layer.dense.activation(outputs)
  else:
    outputs = layer.dense(inputs)
  if _is_fused(layer):
    known[outputs.name] = run
  return outputs


def _fits(layer, inputs):
  """Whether native kernels exist for this layer, here and now."""
  return (
    backend.may_be_native()
    and type(layer.dense) is tf.keras.layers.Dense
    and isinstance(inputs, tf.Tensor)
    and inputs.dtype == tf.float32
    and inputs.shape.rank == 2
    and layer.dense.dtype_policy.compute_dtype == 'float32'
    and layer.dense.dtype_policy.variable_dtype == 'float32'
  )


def _is_fused(layer):
  """Whether the kernels have the layer's activation."""
  return layer.dense.activation in _ACTIVATIONS


def _operands(layer):
  dense = layer.dense
  return _Operands(
    tf.convert_to_tensor(dense.kernel),
    tf.convert_to_tensor(dense.bias)
    if dense.use_bias
    else tf.zeros([dense.units]),
    mask_tensor(layer.mask),
    _ACTIVATIONS.get(dense.activation, 'linear'),
    layer.sparsity,
  )


def mask_tensor(mask):
  """A mask as the operations take it: None, for ones, has no entries."""
  return tf.zeros([0]) if mask is None else tf.convert_to_tensor(mask)


def _emit(run):
  """Puts a run into the graph; returns its output."""
  outputs = library.load().tf_sparse_rl_run(
    run.inputs,
    [layer.kernel for layer in run.layers],
    [layer.bias for layer in run.layers],
    [layer.mask for layer in run.layers],
    sizes=run.sizes,
    activations=[layer.activation for layer in run.layers],
  )
  return outputs.output


@tf.RegisterGradient('TfSparseRlRun')
def _run_gradient(op, gradient, *unused_gradients):
  """The gradient of a run, by operations that are computed if asked for."""
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
  packed, of_biases = ops.tf_sparse_rl_weight_gradients(
    states, deltas, masks, sizes=sizes
  )
  of_kernels = []
  for i, mask in enumerate(masks):

    def dense(i=i):
      return ops.tf_sparse_rl_dense_gradient(
        states[i], deltas[i], sizes=sizes[i : i + 2]
      )

    of_kernels.append(dense())
    if mask.shape[0]:
      _note(of_kernels[-1], Part(packed[i], None, dense))
  return [of_input, *of_kernels, *of_biases, *[None] * count]


def l2(kernel, mask, factor):
  """`factor * sum(kernel ** 2)`, or None where there are no native kernels.

  Args:
    kernel: a sparse kernel, `[inputs, outputs]`, or its variable.
    mask: its mask.
    factor: float.

  Returns:
    A scalar or None.
  """
  kernel = tf.convert_to_tensor(kernel)
  if (
    not backend.may_be_native()
    or kernel.dtype != tf.float32
    or kernel.shape.rank != 2
  ):
    return None
  return factor * library.load().tf_sparse_rl_sum_of_squares(
    kernel, tf.convert_to_tensor(mask)
  )


@tf.RegisterGradient('TfSparseRlSumOfSquares')
def _sum_of_squares_gradient(op, gradient):
  kernel = op.inputs[0]
  decay = 2 * gradient

  def dense():
    return decay * kernel

  of_kernel = dense()
  _note(of_kernel, Part(None, decay, dense))
  return of_kernel, None


def _note(gradient, part):
  _known(gradient.graph, 'parts')[gradient.name] = part


def parts_of(gradient):
  """What the gradient of a sparse kernel is the sum of.

  Args:
    gradient: a tensor.

  Returns:
    List of Parts, or None if it is anything else.
  """
  if tf.executing_eagerly() or not isinstance(gradient, tf.Tensor):
    return None
  known = _known(gradient.graph, 'parts')
  summands = [gradient]
  if gradient.op.type == 'AddN':
    summands = gradient.op.inputs
  parts = [known.get(summand.name) for summand in summands]
  if not all(parts) or all(part.packed is None for part in parts):
    return None
  return parts
