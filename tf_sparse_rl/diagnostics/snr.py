"""Signal-to-noise ratio of gradients, by layer and by network."""

import numpy as np

from tf_sparse_rl.diagnostics import base, signal, trace


class Diagnosis(base.Diagnosis):
  """Signal-to-noise ratio over active and over all entries.

  It is computed for each layer and for all entries of the network.
  """

  def of_network(self, view):
    names = [f'{view.name}/{trace.plain(x).name}' for x in view.layers]
    found = {}
    for which, kept in (
      ('active', view.masks),
      ('all', [np.ones_like(mask) for mask in view.masks]),
    ):
      parts = [
        (of.mean[where], of.square[where])
        for of, where in zip(view.moments, kept)
      ]
      whole = [np.concatenate(arrays) for arrays in zip(*parts)]
      for owner, (mean, square) in zip([*names, view.name], [*parts, whole]):
        ratio = signal.signal_to_noise(mean, square)
        found[f'SNR/{owner}/{which}'] = ratio.ratio
        found[f'DeadGradients/{owner}/{which}'] = ratio.dead
    return found
