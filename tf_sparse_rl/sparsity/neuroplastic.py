"""Neuroplastic expansion: layers start sparser than their target and grow."""

import math

import tensorflow as tf

from tf_sparse_rl.sparsity import dropping_and_growing, structures


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class NeuroplasticExpansion(dropping_and_growing.RigL):
  """RigL with a number of connections that rises to that of the target.

  At train step 0 random connections of a layer are removed, which leaves
  `initial_share` of those that its target allows. Every later update replaces
  connections as RigL does and grows additional ones, most of them early: their
  number is proportional to `t / T + sin(pi * t / T) / pi`.

  Reference: Liu et al. 2025, "Neuroplastic Expansion in Deep Reinforcement
  Learning". Their code drops 0.4 times as many connections as it grows, and
  0.2 of all connections after growth; this one uses RigL's drop fraction.
  """

  def __init__(
    self,
    drop_fraction=0.3,
    mask_update_period=100,
    mask_update_end_train_step=None,
    seed=0,
    initial_share=0.25,
    grow_batches=1,
  ):
    """Initializes the schedule.

    Args:
      drop_fraction: see `SET`.
      mask_update_period: see `SET`.
      mask_update_end_train_step: see `SET`; required. The last update at or
        before it reaches the target.
      seed: see `SET`.
      initial_share: fraction of its final number of connections that a layer
        starts with, in (0, 1].
      grow_batches: see `RigL`.

    Raises:
      ValueError: for numbers out of range, or an end before the second update.
    """
    super().__init__(
      *(drop_fraction, mask_update_period, mask_update_end_train_step, seed),
      grow_batches,
    )
    if not 0 < initial_share <= 1:
      raise ValueError(
        'Expected initial_share in (0, 1]. Received: '
        f'initial_share={initial_share}.'
      )
    end = mask_update_end_train_step
    if end is None or end < mask_update_period:
      raise ValueError(
        'Expected mask_update_end_train_step >= mask_update_period, the train '
        'step at which layers meet their target. Received: '
        f'mask_update_end_train_step={end}, '
        f'mask_update_period={mask_update_period}.'
      )
    self.initial_share = float(initial_share)
    self._last_update = end // self.mask_update_period * self.mask_update_period

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'initial_share': self.initial_share}

  @property
  def target_train_step(self):
    """Train step of the last update."""
    return self._last_update

  def num_active(self, budget, train_step):
    """Returns the number of connections of a layer after an update.

    Args:
      budget: int, number of connections at the target sparsity.
      train_step: int64 scalar.

    Returns:
      int32 scalar.
    """
    step = tf.minimum(tf.cast(train_step, tf.int64), self._last_update)
    progress = tf.cast(step, tf.float32) / self._last_update
    risen = progress + tf.sin(math.pi * progress) / math.pi
    start = min(budget, math.ceil(self.initial_share * budget))
    more = tf.cast(tf.round(risen * float(budget - start)), tf.int32)
    # Exact at the end, where float32 may be off for millions of weights.
    return tf.where(step < self._last_update, start + more, budget)

  def check_structure(self, structure):
    """Rejects N:M patterns, whose number of connections is constant."""
    if isinstance(structure, structures.NOfM):
      raise ValueError(
        'Expected layers without n_of_m, which keeps the number of '
        'connections constant. Received: a layer with n_of_m.'
      )

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Prunes at random at train step 0; replaces and adds connections later."""
    structure, size = kernel.structure, kernel.mask.shape.num_elements()
    budget = size - structure.num_zeros(kernel.mask.shape, target_sparsity)
    wanted = self.num_active(budget, train_step)

    def thinned():
      noise = self._noise(kernel, train_step, seed)
      return structure.prune(kernel.mask, noise, size - wanted)

    def grown():
      active = tf.reduce_sum(tf.cast(kernel.mask, tf.int32))
      return structure.drop_and_grow(
        kernel.mask,
        self.drop_scores(kernel),
        self.grow_scores(kernel, train_step, seed),
        self.drop_fraction(train_step),
        num_more=tf.maximum(wanted - active, 0),
      )

    return tf.cond(tf.equal(train_step, 0), thinned, grown)
