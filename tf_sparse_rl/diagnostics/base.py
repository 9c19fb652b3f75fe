"""Base class of diagnostics, and the `View` of a network that they get."""

import functools

import numpy as np

from tf_sparse_rl.diagnostics import trace


class View:
  """A network with the activations and gradients of a batch."""

  def __init__(self, name, network, traced, values):
    """Takes a `trace.Trace` of NumPy arrays and the outputs of the batch."""
    self.name = name
    self.layers = trace.kernel_layers(network)
    self.trace = traced
    self.values = values  # `[batch]`; None for an actor.

  @functools.cached_property
  def moments(self):
    """`signal.Moments` of per-sample gradients, one for each of `layers`."""
    return [layer.moments() for layer in self.trace.layers]

  @functools.cached_property
  def masks(self):
    """Masks of `layers`, bool arrays; all True for dense layers."""
    return [trace.mask(layer) for layer in self.layers]


class Diagnosis:
  """Base class of diagnostics, by default of each network by itself.

  Attributes:
    needs_views: whether `diagnose` uses views.
    saved: `{name: tf.Module}`, or dicts of them, to save in checkpoints.
  """

  needs_views = True
  saved = {}

  def __init__(self, agent):
    """Takes an `agents.base.Agent`."""
    del agent

  def diagnose(self, views):
    """Computes `{TensorBoard tag: float}` of all networks, one View each."""
    found = {}
    for view in views:
      found.update(self.of_network(view))
    return found

  def of_network(self, view):
    """Computes `{TensorBoard tag: float}` of one network."""
    raise NotImplementedError


def euclidean_norm(arrays):
  """Square root of the sum of all squares, a float."""
  return float(np.sqrt(sum(np.square(array).sum() for array in arrays)))
