"""The figures of a report, in order, with their titles and captions."""

from collections.abc import Callable
from typing import NamedTuple

from tf_sparse_rl.report import diagnoses, figures, panels


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
  Entry(
    'signal_to_noise',
    'Signal-to-noise of gradients',
    "Size of the mean over the standard deviation of a batch's gradients, "
    'averaged over active connections, those whose gradient is always 0 left '
    "out, after the paper's figure 5. " + _BANDS,
    diagnoses.signal_to_noise,
  ),
  Entry(
    'dormancy',
    'Dormant units',
    'Share of hidden units whose activation is at most 0.025 of the mean of '
    'their layer. ' + _BANDS,
    diagnoses.dormancy,
  ),
  Entry(
    'rank',
    'Rank of features',
    'Singular values of the last hidden layer that make up 99 % of their sum. '
    + _BANDS,
    diagnoses.rank,
  ),
)
