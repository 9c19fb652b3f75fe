"""`Diagnosis`: what looks into an agent; `View`: what it looks at."""

import functools

import numpy as np

from tf_sparse_rl.diagnostics import trace


class View:
  """One network and a batch that went forward and backward through it."""

  def __init__(self, name, network, traced, values):
    """Takes what was traced.

    Args:
      name: of the network.
      network: see `trace.kernel_layers`.
      traced: a `trace.Trace` of NumPy arrays.
      values: of the batch, `[batch]`, or None for an actor.
    """
    self.name = name
    self.layers = trace.kernel_layers(network)
    self.trace = traced
    self.values = values

  @functools.cached_property
  def moments(self):
    """`signal.Moments` of the samples' gradients, of each of `layers`."""
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
    """What it finds: `{TensorBoard tag: float}`.

    Args:
      views: list of View, one a network.
    """
    found = {}
    for view in views:
      found.update(self.of_network(view))
    return found

  def of_network(self, view):
    """What it finds of one network; see `diagnose`."""
    raise NotImplementedError


def euclidean_norm(arrays):
  """Square root of the sum of all squares, a float."""
  return float(np.sqrt(sum(np.square(array).sum() for array in arrays)))
