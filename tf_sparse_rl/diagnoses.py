"""The diagnostics of a run, one row each. No TensorFlow."""

from typing import NamedTuple


class Figure(NamedTuple):
  """A figure of a report: one tag over env steps."""

  name: str  # of its files
  title: str
  caption: str
  tag: str  # with a placeholder for the name of the network
  label: str  # of the vertical axis, likewise


class Kind(NamedTuple):
  """A diagnostic, as named in `--diagnostics`."""

  name: str  # also of its module in `diagnostics`, with a class Diagnosis
  tags: dict  # {TensorBoard tag: meaning}
  figure: Figure | None = None


_ROWS = (
  Kind(
    'snr',
    {
      'SNR/{network}/{entries}': "mean of a kernel entry's gradients over "
      'their std in a batch, averaged over active or all entries without dead '
      'ones',
      'SNR/{network}/{layer}/{entries}': 'the same for one layer',
      'DeadGradients/{network}/{entries}': 'fraction of these entries whose '
      'gradient is the same for every sample, such as 0',
      'DeadGradients/{network}/{layer}/{entries}': 'the same for one layer',
    },
    Figure(
      'signal_to_noise',
      'Signal-to-noise of gradients',
      'Absolute mean over standard deviation of the gradients of a batch, '
      'averaged over active connections whose gradients are not all zero, as '
      "in the paper's figure 5.",
      'SNR/{network}/active',
      '{network}: SNR of active',
    ),
  ),
  Kind(
    'dormant',
    {
      'Dormant/{network}/{threshold}': 'fraction of hidden units whose mean '
      '|activation| is at most this fraction of the mean of their layer',
    },
    Figure(
      'dormancy',
      'Dormant units',
      'Fraction of hidden units whose activation is at most 0.025 of the mean '
      'of their layer.',
      'Dormant/{network}/0.025',
      '{network}: dormant',
    ),
  ),
  Kind(
    'rank',
    {
      'Rank/{network}/srank': 'number of singular values of the last hidden '
      'layer that make up 99 % of their sum',
      'Rank/{network}/effective': 'exp of the entropy of the normalized '
      'singular values of the last hidden layer',
    },
    Figure(
      'rank',
      'Rank of features',
      'Number of singular values of the last hidden layer that make up 99 % of '
      'their sum.',
      'Rank/{network}/srank',
      '{network}: srank',
    ),
  ),
  Kind(
    'norms',
    {
      'Norms/{network}/weights': 'Euclidean norm of all kernels',
      'Norms/{network}/gradients': 'Euclidean norm of their masked gradients',
      'Values/{network}/{statistic}': 'mean, std, min and max of the output '
      'of a Q-network, critic or value network over the batch',
    },
  ),
  Kind(
    'churn',
    {
      'Churn/{network}/changed': 'fraction of the connections of the previous '
      'diagnostics that are inactive now',
      'Churn/{network}/survived': 'fraction of the initial connections that '
      'have been active ever since',
      'Churn/{network}/ever_active': 'fraction of all entries that were active '
      'in some diagnostics',
    },
  ),
)
KINDS = {kind.name: kind for kind in _ROWS}
TAGS = {
  tag: f'{kind.name}: {meaning}'
  for kind in _ROWS
  for tag, meaning in kind.tags.items()
}
