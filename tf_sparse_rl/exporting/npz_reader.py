"""Reads an exported policy with NumPy and SciPy alone; copy it freely.

States are `[size, batch]`, or of images `[height, width, channels, batch]`.
"""

import numpy as np
import scipy.sparse

ACTIVATIONS = {
  'linear': lambda x: x,
  'relu': lambda x: np.maximum(x, 0),
  'tanh': np.tanh,
}


def dense(states, kernel, bias, activation):
  """Kernel `[units, inputs]`."""
  return activation(kernel @ states + bias[:, np.newaxis])


def windows(states, size, strides, padding, fill):
  """Windows of a kernel, `[height, width, channels, batch, *size]`."""
  padded = np.pad(states, [*padding, (0, 0), (0, 0)], constant_values=fill)
  seen = np.lib.stride_tricks.sliding_window_view(padded, size, (0, 1))
  return seen[:: strides[0], :: strides[1]]


def conv(states, kernel, bias, activation, size, strides, padding):
  """Convolution: a kernel applied to each window."""
  seen = windows(states, size, strides, padding, 0)
  height, width, _, batch = seen.shape[:4]
  inputs = seen.transpose(4, 5, 2, 0, 1, 3).reshape(kernel.shape[1], -1)
  outputs = dense(inputs, kernel, bias, activation)
  return np.moveaxis(outputs.reshape(-1, height, width, batch), 0, 2)


def max_pool(states, size, strides, padding):
  """Maximum of each window."""
  return windows(states, size, strides, padding, -np.inf).max((4, 5))


def layer_norm(states, scale, shift, epsilon):
  """Mean 0 and variance 1 over the units, then scaled and shifted."""
  normed = (states - states.mean(0)) / np.sqrt(states.var(0) + epsilon)
  return scale[:, np.newaxis] * normed + shift[:, np.newaxis]


def expected_values(states, atoms):
  """Means of distributions over atoms, given by logits, one each action."""
  logits = states.reshape(-1, len(atoms), states.shape[-1])
  weights = np.exp(logits - logits.max(1, keepdims=True))
  return np.einsum('uab,a->ub', weights, atoms) / weights.sum(1)


LAYERS = {
  **ACTIVATIONS,
  'dense': dense,
  'layer_norm': layer_norm,
  'expected_values': expected_values,
  'conv': conv,
  'max_pool': max_pool,
  'flatten': lambda states: states.reshape(-1, states.shape[-1]),
}


def scaled(arrays, observations):
  """Normalizes observations, if the policy does."""
  if 'mean' not in arrays:
    return observations
  centered = (observations - arrays['mean']) * arrays['scale']
  return np.clip(centered, -arrays['clip'], arrays['clip'])


def parts_of(arrays, name):
  """Returns the kind of a layer (of `LAYERS`, 'keep', 'add') and its arrays."""
  start = f'{name}/'
  parts = {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
  if 'activation' in parts:
    parts['activation'] = ACTIVATIONS[str(parts['activation'])]
  if 'data' in parts:
    rows = tuple(parts.pop(part) for part in ('data', 'indices', 'indptr'))
    parts['kernel'] = scipy.sparse.csr_array(rows, tuple(parts.pop('shape')))
  return str(parts.pop('kind')), parts


def load(path):
  """Loads a function: observations `[batch, ...]` -> dict of action, output."""
  with np.load(path) as file:
    arrays = dict(file)
  layers = [parts_of(arrays, name) for name in arrays['layers']]

  def act(observations):
    states, kept = scaled(arrays, observations), []
    # np.moveaxis takes as long as a small layer.
    states = states.transpose(*range(1, states.ndim), 0)
    for kind, parts in layers:
      if kind == 'keep':
        kept.append(states)
      elif kind == 'add':
        states = states + kept.pop()
      else:
        states = LAYERS[kind](states, **parts)
    if 'counts' in arrays:
      entries = np.split(states, np.cumsum(arrays['counts'])[:-1])
      action = np.stack([entry.argmax(0) for entry in entries], 1)
    elif 'low' in arrays:
      low, high = arrays['low'], arrays['high']
      mean = np.tanh(states[: len(low)].T)
      action = (high + low + (high - low) * mean) / 2
    else:
      action = states.argmax(0)
    return {'action': action, 'output': states.T}

  return act
