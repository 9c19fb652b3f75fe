"""Signal-to-noise ratio of gradients, from per-sample gradients."""

from typing import NamedTuple

import numpy as np


class SignalToNoise(NamedTuple):
  """Signal-to-noise ratio of some entries of kernels."""

  ratio: float  # mean of |mean| / std without dead entries; 0 if all are dead
  dead: float  # fraction of dead entries; 0 if there are no entries


class Moments(NamedTuple):
  """Moments of per-sample gradients, float64 of the shape of the kernel."""

  mean: np.ndarray
  square: np.ndarray  # mean of the squares


def moments(inputs, deltas):
  """Computes moments of the per-sample gradients of a Dense kernel.

  The gradient of sample b is the outer product of `inputs[b]` and `deltas[b]`,
  so the moments are matrix products and no per-sample gradient is stored.

  Args:
    inputs: of the layer, `[batch, inputs]`.
    deltas: gradients of the losses with respect to the pre-activations,
      `[batch, units]`.

  Returns:
    Moments, `[inputs, units]`.
  """
  inputs, deltas = np.float64(inputs), np.float64(deltas)
  return Moments(
    inputs.T @ deltas / len(inputs),
    np.square(inputs).T @ np.square(deltas) / len(inputs),
  )


def moments_of(gradients):
  """Computes moments `[...]` of per-sample gradients `[batch, ...]`."""
  gradients = np.float64(gradients)
  return Moments(gradients.mean(axis=0), np.square(gradients).mean(axis=0))


def signal_to_noise(mean, square):
  """Computes the gradient signal-to-noise ratio `|mean| / std`, averaged.

  An entry is dead if all samples have the same gradient, as for a unit that is
  never active: it has no noise and no ratio. The paper's code counts its ratio
  as 0, which makes the average `ratio * (1 - dead)`.

  Args:
    mean: mean gradient over samples, of any shape.
    square: mean squared gradient, of the same shape.

  Returns:
    SignalToNoise.

  Reference: paper figure 5, whose code includes dead and inactive entries.
  """
  variance = square - np.square(mean)
  # More than rounding errors.
  alive = variance > 1e-12 * square
  if not alive.any():
    return SignalToNoise(0.0, float(mean.size > 0))
  ratios = np.abs(mean[alive]) / np.sqrt(variance[alive])
  return SignalToNoise(float(ratios.mean()), float(1 - alive.mean()))
