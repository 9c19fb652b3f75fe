"""Figures of the final returns of one agent, one function each.

A function takes an AgentStudy and returns a Figure, or None without data.
"""

import math

import numpy as np
from matplotlib import ticker

from tf_sparse_rl import methods as methods_lib
from tf_sparse_rl.report import drawing

_BASELINES = {
  'dense': 'over dense of full size',
  'small_dense': 'over dense of the same size',
}
# Offset between methods, in the logarithm of the parameters.
_DODGE = 0.035
_ALL = 'All environments'


def iqm(study):
  """IQM of normalised scores: a panel per sparsity, a row per method."""
  sparse = [
    a for a in study.aggregates if a.cell.is_plain and a.cell.method != 'dense'
  ]
  if not sparse:
    return None
  names = sorted({a.cell.method for a in sparse}, key=methods_lib.order)
  dense = study.aggregate('dense')

  def panel(axis, sparsity):
    for a in sparse:
      if a.cell.sparsity in (0, sparsity):
        look, y = drawing.style(a.cell.method), names.index(a.cell.method)
        estimate = a.estimates['iqm']
        if not math.isnan(estimate.low):
          axis.hlines(
            y,
            estimate.low,
            estimate.high,
            color=look['color'],
            linewidth=6,
            alpha=0.45,
          )
        axis.plot(estimate.value, y, 'o', color=look['color'])
    if dense is not None:
      _dense_band(axis, dense.estimates['iqm'])
    axis.set_yticks(
      range(len(names)), [methods_lib.get(n).label for n in names]
    )
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis='y', visible=False)
    axis.set_title(f'sparsity {sparsity:g}' if sparsity else '')

  found = sorted({a.cell.sparsity for a in sparse if a.cell.sparsity})
  height = 0.35 + 0.11 * len(names)
  return drawing.wrapped(
    found or [0.0],
    panel,
    'IQM of normalised scores',
    '',
    height=height,
    sharex=True,
  )


def _dense_band(axis, estimate):
  """Draws value and interval of dense networks in the background."""
  look = {**drawing.style('dense'), 'marker': '', 'linewidth': 1.0}
  axis.axvline(estimate.value, zorder=1, **look)
  if not math.isnan(estimate.low):
    bounds = (estimate.low, estimate.high)
    axis.axvspan(
      *bounds, color=look['color'], alpha=0.09, linewidth=0, zorder=0
    )


def return_against_parameters(study):
  """Final return over active parameters: a row per distribution.

  With several environments, the IQM over all of them comes first.
  """
  found = {r.cell.distribution for r in study.results if not r.cell.variant}
  rows = [d for d in ('erk', 'uniform', 'er') if d in found]
  points = _points(study)
  names = sorted({name for name, *_ in points} - {_ALL})
  if not names or not rows:
    return None
  every_name = [_ALL, *names] if len(names) > 1 else names
  if not any(name == _ALL for name, *_ in points):
    every_name = names

  def panel(axis, distribution, name):
    lines = {}
    for of, cell, parameters, estimate in points:
      if of == name and cell.distribution in ('', distribution):
        lines.setdefault(cell.method, []).append((parameters, estimate))
    for i, method in enumerate(sorted(lines, key=methods_lib.order)):
      line = sorted(lines[method])
      if method == 'dense':
        drawing.dense_line(axis, line[0][1])
      logs = [math.log(parameters) for parameters, _ in line]
      xs = np.exp(drawing.dodged(logs, i, len(lines), _DODGE))
      drawing.with_whiskers(axis, xs, [e for _, e in line], method)
    _log_ticks(axis)
    if len(every_name) > len(names) and name in (_ALL, names[0]):
      axis.set_ylabel('IQM' if name == _ALL else 'final return')
    axis.set_title(name if len(rows) == 1 else f'{name}, {distribution}')

  return drawing.grid(
    rows, every_name, panel, 'active parameters', 'final return'
  )


def _points(study):
  """Lists (environment or _ALL, Cell, parameters, Estimate)."""
  known = [
    r
    for r in study.results
    if r.final_return is not None
    and r.costs['parameters'] is not None
    and not r.cell.variant
  ]
  points = [
    (r.env_name, r.cell, r.costs['parameters'], r.final_return) for r in known
  ]
  for a in study.aggregates:
    sizes = [
      r.costs['parameters']
      for r in known
      if r.cell == a.cell and r.env_name in study.scored_env_names
    ]
    if sizes:
      mean = sum(sizes) / len(sizes)
      points.append((_ALL, a.cell, mean, a.estimates['iqm']))
  return points


def _log_ticks(axis):
  axis.set_xscale('log')
  low, high = axis.get_xlim()
  subs = (1,) if high > 150 * low else (1, 2, 5)
  axis.xaxis.set_major_locator(ticker.LogLocator(subs=subs, numticks=12))
  axis.xaxis.set_minor_locator(ticker.NullLocator())
  drawing.thousands(axis)


def improvement(study):
  """Probability of improvement over dense networks, with intervals."""
  found = [x for x in study.improvements if x.cell.is_plain]
  baselines = list(dict.fromkeys(x.baseline.method for x in found))
  if not baselines:
    return None
  lines = {
    m: [x for x in found if x.baseline.method == m][::-1] for m in baselines
  }
  most = max(map(len, lines.values()))
  figure, [axes] = drawing.panels(
    1, len(baselines), width=1.3, height=max(1, most / 11), sharex=True
  )
  for axis, (baseline, chosen) in zip(axes, lines.items()):
    for y, x in enumerate(chosen):
      look = drawing.style(x.cell.method)
      axis.plot(x.estimate.value, y, look['marker'], color=look['color'])
      axis.hlines(y, x.estimate.low, x.estimate.high, color=look['color'])
    axis.set_yticks(range(len(chosen)), [x.cell.label for x in chosen])
    axis.axvline(0.5, color=drawing.theme.AXIS, linewidth=1)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.6, len(chosen) - 0.4)
    axis.set_title(_BASELINES[baseline])
    axis.set_xlabel('probability of improvement')
  return figure
