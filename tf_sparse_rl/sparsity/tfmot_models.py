"""Converts models that TFMOT has pruned."""

from tensorflow_model_optimization.python.core.sparsity.keras import (
  pruning_wrapper,
)

from tf_sparse_rl.sparsity import cloning
from tf_sparse_rl.sparsity import layers as layers_lib


def take_over(model, seed=0):
  """Returns a copy of a TFMOT-wrapped model with SparseLayers and its masks.

  Weights outside the masks are set to 0; in TFMOT they are not 0 during
  training. Any updater can train the copy; `MagnitudePruning` prunes to the
  final sparsity of TFMOT's schedule.

  Args:
    model: a Sequential or functional model with layers wrapped by
      `tfmot.sparsity.keras.prune_low_magnitude`. It is not changed.
    seed: int, seed of the mask updates of the first layer; others count up.

  Returns:
    A model.

  Raises:
    ValueError: if no layer is wrapped, or a wrapped layer cannot be sparse.
  """
  taken = []

  def convert(layer, path):
    if type(layer) is not pruning_wrapper.PruneLowMagnitude:
      return cloning.plain_copy(layer, path)
    plain = cloning.plain_copy(layer.layer, path)
    if not layer.pruning_vars:  # TFMOT also wraps layers such as Flatten.
      return plain
    copy = layers_lib.SparseLayer(
      plain,
      _final_sparsity(layer.pruning_schedule),
      seed + len(taken),
      **_structure(layer),
    )
    taken.append((layer, copy))
    return copy

  clone = cloning.clone(model, convert)
  if not taken:
    raise ValueError(
      'Expected a model wrapped by prune_low_magnitude; use sparsify() for a '
      f'plain one. Received: {model.name!r}.'
    )
  for layer, copy in taken:
    if copy.target_sparsity:
      [[_, mask, _]] = layer.pruning_vars
      copy.mask.assign(mask)
      copy.kernel.assign(copy.kernel * copy.mask)
  return clone


def _final_sparsity(schedule):
  """Returns the final sparsity of a TFMOT schedule."""
  config = schedule.get_config()['config']
  return config.get('final_sparsity', config.get('target_sparsity'))


def _structure(layer):
  """Converts the structure; TFMOT counts the zeros of a pattern."""
  if layer.sparsity_m_by_n:
    zeros, group = layer.sparsity_m_by_n
    return {'n_of_m': (group - zeros, group)}
  if tuple(layer.block_size) != (1, 1):
    return {'block_shape': layer.block_size}
  return {}
