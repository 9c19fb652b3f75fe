"""Figures of single choices: allocation, weight decay, init, actor, noise.

As in `figures`, a function takes an AgentStudy and returns a Figure, or None
where the runs have nothing for it.
"""

import dataclasses

import numpy as np

from tf_sparse_rl.report import aggregates, conditions, drawing


def distributions(study):
  """Final return over sparsity, ERK beside uniform, a panel an environment."""
  known = [r for r in _known(study) if not r.cell.variant]
  sparse = [r for r in known if r.cell.distribution]
  kinds = {}
  for r in sparse:
    kinds.setdefault(r.cell.method, set()).add(r.cell.distribution)
  sparse = [r for r in sparse if len(kinds[r.cell.method]) > 1]
  if not sparse:
    return None
  names = study.env_names
  figure, axes = drawing.wrapped(len(names))
  dashes = {'erk': 'solid', 'uniform': (0, (2, 1.5)), 'er': (0, (5, 1, 1, 1))}
  for axis, name in zip(axes, names):
    lines = {}
    for r in sparse:
      if r.env_name == name:
        lines.setdefault((r.cell.method, r.cell.distribution), []).append(r)
    for (method, kind), results in lines.items():
      label = f'{drawing.style(method)["label"]}, {kind}'
      xs = [r.cell.sparsity for r in results]
      drawing.with_interval(
        axis,
        xs,
        [r.final_return for r in results],
        method,
        label=label,
        linestyle=dashes[kind],
      )
    axis.set_title(name)
    axis.set_xlabel('sparsity')
  axes[0].set_ylabel('final return')
  drawing.legend(figure)
  return figure


def weight_decay(study):
  """Final return over weight decay, a panel an environment."""
  return _over_field(study, 'weight_decay', 'weight decay')


def initialization(study):
  """Final return with and without sparsity-aware initialisation."""
  return _over_field(
    study, 'sparsity_aware_init', 'sparsity-aware initialisation'
  )


def actor_share(study):
  """Final return over the actor's share of the parameters."""
  return _over_field(
    study,
    'actor_parameter_share',
    'share of the parameters for the actor',
    fixed=('parameter_budget',),
    needs_value=True,
  )


def noise_robustness(study):
  """Return over observation noise: a column an environment, a row a sparsity.

  Noise is evaluated after training and stands in a run's noise.jsonl.
  """
  noisy = [r for r in _known(study) if _has_noise(r.condition)]
  noisy = [r for r in noisy if not r.cell.variant]
  noisy = [r for r in noisy if r.cell.distribution in ('', 'erk')]
  if not noisy:
    return None
  names = sorted({r.env_name for r in noisy})
  rows = sorted({r.cell.sparsity for r in noisy if r.cell.sparsity}) or [0.0]
  figure, axes = drawing.panels(len(rows), len(names), sharex=True)
  for row, sparsity in zip(axes, rows):
    for axis, name in zip(row, names):
      for r in noisy:
        if r.env_name == name and r.cell.sparsity in (0, sparsity):
          stds, returns = _noise_returns(r.condition)
          estimates = aggregates.mean_curve(returns, study.num_resamples)
          drawing.with_interval(axis, stds, estimates, r.cell.method)
      axis.set_title(f'{name}, sparsity {sparsity:g}' if sparsity else name)
    row[0].set_ylabel('return')
  for axis in axes[-1]:
    axis.set_xlabel('standard deviation of the noise')
  drawing.legend(figure)
  return figure


def _has_noise(condition):
  return all(run.noise for run in condition.finished)


def _noise_returns(condition):
  """(noise levels that all runs have, returns `[runs, levels]`)."""
  by_run = [
    {n.noise_std: n.return_mean for n in run.noise}
    for run in condition.finished
  ]
  stds = sorted(set.intersection(*map(set, by_run)))
  return stds, np.array([[values[s] for s in stds] for values in by_run])


def _over_field(study, field, label, fixed=(), needs_value=False):
  """Final return over a field of the config, all others being equal.

  Args:
    study: an AgentStudy.
    field: name of a field of Config.
    label: of the horizontal axis.
    fixed: further fields that a line's label says.
    needs_value: whether a value of 0 means that the field is not used.

  Returns:
    A Figure, or None unless some line has two values.
  """
  lines = {}
  for r in _known(study):
    config = r.condition.runs[0].config
    value = getattr(config, field)
    if needs_value and not value:
      continue
    key = (r.env_name, _rest(config, field))
    lines.setdefault(key, []).append((value, r))
  lines = {k: v for k, v in lines.items() if len(v) > 1}
  if not lines:
    return None
  names = sorted({env_name for env_name, _ in lines})
  figure, axes = drawing.wrapped(len(names))
  values = sorted({value for line in lines.values() for value, _ in line})
  for axis, name in zip(axes, names):
    for (env_name, _), line in lines.items():
      if env_name == name:
        _line(axis, sorted(line, key=lambda pair: pair[0]), values, fixed)
    axis.set_xticks(range(len(values)), [_short(v) for v in values])
    axis.set_title(name)
    axis.set_xlabel(label)
  axes[0].set_ylabel('final return')
  drawing.legend(figure)
  return figure


def _line(axis, line, values, fixed):
  cell = line[0][1].cell
  config = line[0][1].condition.runs[0].config
  words = [drawing.style(cell.method)['label']]
  if fixed:
    words += [f'{name} {getattr(config, name):g}' for name in fixed]
  elif cell.sparsity:
    words.append(f'{cell.sparsity:g}')
  if cell.distribution not in ('', 'erk'):
    words.append(cell.distribution)
  drawing.with_interval(
    axis,
    [values.index(value) for value, _ in line],
    [r.final_return for _, r in line],
    cell.method,
    label=' '.join(words).replace('parameter_budget', 'budget'),
  )


def _rest(config, field):
  """All that matters of a config but one field and the seed."""
  left_out = {field, 'seed', *conditions.unused_fields(config)}
  values = dataclasses.asdict(config).items()
  return tuple((name, v) for name, v in values if name not in left_out)


def _known(study):
  return [r for r in study.results if r.final_return is not None]


def _short(value):
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  return f'{value:g}'
