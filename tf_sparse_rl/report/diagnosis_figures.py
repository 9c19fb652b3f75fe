"""Figures of what diagnoses found, over time.

As in `figures`, a function takes an AgentStudy and returns a Figure, or None
where the runs have nothing for it.
"""

import numpy as np

from tf_sparse_rl.report import aggregates, drawing

_DASHES = ('-', '--', ':', '-.')


def over_time(study, figure_row):
  """A tag over env steps: a row a network, a column an environment.

  Methods are told apart by colour, sparsities of a method by dashes.

  Args:
    study: an AgentStudy.
    figure_row: a `diagnoses.Figure`.

  Returns:
    A Figure, or None if no run has such a tag.
  """

  def tag_of(network):
    return figure_row.tag.format(network=network)

  networks = [n for n in _networks(study) if _having(study, tag_of(n))]
  if not networks:
    return None
  names = sorted({r.env_name for r in _having(study, tag_of(networks[0]))})
  figure, axes = drawing.panels(len(networks), len(names), sharex='col')
  sparsities = sorted({r.cell.sparsity for r in study.results})
  for row, network in zip(axes, networks):
    for r in _having(study, tag_of(network)):
      axis = row[names.index(r.env_name)]
      env_steps, values = _values(r.condition, tag_of(network))
      drawing.with_interval(
        axis,
        env_steps,
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
  """Names of networks that some diagnosis speaks of."""
  return sorted(
    {
      tag.split('/')[1]
      for r in study.results
      for run in r.condition.finished
      for result in run.results
      for tag in result.diagnosis or {}
    }
  )


def _having(study, tag):
  """The results whose runs have all found it at some time."""
  return [r for r in study.results if len(_values(r.condition, tag)[0])]


def _values(condition, tag):
  """(env steps at which all finished runs have the tag, `[runs, points]`).

  The env steps are those of the evaluations; a diagnosis is the last before.
  """
  by_run = [
    {
      result.env_step: result.diagnosis[tag]
      for result in run.results
      if tag in (result.diagnosis or {})
    }
    for run in condition.finished
  ]
  if not by_run:
    return [], np.zeros((0, 0))
  env_steps = sorted(set.intersection(*map(set, by_run)))
  return env_steps, np.array([[v[s] for s in env_steps] for v in by_run])
