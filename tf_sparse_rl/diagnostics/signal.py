"""Signal-to-noise of gradients, from the gradient of each sample."""

from typing import NamedTuple

import numpy as np


class SignalToNoise(NamedTuple):
  """Signal-to-noise of some entries of one or several kernels."""

  ratio: float  # mean of |mean| / std, dead entries left out; 0 if all are
  dead: float  # share of the entries that are dead; 0 of no entries


class Moments(NamedTuple):
  """Moments of the samples' gradients, float64 of the kernel's shape."""

  mean: np.ndarray
  square: np.ndarray  # mean of the squares


def moments(inputs, deltas):
  """Moments of the gradients of a Dense kernel over the samples of a batch.

  The gradient of sample b is the outer product of `inputs[b]` and
  `deltas[b]`, so its moments are products of matrices, and the gradients of
  single samples need not be stored.

  Args:
    inputs: what the layer received, `[batch, inputs]`.
    deltas: gradient of each sample's loss by the layer's output before the
      activation, `[batch, units]`.

  Returns:
    Moments, `[inputs, units]`.
  """
  inputs, deltas = np.float64(inputs), np.float64(deltas)
  return Moments(
    inputs.T @ deltas / len(inputs),
    np.square(inputs).T @ np.square(deltas) / len(inputs),
  )


def moments_of(gradients):
  """Moments `[...]` of the gradients of each sample, `[batch, ...]`."""
  gradients = np.float64(gradients)
  return Moments(gradients.mean(axis=0), np.square(gradients).mean(axis=0))


def signal_to_noise(mean, square):
  """Gradient signal-to-noise, averaged over entries: `|mean| / std`.

  An entry is dead if no sample's gradient differs from another's, as behind
  a unit that is never active: it has no noise and no ratio. The paper's code
  counts its ratio as 0; so counted, the average is `ratio * (1 - dead)`.

  Args:
    mean: mean gradient over the samples, of any shape.
    square: mean square of the same.

  Returns:
    SignalToNoise.

  Reference: paper figure 5; paper's code counts dead and inactive entries in.
  """
  variance = square - np.square(mean)
  # Beyond what rounding leaves of two equal numbers.
  alive = variance > 1e-12 * square
  if not alive.any():
    return SignalToNoise(0.0, float(mean.size > 0))
  ratios = np.abs(mean[alive]) / np.sqrt(variance[alive])
  return SignalToNoise(float(ratios.mean()), float(1 - alive.mean()))
