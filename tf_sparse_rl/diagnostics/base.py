"""`Diagnosis`: what looks into an agent; `View`: what it looks at."""

import functools

import numpy as np

from tf_sparse_rl.diagnostics import trace


class View:
  """One network and a batch that went forward and backward through it."""

  def __init__(self, name, network, traced, values):
    """Takes a `trace.Trace` of NumPy arrays, and the values of the batch."""
    self.name = name
    self.layers = trace.kernel_layers(network)
    self.trace = traced
    self.values = values  # `[batch]`; None for an actor.

  @functools.cached_property
  def moments(self):
    """`signal.Moments` of the samples' gradients, one for each of `layers`."""
    return [layer.moments() for layer in self.trace.layers]

  @functools.cached_property
  def masks(self):
    """Masks of `layers`, arrays of bool; of a dense one, all True."""
    return [trace.mask(layer) for layer in self.layers]


class Diagnosis:
  """Base class; by itself, one that looks at each network alone.

  Attributes:
    needs_views: whether `diagnose` looks at views.
    saved: `{name: tf.Module}`, or dicts of them, that checkpoints hold.
  """

  needs_views = True
  saved = {}

  def __init__(self, agent):
    """Prepares; `agent` is a `base.Agent` of `agents`."""
    del agent

  def diagnose(self, views):
    """Diagnoses all networks, one View each: `{TensorBoard tag: float}`."""
    found = {}
    for view in views:
      found.update(self.of_network(view))
    return found

  def of_network(self, view):
    """Diagnoses one network: `{TensorBoard tag: float}`."""
    raise NotImplementedError


def euclidean_norm(arrays):
  """Square root of the sum of all squares, a float."""
  return float(np.sqrt(sum(np.square(array).sum() for array in arrays)))
