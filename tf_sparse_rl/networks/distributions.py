"""Distributions of policies that TensorFlow Probability does not have."""

import tensorflow as tf
import tensorflow_probability as tfp

_IMPOSSIBLE = -1e9  # a logit whose probability is exactly 0 in float32


class MultiCategorical(tfp.distributions.Independent):
  """Independent Categoricals as one distribution of vectors.

  They may have different numbers of choices. The parameter `logits` is what
  TF-Agents' policies and PPO's policy info keep.
  """

  def __init__(self, logits, counts, name='MultiCategorical'):
    """Makes the distribution.

    Args:
      logits: `[..., sum(counts)]`, concatenated over the entries.
      counts: tuple of ints, number of choices of each entry.
      name: of the distribution.
    """
    parameters = dict(logits=logits, counts=counts, name=name)
    most = max(counts)
    padded = [
      tf.pad(
        part,
        [[0, 0]] * (part.shape.rank - 1) + [[0, most - count]],
        constant_values=_IMPOSSIBLE,
      )
      for part, count in zip(tf.split(logits, list(counts), -1), counts)
    ]
    entries = tfp.distributions.Categorical(
      logits=tf.stack(padded, -2), dtype=tf.int32
    )
    super().__init__(entries, 1, name=name)
    self._parameters = parameters

  @classmethod
  def _parameter_properties(cls, dtype, num_classes=None):
    """None: shapes come from the Categoricals; see TensorFlow Probability."""
    return {}
