"""The figures of a report, in order, with their titles and captions."""

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

from tf_sparse_rl import diagnoses
from tf_sparse_rl.report import (
  curve_figures,
  diagnosis_figures,
  figures,
  panels,
)


class Entry(NamedTuple):
  """A figure, or one for each of several names."""

  name: str  # of its files
  title: str
  caption: str
  draw: Callable  # AgentStudy -> Figure or None
  # AgentStudy -> names, further arguments of `draw`.
  names: Callable | None = None
  dense_caption: str = ''  # what follows if there are dense networks


def draw_all(study):
  """Draws the figures of an AgentStudy.

  Yields:
    (name, title, caption, Figure) of the figures that the runs have data for.
  """
  for entry in FIGURES:
    if entry.names is None:
      calls = {(entry.name, entry.title): (study,)}
    else:
      calls = {
        (f'{entry.name}_{_in_file(name)}', f'{entry.title}, {name}'): (
          *(study, name),
        )
        for name in entry.names(study)
      }
    for (name, title), arguments in calls.items():
      figure = entry.draw(*arguments)
      if figure is not None:
        more = entry.dense_caption if study.aggregate('dense') else ''
        yield name, title, f'{entry.caption} {more}'.strip(), figure


def _in_file(name):
  """A name as part of a file name."""
  return re.sub('[^A-Za-z0-9._-]', '_', name)


_WHISKERS = 'Whiskers are 95 % bootstrap intervals over seeds.'
_BAND = 'The band is the 95 % bootstrap interval over seeds.'

FIGURES = (
  Entry(
    'iqm',
    'Scores by sparsity',
    'Interquartile mean (IQM) of normalised returns over all runs and '
    "environments with 95 % intervals, as in the paper's figure 1.",
    figures.iqm,
    dense_caption='The dashed line and its band are the dense network of full '
    'size.',
  ),
  Entry(
    'parameters',
    'Return against parameters',
    'Final return against the number of active parameters (weights and '
    "biases; with SAC, of the actor and both critics), as in the paper's "
    'figures 2, 8 and 9. ' + _WHISKERS,
    figures.return_against_parameters,
    dense_caption='The dashed line is the dense network of full size.',
  ),
  Entry(
    'sample_efficiency',
    'Sample efficiency',
    'Interquartile mean of the normalised returns of each evaluation during '
    'training. One row per method, with the other methods in grey. ' + _BAND,
    curve_figures.sample_efficiency,
  ),
  Entry(
    'curves',
    'Learning curves',
    'Mean return of each evaluation. One row per method, with the other '
    'methods in grey. Up to three runs are also drawn one by one, as thin '
    'lines. ' + _BAND,
    curve_figures.learning_curves,
    names=lambda study: study.env_names,
  ),
  Entry(
    'profiles',
    'Performance profiles',
    'Fraction of runs, over all environments, with a score above s. One row '
    'per method, with the other methods in grey. ' + _BAND,
    curve_figures.performance_profiles,
  ),
  Entry(
    'over_dense',
    'Probability of improvement',
    'Probability that a run of the method scores more than a dense run in '
    'the same environment; 0.5 means level. Bars are 95 % bootstrap '
    'intervals.',
    figures.improvement,
  ),
  Entry(
    'distributions',
    'Allocation of sparsity to layers',
    'ERK and uniform sparsity with the same method. ' + _WHISKERS,
    panels.distributions,
  ),
  Entry(
    'weight_decay',
    'Weight decay',
    'Final return by weight decay, all other fields being equal. ' + _WHISKERS,
    panels.weight_decay,
  ),
  Entry(
    'initialization',
    'Sparsity-aware initialisation',
    'Final return with and without it, all other fields being equal. '
    + _WHISKERS,
    panels.initialization,
  ),
  Entry(
    'actor_share',
    'Actor and critic',
    'Final return by the share of all parameters that the actor has, as in '
    "the paper's figure 3. " + _WHISKERS,
    panels.actor_share,
  ),
  Entry(
    'field',
    'Values of a field',
    'Final return by the value of a field, all other fields being equal. '
    + _WHISKERS,
    panels.of_field,
    names=panels.varied_fields,
  ),
  Entry(
    'noise',
    'Robustness to noise',
    'Return with Gaussian noise added to observations at evaluation. '
    + _WHISKERS,
    panels.noise_robustness,
  ),
  *(
    Entry(
      kind.figure.name,
      kind.figure.title,
      f'{kind.figure.caption} {_WHISKERS}',
      functools.partial(diagnosis_figures.over_time, figure_row=kind.figure),
    )
    for kind in diagnoses.KINDS.values()
    if kind.figure
  ),
)
