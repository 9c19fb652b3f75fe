"""SET and RigL: connections are replaced, their number stays the same."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl import seeds
from tf_sparse_rl.sparsity import schedules, updater_base

_serializable = tf.keras.utils.register_keras_serializable('tf_sparse_rl')


@_serializable
class SET(updater_base.MaskUpdater):
  """Sparse evolutionary training: drops small weights, grows at random.

  Reference: Mocanu et al. 2018.
  """

  starts_dense = False

  def __init__(
    self,
    drop_fraction=0.3,
    mask_update_period=100,
    mask_update_end_train_step=None,
    seed=0,
  ):
    """Initializes the schedule.

    Args:
      drop_fraction: fraction of the active connections replaced at an update,
        in (0, 1], with cosine decay to 0 at `mask_update_end_train_step` if
        that is given; or a function of the train step, as in `schedules`.
      mask_update_period: train steps from one update to the next.
      mask_update_end_train_step: the last train step at which masks change;
        None for no end.
      seed: int, seed of random growth.

    Raises:
      ValueError: for numbers out of range.
    """
    end = mask_update_end_train_step
    if mask_update_period < 1:
      raise ValueError(
        'Expected mask_update_period >= 1 train steps. Received: '
        f'mask_update_period={mask_update_period}.'
      )
    self._given_drop_fraction = drop_fraction
    if not callable(drop_fraction):
      drop_fraction = self._decayed(drop_fraction, end)
    self.drop_fraction = drop_fraction
    self.mask_update_period = int(mask_update_period)
    self.mask_update_end_train_step = end
    self.seed = int(seed)

  def get_config(self):
    """Returns the config; a schedule of the drop fraction is serialized."""
    given = self._given_drop_fraction
    if callable(given):
      given = tf.keras.utils.legacy.serialize_keras_object(given)
    return {
      'drop_fraction': given,
      'mask_update_period': self.mask_update_period,
      'mask_update_end_train_step': self.mask_update_end_train_step,
      'seed': self.seed,
    }

  @classmethod
  def from_config(cls, config):
    """Makes an updater from what `get_config` returned."""
    config = dict(config)
    if isinstance(config['drop_fraction'], dict):
      config['drop_fraction'] = tf.keras.utils.deserialize_keras_object(
        config['drop_fraction']
      )
    return cls(**config)

  @staticmethod
  def _decayed(drop_fraction, end_train_step):
    if not 0 < drop_fraction <= 1:
      raise ValueError(
        'Expected drop_fraction in (0, 1]; a mask that never changes is '
        f'Static. Received: drop_fraction={drop_fraction}.'
      )
    if end_train_step is None:
      return schedules.ConstantDropFraction(drop_fraction)
    return schedules.CosineDropFraction(drop_fraction, end_train_step)

  def is_due(self, train_step):
    """Is true at multiples of the period, including 0 as in the paper."""
    return schedules.is_due(
      train_step,
      self.mask_update_period,
      end_train_step=self.mask_update_end_train_step,
    )

  def drop_scores(self, kernel):
    """Returns magnitudes, `[..., inputs, units]`: small weights are dropped."""
    return tf.abs(kernel.weight)

  def grow_scores(self, kernel, train_step, seed):
    """Returns uniform noise that depends on seed, layer and train step."""
    return self._noise(kernel, train_step, seed)

  def _noise(self, kernel, train_step, seed):
    own = seeds.derive(self.seed, seeds.Stream.GROWTH, seed)
    # Random integers are the same on every device and in XLA; floats are not.
    noise = tf.random.stateless_uniform(
      kernel.mask.shape,
      seed=tf.stack([tf.constant(own, tf.int64), train_step]),
      minval=None,
      maxval=None,
      dtype=tf.int32,
      alg='philox',
    )
    return tf.cast(noise, tf.float32)

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Drops connections by `drop_scores`, grows as many by `grow_scores`."""
    del target_sparsity
    scores = {
      'drop_scores': self.drop_scores(kernel),
      'grow_scores': self.grow_scores(kernel, train_step, seed),
    }
    for name, values in scores.items():
      if tuple(np.shape(values)) != tuple(kernel.mask.shape):
        raise ValueError(
          f'Expected {type(self).__name__}.{name} to return the shape of the '
          f'mask, {tuple(kernel.mask.shape)}. Received: '
          f'{tuple(np.shape(values))}.'
        )
    return kernel.structure.drop_and_grow(
      kernel.mask, *scores.values(), self.drop_fraction(train_step)
    )


@_serializable
class RigL(SET):
  """Drops small weights, grows where the gradient of the loss is largest.

  Reference: Evci et al. 2020. Averaging over batches is an option of the code
  of RLx2, Tan et al. 2023 (arXiv 2205.15043).
  """

  def __init__(
    self,
    drop_fraction=0.3,
    mask_update_period=100,
    mask_update_end_train_step=None,
    seed=0,
    grow_batches=1,
  ):
    """Initializes the schedule.

    Args:
      drop_fraction: see `SET`.
      mask_update_period: see `SET`.
      mask_update_end_train_step: see `SET`.
      seed: see `SET`.
      grow_batches: number of train steps, up to and including that of the
        update, over which gradients are averaged; at most the period.

    Raises:
      ValueError: for numbers out of range.
    """
    super().__init__(
      drop_fraction, mask_update_period, mask_update_end_train_step, seed
    )
    if not 1 <= grow_batches <= mask_update_period:
      raise ValueError(
        'Expected grow_batches from 1 to mask_update_period. Received: '
        f'grow_batches={grow_batches}, mask_update_period={mask_update_period}.'
      )
    self.grow_batches = int(grow_batches)

  def get_config(self):
    """Returns the config; see `SET`."""
    return {**super().get_config(), 'grow_batches': self.grow_batches}

  def grow_scores(self, kernel, train_step, seed):
    """Returns the magnitude of the dense gradient."""
    del train_step, seed
    return tf.abs(kernel.gradient)
