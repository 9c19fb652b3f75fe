"""Figures of single fields: distribution, weight decay, init, actor, noise.

As in `figures`, each function takes an AgentStudy and returns a Figure, or None
without data.
"""

import dataclasses

import numpy as np

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.report import aggregates, conditions, drawing
from tf_sparse_rl.report import study as study_lib

_NUM_RESAMPLES = 2000  # Of the figure of one policy.
_OWN_FIGURE = {
  *('weight_decay', 'sparsity_aware_init'),
  *('actor_parameter_share', 'parameter_budget'),
}


def distributions(study):
  """Final return over sparsity, ERK and uniform, a panel per environment."""
  lines = {}
  for r in _known(study):
    if r.cell.distribution and r.cell.sparsity and not r.cell.variant:
      lines.setdefault((r.cell.method, r.cell.distribution), []).append(r)
  methods = [method for method, _ in lines]
  lines = {k: v for k, v in lines.items() if methods.count(k[0]) > 1}
  if not lines:
    return None
  dashes = {'erk': 'solid', 'uniform': (0, (2, 1.5)), 'er': (0, (5, 1, 1, 1))}

  step = 0.006

  def panel(axis, name):
    for i, ((method, distribution), results) in enumerate(lines.items()):
      chosen = [r for r in results if r.env_name == name]
      if chosen:
        sparsities = [r.cell.sparsity for r in chosen]
        drawing.with_whiskers(
          axis,
          drawing.dodged(sparsities, i, len(lines), step),
          [r.final_return for r in chosen],
          method,
          label=f'{drawing.style(method)["label"]}, {distribution}',
          linestyle=dashes[distribution],
        )
    axis.set_title(name)

  return drawing.wrapped(study.env_names, panel, 'sparsity', 'final return')


def weight_decay(study):
  """Final return over weight decay, a panel per environment."""
  return _over_field(_known(study), 'weight_decay', 'weight decay')


def initialization(study):
  """Final return with and without sparsity-aware initialisation."""
  return _over_field(
    _known(study), 'sparsity_aware_init', 'sparsity-aware initialisation'
  )


def actor_share(study):
  """Final return over the actor's fraction of the parameters."""
  return _over_field(
    [r for r in _known(study) if r.config.actor_parameter_share],
    'actor_parameter_share',
    'share of the parameters in the actor',
  )


def varied_fields(study):
  """Lists the fields that differ between runs and have no own figure."""
  known = {field.name for field in config_lib.fields()} - _OWN_FIGURE
  words = (w for r in _known(study) for w in r.cell.variant.split())
  return sorted({word.partition('=')[0] for word in words} & known)


def of_field(study, field):
  """Final return over the values of a field."""
  return _over_field(_known(study), field, field)


def noise_robustness(study):
  """Return over observation noise, by environment and sparsity.

  Noise is evaluated after training and recorded in noise.jsonl of a run.
  """
  noisy = [
    r
    for r in _known(study)
    if r.cell.is_plain and all(run.noise for run in r.condition.finished)
  ]
  if not noisy:
    return None
  names = sorted({r.env_name for r in noisy})
  rows = sorted({r.cell.sparsity for r in noisy if r.cell.sparsity}) or [0.0]

  def panel(axis, sparsity, name):
    shown = [
      r
      for r in noisy
      if r.env_name == name and r.cell.sparsity in (0, sparsity)
    ]
    for i, r in enumerate(shown):
      stds, returns = study_lib.at_common_points(
        {n.noise_std: n.return_mean for n in run.noise}
        for run in r.condition.finished
      )
      estimates = aggregates.mean_curve(returns, study.num_resamples)
      xs = drawing.dodged(stds, i, len(shown), 0.01 * (stds[-1] - stds[0]))
      drawing.with_whiskers(axis, xs, estimates, r.cell.method)
    axis.set_title(f'{name}, sparsity {sparsity:g}' if sparsity else name)

  return drawing.grid(
    rows,
    names,
    panel,
    'standard deviation of the noise',
    'return',
    sharex=True,
  )


def noise_of_one_policy(title, method, stds, returns, unit):
  """Draws the mean return over the level of noise, with 95 % intervals.

  Args:
    title: of the figure.
    method: one of conditions.METHODS.
    stds: standard deviations of the noise, ascending.
    returns: for each level a list with one return per episode, of equal
      lengths.
    unit: of the standard deviations.

  Returns:
    bytes of a PNG.
  """
  by_episode = np.array(returns, float).T
  with drawing.settings():
    figure, [[axis]] = drawing.panels(1, 1, width=1.5, height=1.3)
    estimates = aggregates.mean_curve(by_episode, _NUM_RESAMPLES)
    drawing.with_interval(axis, stds, estimates, method)
    axis.set_title(title)
    axis.set_xlabel(f'standard deviation of the noise, {unit}')
    axis.set_ylabel('return')
    return drawing.to_bytes(figure, 'png')


def _over_field(results, field, xlabel):
  """Final return over a field of the config, all others equal."""
  lines = {}
  for r in results:
    key = (r.env_name, _rest(r.config, field))
    lines.setdefault(key, []).append((getattr(r.config, field), r))
  lines = {k: v for k, v in lines.items() if len(v) > 1}
  if not lines:
    return None
  values = sorted({value for line in lines.values() for value, _ in line})

  def panel(axis, name):
    shown = [line for (env_name, _), line in lines.items() if env_name == name]
    for i, line in enumerate(shown):
      line.sort(key=lambda pair: pair[0])
      places = [values.index(value) for value, _ in line]
      drawing.with_whiskers(
        axis,
        drawing.dodged(places, i, len(shown), 0.06),
        [r.final_return for _, r in line],
        line[0][1].cell.method,
        label=_label(line[0][1], field),
      )
    axis.set_xticks(range(len(values)), [_short(v) for v in values])
    axis.set_title(name)

  names = sorted({env_name for env_name, _ in lines})
  return drawing.wrapped(names, panel, xlabel, 'final return')


def _label(result, field):
  """Label of a line in a figure over a field."""
  cell = result.cell
  words = [drawing.style(cell.method)['label']]
  if field == 'actor_parameter_share':
    words.append(f'budget {result.config.parameter_budget:g}')
  elif cell.sparsity:
    words.append(f'{cell.sparsity:g}')
  if cell.distribution not in ('', 'erk'):
    words.append(cell.distribution)
  if field not in _OWN_FIGURE:
    apart = cell.variant.split()
    words += [w for w in apart if w.partition('=')[0] != field]
  return ' '.join(words)


def _rest(config, field):
  """The fields of a config that matter, except one field and the seed."""
  left_out = {field, 'seed', *conditions.unused_fields(config)}
  values = dataclasses.asdict(config).items()
  return tuple((name, v) for name, v in values if name not in left_out)


def _known(study):
  return [r for r in study.results if r.final_return is not None]


def _short(value):
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  return f'{value:g}' if isinstance(value, int | float) else str(value)
