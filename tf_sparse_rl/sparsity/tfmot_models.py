"""Goes on with a model that TFMOT has pruned."""

from tensorflow_model_optimization.python.core.sparsity.keras import (
  pruning_wrapper,
)

from tf_sparse_rl.sparsity import cloning
from tf_sparse_rl.sparsity import layers as layers_lib


def take_over(model, seed=0):
  """A copy of a model that TFMOT wrapped, with SparseLayers and its masks.

  Zeros outside the masks are made exact, which they are not in TFMOT while it
  trains. Any updater goes on from there; `MagnitudePruning` prunes to the
  sparsity at which TFMOT's schedule would have ended.

  Args:
    model: a Sequential or functional model with layers wrapped by
      `tfmot.sparsity.keras.prune_low_magnitude`. It is left alone.
    seed: of the layers' mask updates, counting up; int.

  Returns:
    A model.

  Raises:
    ValueError: if no layer is wrapped, or one that cannot be a SparseLayer.
  """
  taken = []

  def convert(layer, path):
    if type(layer) is not pruning_wrapper.PruneLowMagnitude:
      return cloning.plain_copy(layer, path)
    plain = cloning.plain_copy(layer.layer, path)
    if not layer.pruning_vars:  # Flatten and the like, which TFMOT wraps too.
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
      'Expected a model wrapped by prune_low_magnitude; of a plain one '
      f'sparsify() makes a sparse one. Received: {model.name!r}.'
    )
  for layer, copy in taken:
    if copy.target_sparsity:
      [[_, mask, _]] = layer.pruning_vars
      copy.mask.assign(mask)
      copy.kernel.assign(copy.kernel * copy.mask)
  return clone


def _final_sparsity(schedule):
  """Where a TFMOT schedule ends."""
  config = schedule.get_config()['config']
  return config.get('final_sparsity', config.get('target_sparsity'))


def _structure(layer):
  """TFMOT says how many of n are zero, SparseLayer how many are not."""
  if layer.sparsity_m_by_n:
    zeros, group = layer.sparsity_m_by_n
    return {'n_of_m': (group - zeros, group)}
  if tuple(layer.block_size) != (1, 1):
    return {'block_shape': layer.block_size}
  return {}
