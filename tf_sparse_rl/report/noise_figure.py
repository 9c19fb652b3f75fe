"""The figure of one policy under noise."""

import numpy as np

from tf_sparse_rl.report import aggregates, drawing

_NUM_RESAMPLES = 2000


def draw(title, method, stds, returns, unit):
  """Draws the mean return over the level of noise, with 95 % intervals.

  Args:
    title: of the figure.
    method: one of conditions.METHODS.
    stds: standard deviations of the noise.
    returns: of each level a list, one an episode; as many at all levels.
    unit: of the standard deviations, in words.

  Returns:
    bytes of a PNG.
  """
  order = np.argsort(stds)
  levels = np.array(stds)[order]
  by_episode = np.array(returns, float)[order].T
  with drawing.settings():
    figure, [[axis]] = drawing.panels(1, 1, width=1.5, height=1.3)
    estimates = aggregates.mean_curve(by_episode, _NUM_RESAMPLES)
    drawing.with_interval(axis, levels, estimates, method)
    axis.set_title(title)
    axis.set_xlabel(f'standard deviation of the noise, {unit}')
    axis.set_ylabel('return')
    content = drawing.to_bytes(figure, 'png')
    drawing.close(figure)
  return content
