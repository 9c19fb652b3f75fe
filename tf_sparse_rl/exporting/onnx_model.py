"""The greedy policy as an ONNX model, written layer by layer."""

import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl.exporting import onnx_graph
from tf_sparse_rl.networks import atoms, normalizer, residual

_layers = tf.keras.layers
_ACTIVATIONS = {
  tf.keras.activations.elu: 'Elu',
  tf.keras.activations.relu: 'Relu',
  tf.keras.activations.selu: 'Selu',
  tf.keras.activations.sigmoid: 'Sigmoid',
  tf.keras.activations.softplus: 'Softplus',
  tf.keras.activations.softsign: 'Softsign',
  tf.keras.activations.tanh: 'Tanh',
}
_PADDING = {'same': 'SAME_UPPER', 'valid': 'VALID'}


def save(policy, path, sparse=True):
  """Writes a policy.

  Its input is `observation`, its outputs are `action` and `output`. Kernels are
  stored as sparse tensors where that is smaller; ONNX Runtime converts them to
  dense ones when it loads the model.

  Args:
    policy: a GreedyPolicy.
    path: of the file.
    sparse: whether to store sparse tensors; if false, for comparison.

  Raises:
    ValueError: for layers that the format does not support.
    ModuleNotFoundError: without the package onnx.
  """
  graph = onnx_graph.Graph(policy.observation_spec, sparse)
  # Of images `[batch, height, width, channels]`, convolutions in ONNX have the
  # channels first.
  states, channels_first = graph.input, False
  for layer in policy.layers:
    states, channels_first = _layer(graph, layer, states, channels_first)
  graph.output('output', states, np.float32, [policy.layers[-1].units])
  action, dtype, shape = _action(graph, policy, states)
  graph.output('action', action, dtype, shape)
  path.write_bytes(graph.serialized())


def load(path):
  """Loads a function: observations `[batch, ...]` -> dict of action, output."""
  session = _session(path)
  names = [output.name for output in session.get_outputs()]

  def act(observations):
    outputs = session.run(names, {'observation': observations})
    return dict(zip(names, outputs))

  return act


def one_call(path, observation):
  """Makes a function of one inference of an observation `[1, ...]`."""
  session, inputs = _session(path), {'observation': observation}
  return lambda: session.run(None, inputs)


def _session(path):
  import onnxruntime  # Of the extra `onnx`, and slow to import.

  options = onnxruntime.SessionOptions()
  # One thread, like the interpreter of TFLite.
  options.intra_op_num_threads = options.inter_op_num_threads = 1
  return onnxruntime.InferenceSession(
    str(path), options, providers=['CPUExecutionProvider']
  )


def _layer(graph, layer, states, channels_first):
  """Adds a layer; returns (its states, whether their channels come first)."""
  if isinstance(layer, residual.Residual):
    inputs = states
    for part in layer.layers:
      states, now_first = _layer(graph, part, states, channels_first)
      if now_first != channels_first:
        inputs, channels_first = _turned(graph, inputs), now_first
    return graph.add('Add', inputs, states), channels_first
  if isinstance(layer, normalizer.Normalizer):
    return _normalized(graph, layer, states), channels_first
  if isinstance(layer, _layers.Rescaling):
    states = graph.add(
      'Mul', graph.as_float(states), graph.constant(layer.scale)
    )
    return graph.add(
      'Add', states, graph.constant(layer.offset)
    ), channels_first
  if isinstance(layer, atoms.ExpectedValues):
    return _expected_values(graph, layer, states), channels_first
  if type(layer) is _layers.LayerNormalization:
    return _normed(graph, layer, states), channels_first
  if type(layer) is _layers.Activation:
    return _activated(graph, layer, states), channels_first
  if type(layer) is _layers.Dense:
    kernel, bias = map(graph.constant, layer.get_weights())
    states = graph.add('Gemm', states, kernel, bias)
    return _activated(graph, layer, states), channels_first
  if type(layer) in (_layers.Conv2D, _layers.MaxPool2D):
    if not channels_first:
      states = _turned(graph, states)
    return _windows(graph, layer, states), True
  if type(layer) is _layers.ReLU:
    return graph.add('Relu', states), channels_first
  if type(layer) is _layers.Flatten:
    if channels_first:
      states = graph.add('Transpose', states, perm=[0, 2, 3, 1])
    return graph.add('Flatten', states, axis=1), False
  raise ValueError(
    'Expected layers that can be written as ONNX: Dense, Conv2D, MaxPool2D, '
    'ReLU, Flatten, LayerNormalization, Activation, Residual. Received: '
    f'{type(layer).__name__} {layer.name!r}. Export it with '
    '--format=saved_model.'
  )


def _expected_values(graph, layer, states):
  shape = graph.constant([-1, layer.units, len(layer.atoms)], np.int64)
  logits = graph.add('Reshape', states, shape)
  weights = graph.add('Softmax', logits, axis=-1)
  return graph.add('MatMul', weights, graph.constant(layer.atoms))


def _turned(graph, images):
  return graph.add('Transpose', images, perm=[0, 3, 1, 2])


def _normalized(graph, layer, states):
  """Adds a Normalizer: center, scale, clip."""
  if layer.center:
    states = graph.add('Sub', states, graph.constant(layer.mean.numpy()))
  states = graph.add('Mul', states, graph.constant(layer.scale.numpy()))
  if math.isinf(layer.clip):
    return states
  return graph.add(
    'Clip', states, graph.constant(-layer.clip), graph.constant(layer.clip)
  )


def _normed(graph, layer, states):
  if list(layer.axis) != [1] or not (layer.center and layer.scale):
    raise ValueError(
      'Expected LayerNormalization over units, with scale and shift. Received: '
      f'{layer.name!r} over {list(layer.axis)}.'
    )
  return graph.add(
    'LayerNormalization',
    *(states, *map(graph.constant, layer.get_weights())),
    axis=-1,
    epsilon=layer.epsilon,
  )


def _windows(graph, layer, states):
  """Adds a convolution or pooling, with channels first."""
  shared = {
    'strides': list(layer.strides),
    'auto_pad': _PADDING[layer.padding],
  }
  if type(layer) is _layers.MaxPool2D:
    return graph.add(
      'MaxPool', states, kernel_shape=list(layer.pool_size), **shared
    )
  kernel, bias = layer.get_weights()
  states = graph.add(
    'Conv',
    states,
    graph.constant(kernel.transpose(3, 2, 0, 1)),
    graph.constant(bias),
    dilations=list(layer.dilation_rate),
    group=layer.groups,
    **shared,
  )
  return _activated(graph, layer, states)


def _activated(graph, layer, states):
  if layer.activation is tf.keras.activations.linear:
    return states
  try:
    return graph.add(_ACTIVATIONS[layer.activation], states)
  except KeyError:
    raise ValueError(
      'Expected layers with an activation that is one of ONNX, such as ReLU or '
      f'tanh. Received: {layer.name!r} with {layer.activation}.'
    ) from None


def _action(graph, policy, output):
  """Adds the greedy action; returns (name, type, shape without the batch)."""
  if policy.action_bounds is not None:
    low, high = map(np.float32, policy.action_bounds)
    mean = graph.add('Tanh', graph.columns(output, 0, len(low)))
    spread = graph.add('Mul', mean, graph.constant((high - low) / 2))
    action = graph.add('Add', spread, graph.constant((high + low) / 2))
    return action, np.float32, [len(low)]
  ends = np.cumsum(policy.action_counts, dtype=int).tolist()
  if not ends:
    return _best(graph, output, keepdims=0), np.int32, []
  chosen = [
    _best(graph, graph.columns(output, start, end), keepdims=1)
    for start, end in zip([0, *ends], ends)
  ]
  return graph.add('Concat', *chosen, axis=1), np.int32, [len(ends)]


def _best(graph, values, keepdims):
  best = graph.add('ArgMax', values, axis=1, keepdims=keepdims)
  return graph.cast(best, np.int32)
