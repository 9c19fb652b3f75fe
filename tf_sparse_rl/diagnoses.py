"""The diagnoses of a run: one row each. No TensorFlow in here."""

from typing import NamedTuple


class Figure(NamedTuple):
  """A figure of a report: one tag over env steps."""

  name: str  # of its files
  title: str
  caption: str
  tag: str  # with a place for the network's name
  label: str  # of the vertical axis, the same


class Kind(NamedTuple):
  """A diagnosis that `--diagnostics` can name."""

  name: str  # also of its module in `diagnostics`, with a class Diagnosis
  tags: dict  # {TensorBoard tag: meaning}
  figure: Figure | None = None


_ROWS = (
  Kind(
    'snr',
    {
      'SNR/{network}/{entries}': "mean of a kernel entry's gradients over "
      'their std in a batch, averaged over entries, active or all; not over '
      'dead',
      'SNR/{network}/{layer}/{entries}': 'the same of one layer',
      'DeadGradients/{network}/{entries}': 'share of these entries whose '
      'gradient is the same for every sample, as 0 is',
      'DeadGradients/{network}/{layer}/{entries}': 'the same of one layer',
    },
    Figure(
      'signal_to_noise',
      'Signal-to-noise of gradients',
      "Size of the mean over the standard deviation of a batch's gradients, "
      'averaged over active connections, those whose gradient is always 0 left '
      "out, after the paper's figure 5.",
      'SNR/{network}/active',
      '{network}: SNR of active',
    ),
  ),
  Kind(
    'dormant',
    {
      'Dormant/{network}/{threshold}': 'share of hidden units whose mean '
      '|activation| is at most this share of the mean of their layer',
    },
    Figure(
      'dormancy',
      'Dormant units',
      'Share of hidden units whose activation is at most 0.025 of the mean of '
      'their layer.',
      'Dormant/{network}/0.025',
      '{network}: dormant',
    ),
  ),
  Kind(
    'rank',
    {
      'Rank/{network}/srank': 'of the last hidden layer, singular values that '
      'make up 99 % of their sum',
      'Rank/{network}/effective': 'of the same, exp of the entropy of its '
      'singular values',
    },
    Figure(
      'rank',
      'Rank of features',
      'Singular values of the last hidden layer that make up 99 % of their '
      'sum.',
      'Rank/{network}/srank',
      '{network}: srank',
    ),
  ),
  Kind(
    'norms',
    {
      'Norms/{network}/weights': 'Euclidean norm of all kernels',
      'Norms/{network}/gradients': 'the same of their masked gradient',
      'Values/{network}/{statistic}': 'mean, std, min and max of what a '
      'Q-network, a critic or a value network says of the batch',
    },
  ),
  Kind(
    'churn',
    {
      'Churn/{network}/changed': 'share of the connections of the diagnosis '
      'before that are gone',
      'Churn/{network}/survived': 'share of the first connections that have '
      'been active ever since',
      'Churn/{network}/ever_active': 'share of all entries that have been '
      'active at some diagnosis',
    },
  ),
)
KINDS = {kind.name: kind for kind in _ROWS}
TAGS = {
  tag: f'{kind.name}: {meaning}'
  for kind in _ROWS
  for tag, meaning in kind.tags.items()
}
