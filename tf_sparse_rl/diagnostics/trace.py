"""Activations and per-sample gradients of a network, by layer."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.diagnostics import signal
from tf_sparse_rl.networks import residual
from tf_sparse_rl.sparsity import layers as layers_lib

_L = tf.keras.layers


class DenseTrace(NamedTuple):
  """Trace of a Dense layer."""

  outputs: tf.Tensor  # `[batch, units]`
  inputs: tf.Tensor  # `[batch, inputs]`
  # Gradients of the losses with respect to the pre-activations.
  deltas: tf.Tensor  # `[batch, units]`

  def moments(self):
    """Moments of per-sample kernel gradients; the trace must be of arrays."""
    return signal.moments(self.inputs, self.deltas)


class ConvTrace(NamedTuple):
  """Trace of a Conv2D."""

  outputs: tf.Tensor  # `[batch, height, width, channels]`
  gradients: tf.Tensor  # of the losses by the kernel, `[batch, ...]`

  def moments(self):
    return signal.moments_of(self.gradients)


class Trace(NamedTuple):
  """Trace of a network, up to its last layer with a kernel."""

  layers: list  # a DenseTrace or a ConvTrace for each of `kernel_layers`
  outputs: tf.Tensor  # of the last of them, `[batch, outputs]`
  # Outputs of those before it that have an activation, after that.
  units: list


class Call(NamedTuple):
  """One call of a layer with a kernel."""

  layer: tf.keras.layers.Layer
  inputs: tf.Tensor
  before_activation: tf.Tensor
  outputs: tf.Tensor
  # The same after the activation, which may be a layer of its own, perhaps
  # with LayerNorm before it; None before a sum, whose units have it later.
  units: tf.Tensor | None
  norms: tuple = ()  # the LayerNorm between both


def trace(network, inputs, losses):
  """Traces a forward and a backward pass of a network.

  Each loss depends on its sample alone, so the rows of the gradient of their
  sum with respect to the outputs of a layer are per-sample gradients.

  Args:
    network: with `layers`; those after the last kernel are ignored.
    inputs: of the network, `[batch, ...]`, or a tuple of such.
    losses: function of the outputs of the last layer to per-sample losses.
  """
  with tf.GradientTape() as tape:
    calls = forward(network, inputs)
    total = tf.reduce_sum(losses(calls[-1].outputs))
  deltas = tape.gradient(total, [call.before_activation for call in calls])
  return Trace(
    [_layer_trace(call, delta) for call, delta in zip(calls, deltas)],
    calls[-1].outputs,
    [call.units for call in calls[:-1] if call.units is not None],
  )


def forward(network, inputs):
  """The Calls of a network that goes forward, up to its last kernel.

  Args:
    network: see `trace`.
    inputs: see `trace`.

  Returns:
    List of Call, one for each of `kernel_layers`.
  """
  calls, layers = [], list(network.layers)
  while not kernel_layers(layers[-1]):
    layers.pop()
  _run(layers, inputs, calls)
  return calls


def _run(layers, value, calls):
  """Calls layers in turn and records those with kernels."""
  is_waiting = False  # Whether the last call's units wait for an activation.
  for layer in map(plain, layers):
    was_waiting, is_waiting = is_waiting, False
    if isinstance(layer, residual.Residual):
      value = value + _run(layer.layers, value, calls)
    elif isinstance(layer, residual.Encoder):
      images, vectors = value
      value = tf.concat([_run(layer.layers, images, calls), vectors], -1)
    elif _has_kernel(layer):
      is_dense = isinstance(layer, tf.keras.layers.Dense)
      multiply = tf.matmul if is_dense else layer.convolution_op
      inputs, before = value, multiply(value, layer.kernel)
      if layer.use_bias:
        before += layer.bias
      is_waiting = layer.activation is tf.keras.activations.linear
      value = layer.activation(before)
      units = None if is_waiting else value
      calls.append(Call(layer, inputs, before, value, units))
    else:
      # In float32 from here on, whatever its policy.
      value = tf.cast(layer(value), tf.float32)
      is_waiting = was_waiting and isinstance(layer, _L.LayerNormalization)
      if is_waiting:
        calls[-1] = calls[-1]._replace(norms=(layer,))
      if was_waiting and isinstance(layer, (_L.Activation, _L.ReLU)):
        calls[-1] = calls[-1]._replace(units=value)
  return value


def _layer_trace(call, deltas):
  if isinstance(call.layer, tf.keras.layers.Dense):
    return DenseTrace(call.outputs, call.inputs, deltas)

  def of_sample(tensors):
    inputs, delta = tensors
    return tf.raw_ops.Conv2DBackpropFilter(
      input=inputs[tf.newaxis],
      filter_sizes=call.layer.kernel.shape,
      out_backprop=delta[tf.newaxis],
      strides=[1, *call.layer.strides, 1],
      padding=call.layer.padding.upper(),
    )

  gradients = tf.map_fn(
    of_sample, (call.inputs, deltas), fn_output_signature=tf.float32
  )
  return ConvTrace(call.outputs, gradients)


def _has_kernel(layer):
  return isinstance(layer, (tf.keras.layers.Dense, tf.keras.layers.Conv2D))


def kernel_layers(network):
  """Lists the Dense and Conv2D layers of a network or layer, in order."""
  leaves = layers_lib.leaf_layers(network)
  return [layer for layer in leaves if _has_kernel(plain(layer))]


def plain(layer):
  """Unwraps a SparseLayer."""
  return layer.layer if isinstance(layer, sparsity.SparseLayer) else layer


def mask(layer):
  """The mask of a layer, a bool array; all True for a dense layer."""
  if isinstance(layer, sparsity.SparseLayer):
    return layer.mask.numpy() > 0
  return np.ones(layer.kernel.shape, bool)
