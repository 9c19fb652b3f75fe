"""The figures of a report, in order, with their titles and captions."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from tf_sparse_rl import diagnoses
from tf_sparse_rl.report import diagnosis_figures, figures, panels


class Entry(NamedTuple):
  """One figure."""

  name: str  # of its files
  title: str
  caption: str
  draw: Callable  # AgentStudy -> Figure or None


_BANDS = 'Bands are 95 % bootstrap intervals over seeds.'

FIGURES = (
  Entry(
    'iqm',
    'Scores by sparsity',
    'Interquartile mean of normalised returns over all runs and environments, '
    "after the paper's figure 1. The dashed line is the dense network of full "
    'size; whiskers and its band are 95 % intervals.',
    figures.iqm_bars,
  ),
  Entry(
    'parameters',
    'Return against parameters',
    'Final return over active parameters (weights and biases; of SAC, actor '
    "and both critics), after the paper's figures 2, 8 and 9. " + _BANDS,
    figures.return_against_parameters,
  ),
  Entry(
    'sample_efficiency',
    'Sample efficiency',
    'Interquartile mean of normalised returns of all evaluations over the '
    'course of training. ' + _BANDS,
    figures.sample_efficiency,
  ),
  Entry(
    'curves',
    'Learning curves',
    'Mean return of an evaluation over env steps; where there are no more '
    'than three runs, each is a thin line. ' + _BANDS,
    figures.learning_curves,
  ),
  Entry(
    'profiles',
    'Performance profiles',
    'Share of all runs, over all environments, that score more than s. '
    + _BANDS,
    figures.performance_profiles,
  ),
  Entry(
    'over_dense',
    'Probability of improvement',
    'That a run of the method scores more than a dense one in the same '
    'environment; at 0.5 they are level.',
    figures.improvement,
  ),
  Entry(
    'distributions',
    'Allocation of sparsity to layers',
    'ERK and uniform sparsity with the same method. ' + _BANDS,
    panels.distributions,
  ),
  Entry(
    'weight_decay',
    'Weight decay',
    'Final return by weight decay, all else being equal. ' + _BANDS,
    panels.weight_decay,
  ),
  Entry(
    'initialization',
    'Sparsity-aware initialisation',
    'Final return with and without it, all else being equal. ' + _BANDS,
    panels.initialization,
  ),
  Entry(
    'actor_share',
    'Actor and critic',
    'Final return by the share of all parameters that the actor has, after '
    "the paper's figure 3. " + _BANDS,
    panels.actor_share,
  ),
  Entry(
    'noise',
    'Robustness to noise',
    'Return with Gaussian noise added to observations at evaluation. ' + _BANDS,
    panels.noise_robustness,
  ),
  *(
    Entry(
      kind.figure.name,
      kind.figure.title,
      f'{kind.figure.caption} {_BANDS}',
      functools.partial(diagnosis_figures.over_time, figure_row=kind.figure),
    )
    for kind in diagnoses.KINDS.values()
    if kind.figure
  ),
)
