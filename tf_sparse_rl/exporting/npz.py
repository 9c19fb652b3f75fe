"""The greedy policy as compressed sparse rows in an NPZ file."""

import numpy as np
import scipy.sparse
import tensorflow as tf

from tf_sparse_rl.networks import atoms, normalizer, residual

_layers = tf.keras.layers
_ACTIVATIONS = {
  tf.keras.activations.linear: 'linear',
  tf.keras.activations.relu: 'relu',
  tf.keras.activations.tanh: 'tanh',
}


def save(policy, path, sparse=True):
  """Writes a policy for `npz_reader`.

  The file has `layers`, their names in order, and for each layer `name/kind`,
  which determines its other arrays:

    dense: the kernel as `data`, `indices`, `indptr` and `shape`, `[units,
      inputs]`, the `bias` and the `activation`: 'linear', 'relu' or 'tanh'.
    conv: the same for the matrix `[filters, height * width * channels]`, with
      inputs in the order of a Keras kernel; `size`, its height and width; its
      `strides`; and `padding`, the zeros around an image: `[[above, below],
      [left, right]]`.
    max_pool: `size`, `strides` and `padding`, of minus infinity.
    layer_norm: the `scale` and `shift` of each unit, and the `epsilon` that is
      added to the variance over the units.
    expected_values: the `atoms` whose mean is taken, for each action.
    linear, relu, tanh, flatten: nothing.
    keep: nothing. The state is kept until the matching
    add: nothing. The state that was kept last is added.

  It also has `mean`, `scale` and `clip` if observations are normalized; the
  bounds `low` and `high` of continuous actions; and `counts`, the number of
  choices of each entry, for actions of several integers.

  Args:
    policy: a GreedyPolicy.
    path: of the file.
    sparse: if false, dense kernels as `kernel`, for comparison; `npz_reader`
      reads them too.

  Raises:
    ValueError: for layers that the format does not support.
  """
  scaling = _scaling(policy.layers[0])
  # Scaling leaves the shape as it is.
  steps = _steps(
    policy.layers[1:] if scaling else policy.layers,
    policy.observation_spec.shape,
    sparse,
  )
  arrays, names = scaling, []
  for name, parts in steps:
    names.append(name)
    arrays.update({f'{name}/{part}': value for part, value in parts.items()})
  arrays['layers'] = np.array(names)
  if policy.action_bounds is not None:
    arrays['low'], arrays['high'] = policy.action_bounds
  if policy.action_counts:
    arrays['counts'] = np.array(policy.action_counts)
  # By a file object, since np.savez adds a suffix to names.
  with open(path, 'wb') as file:
    np.savez(file, **arrays)


def _scaling(layer):
  """Arrays of a layer that normalizes observations; empty for others."""
  if isinstance(layer, normalizer.Normalizer):
    mean, scale, clip = layer.mean.numpy(), layer.scale.numpy(), layer.clip
  elif isinstance(layer, _layers.Rescaling):
    scale, clip = layer.scale, np.inf
    mean = -layer.offset / scale
  else:
    return {}
  parts = {'mean': mean, 'scale': scale, 'clip': clip}
  return {part: np.float32(value) for part, value in parts.items()}


def _steps(layers, shape, sparse):
  """Name and arrays of each layer for inputs of a shape."""
  for layer in layers:
    if isinstance(layer, residual.Residual):
      yield f'{layer.name}_keep', {'kind': 'keep'}
      yield from _steps(layer.layers, shape, sparse)
      yield f'{layer.name}_add', {'kind': 'add'}
    elif type(layer) is _layers.Dense:
      yield layer.name, {'kind': 'dense', **_kernel(layer, sparse)}
    elif type(layer) is _layers.LayerNormalization:
      yield layer.name, {'kind': 'layer_norm', **_norm(layer)}
    elif isinstance(layer, atoms.ExpectedValues):
      yield layer.name, {'kind': 'expected_values', 'atoms': layer.atoms}
    elif type(layer) is _layers.Activation:
      yield layer.name, {'kind': _activation(layer)}
    elif type(layer) is _layers.Conv2D:
      seen = _windows(layer, layer.kernel_size, shape)
      yield layer.name, {'kind': 'conv', **_kernel(layer, sparse), **seen}
    elif type(layer) is _layers.MaxPool2D:
      seen = _windows(layer, layer.pool_size, shape)
      yield layer.name, {'kind': 'max_pool', **seen}
    elif type(layer) in (_layers.ReLU, _layers.Flatten):
      yield layer.name, {'kind': type(layer).__name__.lower()}
    else:
      raise ValueError(
        'Expected layers that the reader of NPZ files has: Dense, Conv2D, '
        'MaxPool2D, ReLU, Flatten, LayerNormalization, Activation, Residual. '
        'Received: '
        f'{type(layer).__name__} {layer.name!r}. Export it with '
        '--format=saved_model.'
      )
    shape = layer.compute_output_shape(shape)


def _kernel(layer, sparse):
  kernel, bias = layer.get_weights()
  matrix = kernel.reshape(-1, kernel.shape[-1]).T
  parts = {'bias': bias, 'activation': _activation(layer)}
  if not sparse:
    return {**parts, 'kernel': matrix}
  rows = scipy.sparse.csr_array(matrix)
  return {
    **parts,
    **{part: getattr(rows, part) for part in ('data', 'indices', 'indptr')},
    'shape': matrix.shape,
  }


def _norm(layer):
  axes = tf.nest.flatten(layer.axis)  # An int until it is built.
  if axes != [1] or not (layer.center and layer.scale):
    raise ValueError(
      'Expected LayerNormalization over units, with scale and shift. Received: '
      f'{layer.name!r} over {axes}.'
    )
  scale, shift = layer.get_weights()
  epsilon = np.float32(layer.epsilon)
  return {'scale': scale, 'shift': shift, 'epsilon': epsilon}


def _windows(layer, size, shape):
  """Size, strides and padding of a layer on images."""
  padding = np.zeros([2, 2], int)
  if layer.padding == 'same':
    # TensorFlow's 'same' padding: the odd row and column come last.
    for axis, length in enumerate(shape[1:3]):
      last = (length - 1) // layer.strides[axis] * layer.strides[axis]
      total = max(last + size[axis] - length, 0)
      padding[axis] = total // 2, total - total // 2
  return {'size': size, 'strides': layer.strides, 'padding': padding}


def _activation(layer):
  try:
    return _ACTIVATIONS[layer.activation]
  except KeyError:
    raise ValueError(
      'Expected layers with ReLU, tanh or no activation: the reader of NPZ '
      f'files has no other. Received: {layer.name!r} with {layer.activation}.'
    ) from None
