"""`MaskUpdater`, the base class of mask updaters, and `Static`."""

from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl.sparsity import structures


class KernelState(NamedTuple):
  """The state of a kernel; float32 tensors `[..., inputs, units]`."""

  weight: tf.Tensor
  mask: tf.Tensor
  # Dense, that is, also where the mask is 0; mean over `grow_batches`.
  gradient: tf.Tensor
  structure: structures.Blocks | structures.NOfM = structures.ANY
  # Result of `MaskUpdater.shares` for this layer.
  share: tf.Tensor | None = None


class MaskUpdater:
  """Base class of mask updaters, which drop and grow connections.

  Reference: paper section 2; Evci et al. 2020, algorithm 1.
  """

  drop_fraction = None
  # True: masks start as ones and are pruned. False: masks have their zeros,
  # whose number is kept. None: both are valid; `sparsify` draws random masks.
  starts_dense = None
  # Whether masked weights are trained too; see `straight_through`.
  trains_hidden = False
  # Train step at which the target is met; None: from the start.
  target_train_step = None
  # Number of train steps, up to that of the update, to average gradients over.
  grow_batches = 1

  def is_due(self, train_step):
    """Returns whether masks are updated at `train_step`.

    Args:
      train_step: int or int64 tensor, train steps done so far.

    Returns:
      A bool tensor of its shape, or None if masks never change.
    """
    del train_step
    return None

  def needs_gradient(self, train_step):
    """Returns whether a mask update uses the dense gradient of `train_step`.

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
    """Creates an updater from the result of `get_config`."""
    return cls(**config)

  def check_structure(self, structure):
    """Rejects structures of masks that this updater cannot keep.

    Args:
      structure: structure of a layer, one of `structures`.

    Raises:
      ValueError: if it cannot.
    """
    del structure

  def shares(self, kernels, targets, train_step):
    """Computes values that depend on all layers, before `new_mask`.

    Args:
      kernels: list of `KernelState` of all sparse layers.
      targets: list of floats, their target sparsities.
      train_step: int64 scalar.

    Returns:
      List of scalar tensors, one for each layer, or None if layers are
      independent.
    """
    del kernels, targets, train_step
    return None

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Returns the mask of one layer after an update.

    Args:
      kernel: a `KernelState`.
      target_sparsity: the layer's target, a float.
      train_step: int64 scalar.
      seed: int, different for each layer.

    Returns:
      float32 tensor of 0 and 1.
    """
    raise NotImplementedError


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class Static(MaskUpdater):
  """Keeps the mask drawn at the start."""

  starts_dense = False
