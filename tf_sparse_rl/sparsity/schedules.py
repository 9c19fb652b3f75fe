"""Schedules of mask updates, drop fractions and sparsities.

All schedules count train steps, that is, updates by the optimizer.
"""

import math

import tensorflow as tf
from tensorflow_model_optimization.python.core.sparsity.keras import (
  pruning_schedule,
)

_serializable = tf.keras.utils.register_keras_serializable('tf_sparse_rl')


def is_due(train_step, period, begin_train_step=0, end_train_step=None):
  """Whether a mask update falls on a train step.

  Args:
    train_step: int or integer tensor; train steps done so far.
    period: train steps from one update to the next, counted from
      `begin_train_step`.
    begin_train_step: first train step with an update.
    end_train_step: last train step that may have an update; None for no end.

  Returns:
    A bool scalar tensor.
  """
  train_step = tf.cast(train_step, tf.int64)
  due = (train_step >= begin_train_step) & (
    (train_step - begin_train_step) % period == 0
  )
  if end_train_step is not None:
    due &= train_step <= end_train_step
  return due


class _DropFraction:
  """Base class of drop fractions that Keras can save and load."""

  @classmethod
  def from_config(cls, config):
    """Creates a schedule from the result of `get_config`."""
    return cls(**config)


@_serializable
class ConstantDropFraction(_DropFraction):
  """The same drop fraction at every update."""

  def __init__(self, value):
    """Initializes the schedule.

    Args:
      value: fraction of the active connections replaced, in [0, 1].
    """
    _check_fraction('value', value)
    self.value = float(value)

  def __call__(self, train_step):
    """Returns the drop fraction, a float32 scalar."""
    del train_step
    return tf.constant(self.value, tf.float32)

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {'value': self.value}


@_serializable
class CosineDropFraction(_DropFraction):
  """`initial / 2 * (1 + cos(pi * min(t, T) / T))`: from initial to 0 at T.

  Reference: Dettmers & Zettlemoyer 2019; Evci et al. 2020, section 3.
  """

  def __init__(self, initial, end_train_step):
    """Initializes the schedule.

    Args:
      initial: drop fraction at train step 0, in [0, 1].
      end_train_step: the train step T at which the fraction reaches 0.
    """
    _check_fraction('initial', initial)
    if end_train_step <= 0:
      raise ValueError(
        'Expected end_train_step > 0; for updates that never end, use '
        f'ConstantDropFraction. Received: end_train_step={end_train_step}.'
      )
    self.initial = float(initial)
    self.end_train_step = int(end_train_step)

  def __call__(self, train_step):
    """Returns the drop fraction at `train_step`, a float32 scalar."""
    # Cast after the clip, so that float32 is exact.
    step = tf.minimum(tf.cast(train_step, tf.int64), self.end_train_step)
    progress = tf.cast(step, tf.float32) / self.end_train_step
    return self.initial / 2 * (1 + tf.cos(math.pi * progress))

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {'initial': self.initial, 'end_train_step': self.end_train_step}


class CubicSparsity:
  """Sparsity that rises from initial to final with power 3.

  Reference: Zhu & Gupta 2017; computed by TFMOT's `PolynomialDecay`.
  """

  def __init__(self, initial, final, begin_train_step, end_train_step, period):
    """Initializes the schedule.

    Args:
      initial: sparsity up to `begin_train_step`, in [0, 1).
      final: sparsity from `end_train_step` on, in [0, 1).
      begin_train_step: first train step with an update.
      end_train_step: last train step with an update.
      period: train steps from one update to the next.

    Raises:
      ValueError: for numbers out of range.
    """
    for name, value in {'initial': initial, 'final': final}.items():
      if not 0 <= value < 1:
        raise ValueError(
          f'Expected a sparsity in [0, 1). Received: {name}={value}.'
        )
    if period < 1:
      raise ValueError(
        f'Expected period >= 1 train steps. Received: period={period}.'
      )
    if not 0 <= begin_train_step < end_train_step:
      raise ValueError(
        'Expected 0 <= begin_train_step < end_train_step. Received: '
        f'begin_train_step={begin_train_step}, '
        f'end_train_step={end_train_step}.'
      )
    self._decay = pruning_schedule.PolynomialDecay(
      initial, final, begin_train_step, end_train_step, 3, period
    )

  def is_due(self, train_step):
    """Returns whether masks are updated at `train_step`, a bool scalar."""
    return self._decay(tf.cast(train_step, tf.int64))[0]

  def __call__(self, train_step):
    """Returns the sparsity at `train_step`, a float32 scalar."""
    return self._decay(tf.cast(train_step, tf.int64))[1]


def _check_fraction(name, value):
  if not 0 <= value <= 1:
    raise ValueError(
      f'Expected a fraction in [0, 1]. Received: {name}={value}.'
    )
