"""`MaskUpdater`, the base class of the mask updaters, and a static mask."""

from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl.sparsity import structures


class KernelState(NamedTuple):
  """The state of a kernel; float32 tensors `[..., inputs, units]`."""

  weight: tf.Tensor
  mask: tf.Tensor
  # Dense: also where the mask is 0; the mean of `MaskUpdater.grow_batches`.
  gradient: tf.Tensor
  structure: structures.Blocks | structures.NOfM = structures.ANY
  # What `MaskUpdater.shares` gave this layer.
  share: tf.Tensor | None = None


class MaskUpdater:
  """Drops and grows connections on schedule; by itself, a static mask.

  Reference: paper section 2; Evci et al. 2020, algorithm 1.
  """

  drop_fraction = None
  # Whether it takes masks of ones, to prune them, or such as have their zeros,
  # whose number it keeps; None: either, and `sparsify` draws them at random.
  starts_dense = None
  # Whether values that the mask hides are trained on: see `straight_through`.
  trains_hidden = False
  # The train step at which targets are met; None: from the start.
  target_train_step = None
  # Train steps, that of the update the last, whose gradients are averaged.
  grow_batches = 1

  def is_due(self, train_step):
    """Whether masks change before the update of `train_step`, or never.

    Args:
      train_step: int or int64 tensor, train steps done so far.

    Returns:
      A bool tensor of its shape, or None if masks never change.
    """
    del train_step
    return None

  def needs_gradient(self, train_step):
    """Whether the dense gradient of a train step counts in a mask update.

    Args:
      train_step: see `is_due`.

    Returns:
      A bool tensor of its shape, or None if masks never change.
    """
    due = self.is_due(train_step)
    if due is None or self.grow_batches == 1:
      return due
    steps = tf.cast(train_step, tf.int64)[..., tf.newaxis]
    later = steps + tf.range(self.grow_batches, dtype=tf.int64)
    return tf.reduce_any(self.is_due(later), axis=-1)

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {}

  @classmethod
  def from_config(cls, config):
    """Makes an updater from what `get_config` returned."""
    return cls(**config)

  def check_structure(self, structure):
    """Refuses masks of a structure that it cannot keep.

    Args:
      structure: of a layer, out of `structures`.

    Raises:
      ValueError: if so.
    """
    del structure

  def shares(self, kernels, targets, train_step):
    """Facts about all layers together, one for each, before `new_mask`.

    Args:
      kernels: list of `KernelState`, of all sparse layers.
      targets: list of floats, their target sparsities.
      train_step: int64 scalar.

    Returns:
      List of scalar tensors, or None: layers are updated each by itself.
    """
    del kernels, targets, train_step
    return None

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """The mask of one layer after an update.

    Args:
      kernel: a `KernelState`.
      target_sparsity: the layer's target, a float.
      train_step: int64 scalar.
      seed: int, another one for each layer.

    Returns:
      float32 tensor of 0 and 1.
    """
    raise NotImplementedError


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class Static(MaskUpdater):
  """The mask drawn at the start stays."""

  starts_dense = False
