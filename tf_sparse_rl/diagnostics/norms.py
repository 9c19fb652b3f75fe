"""Norms of weights and gradients, and statistics of outputs."""

import numpy as np

from tf_sparse_rl.diagnostics import base

_STATISTICS = {'mean': np.mean, 'std': np.std, 'min': np.min, 'max': np.max}


class Diagnosis(base.Diagnosis):
  """Euclidean norms over all kernels of a network, and output statistics.

  Gradients are those of the mean loss with respect to active weights.
  """

  def of_network(self, view):
    kernels = [layer.kernel.numpy() for layer in view.layers]
    gradients = [of.mean[m] for of, m in zip(view.moments, view.masks)]
    found = {
      f'Norms/{view.name}/weights': base.euclidean_norm(kernels),
      f'Norms/{view.name}/gradients': base.euclidean_norm(gradients),
    }
    if view.values is not None:
      for what, statistic in _STATISTICS.items():
        found[f'Values/{view.name}/{what}'] = float(statistic(view.values))
    return found
