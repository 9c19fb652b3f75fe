"""Checks that optimizer, updater and model belong together."""

import warnings

import tensorflow as tf

from tf_sparse_rl.sparsity import keras_check, masked, updater_base
from tf_sparse_rl.sparsity import layers as layers_lib

NO_SPARSE_LAYER = (
  'Expected a model with at least one SparseLayer of target_sparsity > 0; make '
  'one with sparsify().'
)


def check_arguments(optimizer, updater, model):
  """Checks the arguments of SparseOptimizer's constructor."""
  keras_check.refuse_keras_3(optimizer, model)
  kinds = (tf.keras.optimizers.Optimizer, tf.keras.optimizers.legacy.Optimizer)
  if not isinstance(optimizer, kinds):
    raise TypeError(f'Expected a tf.keras optimizer. Received: {optimizer!r}.')
  if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
    raise ValueError(
      'Expected LossScaleOptimizer(SparseOptimizer(...)), the loss scale '
      'outside. Received: a LossScaleOptimizer.'
    )
  if not isinstance(updater, updater_base.MaskUpdater):
    raise TypeError(f'Expected a MaskUpdater. Received: {updater!r}.')
  if model is None:
    return
  if not any(x.target_sparsity > 0 for x in layers_lib.sparse_layers(model)):
    raise ValueError(f'{NO_SPARSE_LAYER} Received: {model!r}.')


def check_updater(updater, weights):
  """Rejects masks that an updater cannot keep or bring to their targets."""
  name = type(updater).__name__
  for weight in weights:
    updater.check_structure(weight.structure)
  if updater.starts_dense is False:
    if all(w.missing_zeros == w.num_zeros_of_target for w in weights):
      raise ValueError(
        f'Expected masks that have their zeros, whose number {name} keeps: '
        "make the model by sparsify() with another method than 'prune', or use "
        'MagnitudePruning. Received: masks of ones, for '
        f'{[w.variable.name for w in weights]}.'
      )
    _tell_of_another_method(updater, weights)
    missed = masked.missed(weights)
    if missed:
      warnings.warn(
        f'{name} keeps the number of zeros. Below target: {missed}.',
        stacklevel=3,
      )
  if updater.starts_dense and not any(w.missing_zeros for w in weights):
    if not any(w.starts_dense for w in weights):
      raise ValueError(
        f"Expected masks of ones, that {name} prunes: sparsify(method='prune')"
        ' makes them. Received: masks that all have their zeros already; '
        'Static, SET and RigL keep their number.'
      )


def _tell_of_another_method(updater, weights):
  """Warns if static masks would be updated, or other masks would not."""
  made_for = {w.method for w in weights if w.method and not w.starts_dense}
  moves = updater.is_due(0) is not None
  if made_for and moves != (made_for != {'static'}):
    warnings.warn(
      f'The masks were made for {sorted(made_for)}; {type(updater).__name__} '
      f'{"updates" if moves else "does not update"} them.',
      stacklevel=4,
    )


def is_frozen(network):
  """Whether no sparse layer of a network is trainable."""
  return not any(layer.trainable for layer in layers_lib.sparse_layers(network))


def sparse_weights_of(variables, model):
  """Finds the sparse weights among variables; rejects those of another model.

  Args:
    variables: list of variables that will be trained.
    model: the model that they should belong to, or None.

  Returns:
    List of MaskConstraint; empty only if all layers of the model are frozen.
  """
  weights = [v.constraint for v in variables if masked.mask_of(v) is not None]
  if model is not None:
    own = layers_lib.sparse_weights(model)
    if own and not weights and is_frozen(model):
      return []
    if own and not {id(w) for w in own} & {id(w) for w in weights}:
      raise ValueError(
        'Expected gradients of the model that this SparseOptimizer was made '
        f'for, {model!r}. Received: those of another one.'
      )
  if not weights:
    raise ValueError(
      f'{NO_SPARSE_LAYER} With layers that are all frozen, give the model '
      'to SparseOptimizer. Received: none among the variables.'
    )
  return weights


def check_known(variables, kernels, key_of):
  """Rejects sparse variables that are not among the kernels, by their keys."""
  known = {key_of(kernel.kernel) for kernel in kernels}
  late = [
    v.name
    for v in variables
    if masked.mask_of(v) is not None and key_of(v) not in known
  ]
  if late:
    raise ValueError(
      'Expected every sparse kernel at the first update, or build() with all '
      f'variables before it. Received: {late}, unknown until now.'
    )
