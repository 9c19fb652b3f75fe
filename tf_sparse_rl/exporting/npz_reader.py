"""Reads an exported policy with NumPy and SciPy alone; made to be copied."""

import numpy as np
import scipy.sparse

_ACTIVATIONS = {'linear': lambda x: x, 'relu': lambda x: np.maximum(x, 0)}


def load(path):
  """A function: observations, float32 `[batch, size]` -> action and output."""
  with np.load(path) as file:
    arrays = dict(file)
  layers = []
  for name in arrays['layers']:
    data, indices, indptr, shape, bias, activation = (
      arrays[f'{name}/{part}']
      for part in ('data', 'indices', 'indptr', 'shape', 'bias', 'activation')
    )
    kernel = scipy.sparse.csr_array((data, indices, indptr), tuple(shape))
    layers.append((kernel, bias[:, np.newaxis], _ACTIVATIONS[str(activation)]))

  def act(observations):
    states = observations.T
    for kernel, bias, activation in layers:
      states = activation(kernel @ states + bias)
    if 'low' not in arrays:
      return {'action': states.argmax(0), 'output': states.T}
    low, high = arrays['low'], arrays['high']
    mean = np.tanh(states[: len(low)].T)
    return {
      'action': (high + low + (high - low) * mean) / 2,
      'output': states.T,
    }

  return act
