"""Figures of diagnostics over time.

As in `figures`, each function takes an AgentStudy and returns a Figure, or None
without data.
"""

from tf_sparse_rl.report import aggregates, drawing
from tf_sparse_rl.report import study as study_lib

_DASHES = ('-', '--', ':', '-.')


def over_time(study, figure_row):
  """Draws a tag over env steps: a row per network, a column per environment.

  Methods differ in colour, sparsities of a method in dashes.

  Args:
    study: an AgentStudy.
    figure_row: a `diagnoses.Figure`.

  Returns:
    A Figure; None if no run has the tag.
  """

  found = {}  # {network: [(Result, env steps, values)]}
  for network in _networks(study):
    tag = figure_row.tag.format(network=network)
    members = [(r, *_values(r.condition, tag)) for r in study.results]
    members = [member for member in members if len(member[1])]
    if members:
      found[network] = members
  if not found:
    return None
  names = sorted({r.env_name for r, _, _ in next(iter(found.values()))})
  figure, axes = drawing.panels(len(found), len(names), sharex='col')
  sparsities = sorted({r.cell.sparsity for r in study.results})
  for row, (network, members) in zip(axes, found.items()):
    step = 0.004 * max(env_steps[-1] for _, env_steps, _ in members)
    for i, (r, env_steps, values) in enumerate(members):
      drawing.with_whiskers(
        row[names.index(r.env_name)],
        drawing.dodged(env_steps, i, len(members), step),
        aggregates.mean_curve(values, study.num_resamples),
        r.cell.method,
        marker='',
        label=r.cell.label,
        linestyle=_DASHES[sparsities.index(r.cell.sparsity) % len(_DASHES)],
      )
    row[0].set_ylabel(figure_row.label.format(network=network))
  for axis, name in zip(axes[0], names):
    axis.set_title(name)
  for axis in axes[-1]:
    axis.set_xlabel('env steps')
    drawing.thousands(axis)
  drawing.legend(figure)
  return figure


def _networks(study):
  """Names of the networks in diagnostics."""
  return sorted(
    {
      tag.split('/')[1]
      for r in study.results
      for run in r.condition.finished
      for result in run.results
      for tag in result.diagnosis or {}
    }
  )


def _values(condition, tag):
  """(env steps at which all finished runs have the tag, `[runs, points]`).

  The env steps are those of evaluations, with the latest diagnostics.
  """
  return study_lib.at_common_points(
    {
      result.env_step: result.diagnosis[tag]
      for result in run.results
      if tag in (result.diagnosis or {})
    }
    for run in condition.finished
  )
