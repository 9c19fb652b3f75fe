"""Figures of curves: one method in colour against the others in grey.

One row per method, one column per sparsity; dense networks are in every panel.
As in `figures`, each function takes an AgentStudy and returns a Figure, or None
without data.
"""

from typing import NamedTuple

import numpy as np
from matplotlib import ticker

from tf_sparse_rl import methods as methods_lib
from tf_sparse_rl.report import aggregates, drawing, scores, theme
from tf_sparse_rl.report import study as study_lib

_THRESHOLDS = np.linspace(0, 1.5, 61)
# Maximum number of points of a curve.
_MAX_POINTS = 60
# Up to this number, runs are drawn individually.
_FEW_RUNS = 3


class _Curve(NamedTuple):
  """Estimates of one cell along an axis."""

  cell: object  # a Cell
  xs: np.ndarray
  estimates: list
  runs: np.ndarray | None = None  # `[runs, points]` if runs are drawn
  note: str = ''  # for the title of its panel


def learning_curves(study, env_name):
  """Return over env steps in an environment."""
  curves = []
  for r in study.results:
    if r.cell.is_plain and r.env_name == env_name:
      env_steps, returns = study_lib.curves(r.condition)
      if len(env_steps):
        curves.append(_curve(study, r, env_steps, returns))

  def finish(axis):
    drawing.thousands(axis)

  return _against_others(curves, 'env steps', 'return', finish)


def _curve(study, result, env_steps, returns):
  chosen = _some(len(env_steps))
  estimates = aggregates.mean_curve(returns[:, chosen], study.num_resamples)
  runs = returns[:, chosen] if 1 < len(returns) <= _FEW_RUNS else None
  note = '' if result.condition.finished else 'unfinished'
  return _Curve(result.cell, env_steps[chosen], estimates, runs, note)


def _some(count):
  """At most _MAX_POINTS indices, including the last one."""
  return np.unique(
    np.linspace(0, count - 1, min(count, _MAX_POINTS)).round().astype(int)
  )


def sample_efficiency(study):
  """IQM of normalised returns over training."""
  if len(study.scored_env_names) < 2:
    return None
  cells = [a.cell for a in study.aggregates if a.cell.is_plain]
  found = {cell: _iqm_curve(study, cell) for cell in cells}
  curves = [_Curve(cell, *curve) for cell, curve in found.items() if curve]

  def finish(axis):
    axis.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))

  return _against_others(curves, 'fraction of training', 'IQM', finish)


def _iqm_curve(study, cell):
  """(fractions of training, Estimates); None if evaluations do not match."""
  members = [study.result(cell, n).condition for n in study.scored_env_names]
  seeds = set.intersection(*(set(c.seeds) for c in members))
  tasks, shares = [], []
  for condition in members:
    env_steps, returns = study_lib.curves(condition, seeds)
    reference = scores.reference(condition.env_name)
    shares.append(env_steps / condition.runs[0].config.num_env_steps)
    tasks.append(reference.normalize(returns))
  if not all(np.array_equal(x, shares[0]) for x in shares):
    return None
  chosen = _some(len(shares[0]))
  array = np.stack(tasks, axis=1)[:, :, chosen]
  return shares[0][chosen], aggregates.iqm_curve(array, study.num_resamples)


def performance_profiles(study):
  """Fraction of runs above a score."""
  curves = [
    _Curve(
      a.cell,
      _THRESHOLDS,
      aggregates.performance_profile(
        a.matrix, _THRESHOLDS, study.num_resamples
      ),
    )
    for a in study.aggregates
    if a.cell.is_plain
  ]

  def finish(axis):
    axis.set_ylim(-0.02, 1.02)

  return _against_others(
    curves, 'normalised score s', 'fraction of runs above s', finish
  )


def _against_others(curves, xlabel, ylabel, finish):
  """Draws _Curves; `finish` is called with each Axes."""
  sparsities = sorted({c.cell.sparsity for c in curves if c.cell.sparsity})
  names = {c.cell.method for c in curves}
  rows = sorted(names - {'dense'}, key=methods_lib.order) or sorted(names)
  if not rows:
    return None

  def panel(axis, method, sparsity):
    shown = [c for c in curves if c.cell.sparsity in (0, sparsity)]
    for curve in shown:
      _draw(axis, curve, method)
    words = [methods_lib.get(method).label]
    words += [f'sparsity {sparsity:g}'] if sparsity else []
    notes = [c.note for c in shown if c.cell.method == method]
    words += notes if notes else ['no runs']
    axis.set_title(', '.join(filter(None, words)))
    finish(axis)

  return drawing.grid(
    rows,
    sparsities or [0.0],
    panel,
    xlabel,
    ylabel,
    height=0.8,
    sharex=True,
    sharey=True,
  )


def _draw(axis, curve, method):
  """Draws a curve in the panel of a method: its own, dense, or another."""
  values = [e.value for e in curve.estimates]
  look = drawing.style(curve.cell.method)
  if curve.cell.method == method:
    # The title names the method, the legend the others.
    drawing.with_interval(
      axis, curve.xs, curve.estimates, method, marker='', label='', zorder=3
    )
    if curve.runs is not None:
      axis.plot(
        curve.xs, curve.runs.T, color=look['color'], linewidth=0.6, alpha=0.5
      )
  elif curve.cell.method == 'dense':
    axis.plot(curve.xs, values, **{**look, 'marker': '', 'linewidth': 1.0})
  else:
    axis.plot(
      curve.xs,
      values,
      color=theme.GHOST,
      linewidth=1.0,
      label='Other methods',
      zorder=1.5,
    )
