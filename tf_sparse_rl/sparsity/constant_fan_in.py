"""SRigL: RigL with a constant fan-in and ablation of units."""

import tensorflow as tf

from tf_sparse_rl.sparsity import dropping_and_growing, mask_ops


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class SRigL(dropping_and_growing.RigL):
  """RigL with a constant fan-in and ablation of units with few salient weights.

  All active units have the same fan-in: the connections that the layer's target
  allows, divided by the number of active units, rounded down. From the first
  update on, the layer has at most as many connections as its target allows. An
  ablated unit may become active again at a later update.

  Reference: Lasby et al. 2023, "Dynamic Sparse Training with Structured
  Sparsity". Their code trims a unit by the order of its mask entries, this
  one by magnitude.
  """

  def __init__(
    self,
    drop_fraction=0.3,
    mask_update_period=100,
    mask_update_end_train_step=None,
    seed=0,
    salient_fraction=0.3,
    grow_batches=1,
  ):
    """Initializes the schedule.

    Args:
      drop_fraction: see `SET`.
      mask_update_period: see `SET`.
      mask_update_end_train_step: see `SET`.
      seed: see `SET`.
      salient_fraction: minimum number of salient weights of an active unit, as
        a fraction of the fan-in, in [0, 1]. Salient weights are those that are
        not dropped and those with the largest gradients. 0 keeps all units.
      grow_batches: see `RigL`.

    Raises:
      ValueError: for numbers out of range.
    """
    super().__init__(
      *(drop_fraction, mask_update_period, mask_update_end_train_step, seed),
      grow_batches,
    )
    if not 0 <= salient_fraction <= 1:
      raise ValueError(
        'Expected salient_fraction in [0, 1]. Received: '
        f'salient_fraction={salient_fraction}.'
      )
    self.salient_fraction = float(salient_fraction)

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'salient_fraction': self.salient_fraction}

  def check_structure(self, structure):
    """Rejects `block_shape` and `n_of_m`; see `MaskUpdater`."""
    if structure.has_pattern:
      raise ValueError(
        'Expected layers without block_shape and n_of_m: SRigL sets the '
        'structure itself. Received: a layer with one of them.'
      )

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Returns the mask of one layer after an update; see `MaskUpdater`."""
    shape = kernel.mask.shape
    size, units = shape.num_elements(), shape[-1]
    budget = size - kernel.structure.num_zeros(shape, target_sparsity)

    def rows(values):
      return tf.transpose(tf.reshape(values, [-1, units]))

    weights = rows(self.drop_scores(kernel))
    gradients = rows(self.grow_scores(kernel, train_step, seed))
    kept = mask_ops.kept(
      rows(kernel.mask), weights, self.drop_fraction(train_step)
    )
    active = tf.reduce_sum(tf.cast(kernel.mask, tf.int32))
    dropped = active - tf.reduce_sum(tf.cast(kept, tf.int32))
    salient = kept | mask_ops.top_k_mask(gradients, dropped)
    stays = self._units_that_stay(salient, budget)
    num_units = tf.reduce_sum(tf.cast(stays, tf.int32))
    fan_in = tf.minimum(budget // num_units, size // units)
    kept = mask_ops.top_of_group(weights, fan_in, kept & stays[:, tf.newaxis])
    room = fan_in - tf.reduce_sum(tf.cast(kept, tf.int32), -1, keepdims=True)
    grown = mask_ops.top_of_group(gradients, room, ~kept & stays[:, tf.newaxis])
    new_mask = tf.cast(kept | grown, tf.float32)
    return tf.reshape(tf.transpose(new_mask), shape)

  def _units_that_stay(self, salient, budget):
    """Returns bool `[units]`: units with enough salient weights."""
    units, inputs = salient.shape
    counts = tf.reduce_sum(tf.cast(salient, tf.int32), -1)
    enough = max(1, int(self.salient_fraction * (budget // units)))
    if not self.salient_fraction:
      enough = 0
    number = tf.reduce_sum(tf.cast(counts >= enough, tf.int32))
    # Enough units to hold all connections; at most one unit per connection.
    number = tf.clip_by_value(number, -(-budget // inputs), min(units, budget))
    return mask_ops.top_k_mask(tf.cast(counts, tf.float32), number)
