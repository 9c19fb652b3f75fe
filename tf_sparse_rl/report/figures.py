"""The figures of one agent's results, each one function.

A function takes an AgentStudy and returns a Figure, or None where the runs
have nothing for it.
"""

import math

import numpy as np
from matplotlib import ticker

from tf_sparse_rl.report import (
  aggregates,
  drawing,
  scores,
)
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
  """Final return over active parameters, a panel an environment."""
  names = [n for n in study.env_names if _lines(study, n)]
  rows = [d for d in ('erk', 'uniform', 'er') if _has(study, distribution=d)]
  if not names or not rows:
    return None
  figure, axes = drawing.panels(len(rows), len(names))
  for row, distribution in zip(axes, rows):
    for axis, name in zip(row, names):
      _parameters_panel(axis, study, name, distribution)
      title = name if len(rows) == 1 else f'{name}, {distribution}'
      axis.set_title(title)
    row[0].set_ylabel('final return')
  for axis in axes[-1]:
    axis.set_xlabel('active parameters')
  drawing.legend(figure)
  return figure


def _parameters_panel(axis, study, env_name, distribution):
  for method, results in _lines(study, env_name).items():
    chosen = [r for r in results if r.cell.distribution in ('', distribution)]
    chosen.sort(key=lambda r: r.costs['parameters'])
    if not chosen:
      continue
    estimates = [r.final_return for r in chosen]
    if method == 'dense':
      drawing.across(axis, estimates[0])
    xs = [r.costs['parameters'] for r in chosen]
    drawing.with_interval(axis, xs, estimates, method)
  drawing.parameters_axis(axis)


def _lines(study, env_name):
  """{method: results with parameters} of cells that nothing sets apart."""
  lines = {}
  for r in study.results:
    known = r.final_return is not None and r.costs['parameters'] is not None
    if r.env_name == env_name and not r.cell.variant and known:
      lines.setdefault(r.cell.method, []).append(r)
  return lines


def _has(study, **wanted):
  return any(
    all(getattr(r.cell, k) == v for k, v in wanted.items())
    for r in study.results
  )


def iqm_bars(study):
  """IQM of normalised scores: a group a sparsity, a bar a method."""
  plain = [a for a in study.aggregates if not a.cell.variant]
  plain = [a for a in plain if a.cell.distribution in ('', 'erk')]
  groups = sorted({a.cell.sparsity for a in plain if a.cell.method != 'dense'})
  if not groups:
    return None
  figure, axes = drawing.panels(1, 1, width=1.3)
  [[axis]] = axes
  methods = list(dict.fromkeys(a.cell.method for a in plain))
  methods = [m for m in methods if m != 'dense']
  width = min(0.25, 0.8 / len(methods))
  for i, method in enumerate(methods):
    for a in plain:
      if a.cell.method == method:
        x = groups.index(a.cell.sparsity) + (i - (len(methods) - 1) / 2) * width
        _bar(axis, x, a.estimates['iqm'], 0.9 * width, method)
  dense = study.aggregate('dense')
  if dense is not None:
    drawing.across(axis, dense.estimates['iqm'])
  axis.set_xticks(range(len(groups)), [f'{s:g}' for s in groups])
  axis.grid(axis='x', visible=False)
  axis.set_xlabel('sparsity')
  axis.set_ylabel('IQM of normalised scores')
  axis.axhline(0, color='#888888', linewidth=0.8)
  drawing.legend(figure)
  return figure


def _bar(axis, x, estimate, width, method):
  look = drawing.style(method)
  axis.bar(x, estimate.value, width, color=look['color'], label=look['label'])
  if not math.isnan(estimate.low):
    axis.vlines(x, estimate.low, estimate.high, color='#222222', linewidth=1.2)


def learning_curves(study):
  """Return over env steps: a column an environment, a row a sparsity."""
  sparse = [r for r in study.results if _is_plain(r.cell) and r.cell.sparsity]
  rows = sorted({r.cell.sparsity for r in sparse}) or [0.0]
  if not any(len(study_lib.curves(r.condition)[0]) for r in study.results):
    return None
  names = study.env_names
  figure, axes = drawing.panels(len(rows), len(names), sharex='col')
  for row, sparsity in zip(axes, rows):
    for axis, name in zip(row, names):
      for r in study.results:
        if r.env_name == name and _is_plain(r.cell):
          if r.cell.sparsity in (0, sparsity):
            _curve(axis, r, study.num_resamples)
      axis.set_title(f'{name}, sparsity {sparsity:g}' if sparsity else name)
      drawing.thousands(axis)
    row[0].set_ylabel('return')
  for axis in axes[-1]:
    axis.set_xlabel('env steps')
  drawing.legend(figure)
  return figure


def _is_plain(cell):
  return not cell.variant and cell.distribution in ('', 'erk')


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
  cells = [a.cell for a in study.aggregates if _is_plain(a.cell)]
  sparsities = sorted({c.sparsity for c in cells if c.sparsity})
  if not sparsities or len(study.scored_env_names) < 2:
    return None
  curves = {c: _iqm_curve(study, c) for c in cells}
  figure, axes = drawing.wrapped(len(sparsities), sharey=True)
  for axis, sparsity in zip(axes, sparsities):
    for cell, curve in curves.items():
      if cell.sparsity in (0, sparsity) and curve is not None:
        drawing.with_interval(axis, *curve, cell.method, marker='')
    axis.set_title(f'sparsity {sparsity:g}')
    axis.set_xlabel('share of training')
    axis.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
  axes[0].set_ylabel('IQM of normalised returns')
  drawing.legend(figure)
  return figure


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
  plain = [a for a in study.aggregates if _is_plain(a.cell)]
  sparsities = sorted({a.cell.sparsity for a in plain if a.cell.sparsity})
  if not sparsities:
    return None
  figure, axes = drawing.wrapped(len(sparsities), sharey=True)
  for axis, sparsity in zip(axes, sparsities):
    for a in plain:
      if a.cell.sparsity in (0, sparsity):
        profile = aggregates.performance_profile(
          a.matrix, _THRESHOLDS, study.num_resamples
        )
        drawing.with_interval(
          axis, _THRESHOLDS, profile, a.cell.method, marker=''
        )
    axis.set_title(f'sparsity {sparsity:g}')
    axis.set_xlabel('normalised score s')
    axis.set_ylim(-0.02, 1.02)
  axes[0].set_ylabel('share of runs above s')
  drawing.legend(figure)
  return figure


def improvement(study):
  """Probability of improvement over dense networks, with intervals."""
  found = [x for x in study.improvements if _is_plain(x[0])]
  baselines = list(dict.fromkeys(cell.method for _, cell, _ in found))
  if not baselines:
    return None
  lines = {m: [x for x in found if x[1].method == m][::-1] for m in baselines}
  most = max(map(len, lines.values()))
  figure, [axes] = drawing.panels(
    1, len(baselines), width=1.3, height=max(1, most / 11), sharex=True
  )
  for axis, (baseline, chosen) in zip(axes, lines.items()):
    for y, (cell, _, estimate) in enumerate(chosen):
      look = drawing.style(cell.method)
      axis.plot(estimate.value, y, look['marker'], color=look['color'])
      axis.hlines(y, estimate.low, estimate.high, color=look['color'])
    axis.set_yticks(range(len(chosen)), [cell.label for cell, _, _ in chosen])
    axis.axvline(0.5, color='#888888', linewidth=1)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.6, len(chosen) - 0.4)
    axis.set_title(_BASELINES[baseline])
    axis.set_xlabel('probability of improvement')
  return figure
