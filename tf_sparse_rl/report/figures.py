"""The figures of one agent's results, each one function.

A function takes an AgentStudy and returns a Figure, or None where the runs
have nothing for it.
"""

import math

import numpy as np
from matplotlib import ticker

from tf_sparse_rl import methods as methods_lib
from tf_sparse_rl.report import aggregates, drawing, scores
from tf_sparse_rl.report import study as study_lib

_THRESHOLDS = np.linspace(0, 1.5, 61)
# Curves are drawn at so many points of time at most.
_MAX_POINTS = 60
# So few runs are drawn one by one.
_FEW_RUNS = 3
_BASELINES = {
  'dense': 'over dense of full size',
  'small_dense': 'over dense of equal size',
}


def return_against_parameters(study):
  """Final return over active parameters: a row an allocation."""
  known = [
    r
    for r in study.results
    if r.final_return is not None
    and r.costs['parameters'] is not None
    and not r.cell.variant
  ]
  known.sort(key=lambda r: r.costs['parameters'])
  names = sorted({r.env_name for r in known})
  found = {r.cell.distribution for r in study.results}
  rows = [d for d in ('erk', 'uniform', 'er') if d in found]
  if not names or not rows:
    return None

  def panel(axis, distribution, name):
    lines = {}
    for r in known:
      if r.env_name == name and r.cell.distribution in ('', distribution):
        lines.setdefault(r.cell.method, []).append(r)
    for method in sorted(lines, key=methods_lib.order):
      xs = [r.costs['parameters'] for r in lines[method]]
      estimates = [r.final_return for r in lines[method]]
      if method == 'dense':
        drawing.dense_line(axis, estimates[0])
      drawing.with_interval(axis, xs, estimates, method)
    axis.set_xscale('log')
    low, high = axis.get_xlim()
    subs = (1,) if high > 150 * low else (1, 2, 5)
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=subs, numticks=12))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    drawing.thousands(axis)
    axis.set_title(name if len(rows) == 1 else f'{name}, {distribution}')

  return drawing.grid(rows, names, panel, 'active parameters', 'final return')


def iqm_bars(study):
  """IQM of normalised scores: a group a sparsity, a bar a method."""
  sparse = [
    a for a in study.aggregates if a.cell.is_plain and a.cell.method != 'dense'
  ]
  if not sparse:
    return None
  groups = sorted({a.cell.sparsity for a in sparse})
  figure, [[axis]] = drawing.panels(1, 1, width=1.3)
  methods = list(dict.fromkeys(a.cell.method for a in sparse))
  width = min(0.25, 0.8 / len(methods))
  for a in sparse:
    offset = methods.index(a.cell.method) - (len(methods) - 1) / 2
    x = groups.index(a.cell.sparsity) + offset * width
    iqm, look = a.estimates['iqm'], drawing.style(a.cell.method)
    axis.bar(
      x, iqm.value, 0.9 * width, color=look['color'], label=look['label']
    )
    if not math.isnan(iqm.low):
      axis.vlines(x, iqm.low, iqm.high, color='#222222', linewidth=1.2)
  dense = study.aggregate('dense')
  if dense is not None:
    drawing.dense_line(axis, dense.estimates['iqm'])
  axis.set_xticks(range(len(groups)), [f'{s:g}' for s in groups])
  axis.grid(axis='x', visible=False)
  axis.set_xlabel('sparsity')
  axis.set_ylabel('IQM of normalised scores')
  axis.axhline(0, color='#888888', linewidth=0.8)
  drawing.legend(figure)
  return figure


def learning_curves(study):
  """Return over env steps: a column an environment, a row a sparsity."""
  plain = [r for r in study.results if r.cell.is_plain]
  rows = sorted({r.cell.sparsity for r in plain if r.cell.sparsity}) or [0.0]
  if not any(len(study_lib.curves(r.condition)[0]) for r in study.results):
    return None

  def panel(axis, sparsity, name):
    for r in plain:
      if r.env_name == name and r.cell.sparsity in (0, sparsity):
        _curve(axis, r, study.num_resamples)
    axis.set_title(f'{name}, sparsity {sparsity:g}' if sparsity else name)
    drawing.thousands(axis)

  return drawing.grid(
    rows, study.env_names, panel, 'env steps', 'return', sharex='col'
  )


def _curve(axis, result, num_resamples):
  env_steps, returns = study_lib.curves(result.condition)
  if not len(env_steps):
    return
  method = result.cell.method
  label = drawing.style(method)['label']
  if not result.condition.finished:
    label += ' (unfinished)'
  chosen = _some(len(env_steps))
  estimates = aggregates.mean_curve(returns[:, chosen], num_resamples)
  drawing.with_interval(
    axis, env_steps[chosen], estimates, method, marker='', label=label
  )
  if 1 < len(returns) <= _FEW_RUNS:
    color = drawing.style(method)['color']
    axis.plot(env_steps, returns.T, color=color, linewidth=0.6, alpha=0.5)


def _some(count):
  """Indices of at most _MAX_POINTS, the last one among them."""
  return np.unique(
    np.linspace(0, count - 1, min(count, _MAX_POINTS)).round().astype(int)
  )


def sample_efficiency(study):
  """IQM of normalised returns over training, a panel a sparsity."""
  cells = [a.cell for a in study.aggregates if a.cell.is_plain]
  sparsities = sorted({c.sparsity for c in cells if c.sparsity})
  if not sparsities or len(study.scored_env_names) < 2:
    return None
  curves = {c: _iqm_curve(study, c) for c in cells}

  def panel(axis, sparsity):
    for cell, curve in curves.items():
      if cell.sparsity in (0, sparsity) and curve is not None:
        drawing.with_interval(axis, *curve, cell.method, marker='')
    axis.set_title(f'sparsity {sparsity:g}')
    axis.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))

  return drawing.wrapped(
    sparsities,
    panel,
    'share of training',
    'IQM of normalised returns',
    sharey=True,
  )


def _iqm_curve(study, cell):
  """(shares of training, Estimates), or None if evaluations do not match."""
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
  """Share of runs above a score, a panel a sparsity."""
  plain = [a for a in study.aggregates if a.cell.is_plain]
  sparsities = sorted({a.cell.sparsity for a in plain if a.cell.sparsity})
  if not sparsities:
    return None

  def panel(axis, sparsity):
    for a in plain:
      if a.cell.sparsity in (0, sparsity):
        profile = aggregates.performance_profile(
          a.matrix, _THRESHOLDS, study.num_resamples
        )
        drawing.with_interval(
          axis, _THRESHOLDS, profile, a.cell.method, marker=''
        )
    axis.set_title(f'sparsity {sparsity:g}')
    axis.set_ylim(-0.02, 1.02)

  return drawing.wrapped(
    sparsities,
    panel,
    'normalised score s',
    'share of runs above s',
    sharey=True,
  )


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
    axis.axvline(0.5, color='#888888', linewidth=1)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.6, len(chosen) - 0.4)
    axis.set_title(_BASELINES[baseline])
    axis.set_xlabel('probability of improvement')
  return figure
