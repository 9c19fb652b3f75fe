"""Reads an exported policy with NumPy and SciPy alone; made to be copied."""

import numpy as np
import scipy.sparse

ACTIVATIONS = {
  'linear': lambda x: x,
  'relu': lambda x: np.maximum(x, 0),
  'tanh': np.tanh,
}


def scaled(arrays, observations):
  """Observations as the first layer takes them."""
  if 'mean' not in arrays:
    return observations
  centered = (observations - arrays['mean']) * arrays['scale']
  return np.clip(centered, -arrays['clip'], arrays['clip'])


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
    layers.append((kernel, bias[:, np.newaxis], ACTIVATIONS[str(activation)]))

  def act(observations):
    states = scaled(arrays, observations).T
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
