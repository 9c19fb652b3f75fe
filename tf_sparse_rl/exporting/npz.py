"""The greedy policy as compressed sparse rows in an NPZ file."""

import numpy as np
import scipy.sparse
import tensorflow as tf

from tf_sparse_rl.exporting import dense_layers, npz_reader

_ACTIVATIONS = {
  tf.keras.activations.linear: 'linear',
  tf.keras.activations.relu: 'relu',
  tf.keras.activations.tanh: 'tanh',
}


def save(policy, path, sparse=True):
  """Writes a policy for `npz_reader`.

  Args:
    policy: a GreedyPolicy of Dense layers.
    path: of the file. It holds `layers`, their names in order, and of each
      layer its kernel as `data`, `indices`, `indptr` and `shape`, `[units,
      inputs]`, its `bias` and its `activation`; for continuous actions also
      their bounds, `low` and `high`; and where observations are scaled first,
      `mean`, `scale` and `clip`.
    sparse: if not, a `kernel` `[inputs, units]` instead, for comparison.

  Raises:
    ValueError: for layers that it has no words for.
  """
  scaling, dense = dense_layers.split(policy.layers)
  arrays = {'layers': np.array([layer.name for layer in dense])}
  for layer in scaling:
    arrays['mean'], arrays['scale'] = layer.mean.numpy(), layer.scale.numpy()
    arrays['clip'] = np.float32(layer.clip)
  for layer in dense:
    kernel, bias = layer.get_weights()
    arrays[f'{layer.name}/bias'] = bias
    arrays[f'{layer.name}/activation'] = np.array(_activation(layer))
    if not sparse:
      arrays[f'{layer.name}/kernel'] = kernel
      continue
    rows = scipy.sparse.csr_array(kernel.T)
    for part in ('data', 'indices', 'indptr', 'shape'):
      arrays[f'{layer.name}/{part}'] = np.asarray(getattr(rows, part))
  if policy.action_bounds is not None:
    arrays['low'], arrays['high'] = policy.action_bounds
  # By a file: np.savez would add its suffix to another name.
  with open(path, 'wb') as file:
    np.savez(file, **arrays)


def dense_forward(path):
  """The forward pass of what was saved with `sparse=False`.

  Args:
    path: of the file.

  Returns:
    Function from observations, `[batch, size]`, to what the last layer says.
  """
  with np.load(path) as file:
    arrays = dict(file)
  layers = [
    tuple(arrays[f'{name}/{part}'] for part in ('kernel', 'bias', 'activation'))
    for name in arrays['layers']
  ]

  def forward(observations):
    states = npz_reader.scaled(arrays, observations)
    for kernel, bias, activation in layers:
      states = npz_reader.ACTIVATIONS[str(activation)](states @ kernel + bias)
    return states

  return forward


def _activation(layer):
  try:
    return _ACTIVATIONS[layer.activation]
  except KeyError:
    raise ValueError(
      'Expected layers with ReLU, tanh or no activation: the reader of NPZ '
      f'files has no other. Received: {layer.name!r} with {layer.activation}.'
    ) from None
