"""Mask updates in fused train steps."""

import contextlib

import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.native import fused
from tf_sparse_rl.sparsity import mask_updates


class MaskUpdates:
  """The mask updates of the networks of a fused train step.

  Masks are chosen by the updaters of the networks' optimizers, one layer after
  another, as `SparseOptimizer.apply_gradients` does it.
  """

  def __init__(self, trained):
    """Takes what is trained.

    Args:
      trained: list of (optimizer, its layers, a list of stacks.Layer), in the
        order in which the step numbers layers.
    """
    self._trained = trained

  @property
  def are_possible(self):
    """Whether all updaters choose the mask of each layer by itself."""
    return all(
      mask_updates.is_layer_by_layer(optimizer.updater)
      for optimizer, _ in self._trained
      if isinstance(optimizer, sparsity.SparseOptimizer)
    )

  @contextlib.contextmanager
  def due(self):
    """The train step in the block updates the masks that are due."""
    due, drop_fractions, shapes = dict(self._due()), {}, {}
    for number, (kernel, updater, train_step) in due.items():
      if mask_updates.is_rigl(updater, kernel.constraint):
        drop_fractions[number] = float(updater.drop_fraction(train_step))
      else:
        shapes[number] = kernel.shape

    def choose(number, made_by):
      kernel, updater, train_step = due[number]
      state = mask_updates.state_of(kernel.constraint, *made_by)
      made_by.clear()
      return mask_updates.new_mask(
        updater, kernel.constraint, state, train_step
      ).numpy()

    with fused.choosing_masks(drop_fractions, shapes, choose):
      yield

  def _due(self):
    """Pairs of a layer's number and (kernel, updater, train step)."""
    number = 0
    for optimizer, layers in self._trained:
      is_due = False
      if isinstance(optimizer, sparsity.SparseOptimizer):
        # A copy: the train step moves on.
        train_step = tf.cast(optimizer.iterations, tf.int64) + 0
        is_due = optimizer.updates_masks and optimizer.updater.is_due(
          train_step
        )
      for layer in layers:
        if is_due and layer.mask is not None:
          yield number, (layer.plain.kernel, optimizer.updater, train_step)
        number += 1
