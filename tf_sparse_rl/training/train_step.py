"""Train steps, compiled by TensorFlow or fused."""

import contextlib
import math
import re

import numpy as np
import tensorflow as tf

from tf_sparse_rl.agents import steps
from tf_sparse_rl.native import resting
from tf_sparse_rl.training import divergence


class TrainStep:
  """A compiled train step, traced with and without mask updates.

  If there is a fused train step, it replaces the one without mask updates, and
  where it can the one with them.
  """

  def __init__(self, agent, function, specs, jit, fused=None):
    """Compiles `function(masks_may_change)`, which returns scalars last."""
    self._agent, self._fused = agent, fused
    if not tf.distribute.has_strategy():  # Replicas make their own.
      steps.build_slots(agent.descents)
    updates_masks = agent.updates_masks
    self._fuses_masks = fused is not None and fused.moves_masks
    self._changing, self._preparing = (
      _TrainSteps(condition if updates_masks else None)
      for condition in (agent.updates_masks_at, agent.prepares_masks_at)
    )
    self._compiled = {
      may: compiled(function(may), *specs, jit=jit)
      for may in (True, False)
      if (updates_masks and not self._fuses_masks if may else fused is None)
    }
    if fused is None:
      resting.wake(agent.tf_agent.variables)
      for _, owners in agent.descents:
        resting.wake(steps.variables_of(owners))
    else:
      fused.rest()
    self._count = None  # Known at the first train step; may change until then.
    self.first_huge_loss = None  # (train step, loss), see `divergence`
    self.masks_changed = 0  # Train steps that may have changed masks.

  @property
  def is_fused(self):
    """Whether there is a fused train step."""
    return self._fused is not None

  @property
  def count(self):
    """Train steps so far."""
    if self._count is None:
      self._count = self._agent.train_step
    return self._count

  def wake(self):
    """Gives all variables their tensors, if the fused step has them."""
    if self._fused is not None:
      self._fused.wake()

  def act(self, observations, noise):
    """Actions by the fused train step; see `native.fused.TrainStep`."""
    return self._fused.act(observations, noise)

  def __call__(self, *inputs):
    """Takes a train step; FloatingPointError if the loss is not finite."""
    may_change = self.count in self._preparing
    if self._fused is None or (may_change and not self._fuses_masks):
      return self._by_tensorflow(inputs, may_change)
    with _finite_losses():
      result = self._fused(*inputs, masks_may_change=may_change)
    self._note(result[-1]['Losses/total_loss'], may_change)
    return result

  def _by_tensorflow(self, inputs, may_change):
    """One train step, compiled."""
    self.wake()
    with _finite_losses():
      result = self._compiled[may_change](*map(_tensors, inputs))
    scalars = result[-1] if isinstance(result, (tuple, list)) else result
    self._note(scalars['Losses/total_loss'], may_change)
    return result

  def _note(self, total_loss, may_change=False):
    """Counts a train step, in which masks may have changed."""
    self.masks_changed += may_change and self.count in self._changing
    total_loss = float(total_loss)
    if not math.isfinite(total_loss):
      raise FloatingPointError(f'Loss is {total_loss}')
    self._count = self.count + 1
    if abs(total_loss) > divergence.HUGE and not self.first_huge_loss:
      self.first_huge_loss = self._count, total_loss


class RolloutTrainStep(TrainStep):
  """A TrainStep of agents with rollouts: many fused steps in one call."""

  def on_batches(self, rows, batches):
    """Takes train steps on batches of prepared rows.

    Args:
      rows: float32 `[env steps, row size]`.
      batches: int64 `[train steps, batch]`, numbers of rows.

    Returns:
      The scalars of the last one.

    Raises:
      FloatingPointError: if a loss is not finite; the train steps before it
        have been done.
    """
    done = 0
    while done < len(batches):
      left = batches[done:]
      free = self._preparing.following(self.count, len(left))
      if self._fused is None or not free:
        scalars = self._by_tensorflow((rows[left[0]],), may_change=not free)
        done += 1
      else:
        losses, scalars = self._fused(rows, left[:free])
        for loss in losses.tolist():
          self._note(loss)
        done += free
    return scalars


@contextlib.contextmanager
def _finite_losses():
  """Raises FloatingPointError for the agent's own check of its losses."""
  try:
    yield
  except tf.errors.InvalidArgumentError as error:
    # Weights may have changed. XLA leaves the check out.
    found = re.search(r'(\w+ l|L)oss is inf or nan', error.message)
    if not found:
      raise
    raise FloatingPointError(found[0]) from error


def _tensors(arrays):
  """Converts an array, or a nest of arrays, to tensors."""
  if isinstance(arrays, np.ndarray):
    return tf.constant(arrays)
  return tf.nest.map_structure(lambda x: tf.constant(_in_order(x)), arrays)


def _in_order(array):
  """Images of a replay, which lie channel by channel, in C order."""
  is_image = isinstance(array, np.ndarray) and array.ndim == 4
  if not is_image or array.flags.c_contiguous:
    return array
  ordered = np.empty(array.shape, array.dtype)
  # One channel at a time, four times as fast as `np.ascontiguousarray`.
  for channel in range(array.shape[-1]):
    ordered[..., channel] = array[..., channel]
  return ordered


def compiled(function, *specs, jit=False):
  """A concrete function."""
  return tf.function(
    function, autograph=False, jit_compile=jit
  ).get_concrete_function(*specs)


class _TrainSteps:
  """The train steps of which a condition is true, found in blocks."""

  _BLOCK = 4096

  def __init__(self, condition):
    """Takes a function of train steps; None if it is never true."""
    self._condition = condition
    self._block, self._true = None, ()

  def following(self, train_step, limit):
    """Number of train steps from the given one until the next of these."""
    steps = range(train_step, train_step + limit)
    return next((i for i, step in enumerate(steps) if step in self), limit)

  def __contains__(self, train_step):
    if self._condition is None:
      return False
    block, index = divmod(train_step, self._BLOCK)
    if block != self._block:
      numbers = tf.range(self._BLOCK, dtype=tf.int64) + block * self._BLOCK
      self._block, self._true = block, self._condition(numbers)
    return bool(self._true[index])
