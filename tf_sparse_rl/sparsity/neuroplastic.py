"""Neuroplastic expansion: a layer starts sparser than its target and grows."""

import math

import tensorflow as tf

from tf_sparse_rl.sparsity import dropping_and_growing, structures


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class NeuroplasticExpansion(dropping_and_growing.RigL):
  """RigL whose number of connections rises to that of the target.

  At train step 0 a layer is thinned, at random, to a share of the connections
  that its target leaves it. Every later update replaces connections as RigL
  does and grows some more, many at first and few at the end: the number follows
  the sum of a cosine, `t / T + sin(pi * t / T) / pi`.

  Reference: Liu et al. 2025, "Neuroplastic Expansion in Deep Reinforcement
  Learning". Their code drops 0.4 of what it grows, and 0.2 of all connections
  once it has grown; this one has RigL's drop fraction throughout.
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
    """Keeps the schedule.

    Args:
      drop_fraction: see `SET`.
      mask_update_period: see `SET`.
      mask_update_end_train_step: see `SET`; the layers have grown at the last
        update before it, or with it. Needed.
      seed: see `SET`.
      initial_share: share of its connections that a layer starts with, in
        (0, 1].
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
        'Expected mask_update_end_train_step >= mask_update_period: by then '
        f'layers have grown. Received: mask_update_end_train_step={end}, '
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
    """How many connections a layer has after an update.

    Args:
      budget: int, connections that its target leaves it.
      train_step: int64 scalar.

    Returns:
      int32 scalar.
    """
    step = tf.minimum(tf.cast(train_step, tf.int64), self._last_update)
    progress = tf.cast(step, tf.float32) / self._last_update
    risen = progress + tf.sin(math.pi * progress) / math.pi
    start = min(budget, math.ceil(self.initial_share * budget))
    more = tf.cast(tf.round(risen * float(budget - start)), tf.int32)
    # Exact at the end, which float32 may miss in a layer of many millions.
    return tf.where(step < self._last_update, start + more, budget)

  def check_structure(self, structure):
    """Refuses a pattern, whose number cannot rise; see `MaskUpdater`."""
    if isinstance(structure, structures.NOfM):
      raise ValueError(
        'Expected layers without n_of_m: a pattern leaves a number of '
        'connections that cannot rise. Received: one with.'
      )

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Thins the layer at train step 0; replaces and adds connections later."""
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
