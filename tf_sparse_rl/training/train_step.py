"""Train steps as a learner makes them: compiled, or fused where they can be."""

import contextlib
import math
import re

import numpy as np
import tensorflow as tf

from tf_sparse_rl.agents import steps
from tf_sparse_rl.training import divergence


class TrainStep:
  """A compiled train step, traced with and without updates of masks.

  Where there is a fused train step, the second is that.
  """

  def __init__(self, agent, function, specs, jit, fused=None):
    """Compiles `function(masks_may_change)`, which returns scalars last."""
    self._agent, self._fused = agent, fused
    if not tf.distribute.has_strategy():  # Replicas make their own.
      steps.build_slots(agent.descents)
    optimizers = [o for o in agent.optimizers.values() if o.updates_masks]
    self._due_train_steps = _DueTrainSteps(agent if optimizers else None)
    self._compiled = {
      may: compiled(function(may), *specs, jit=jit)
      for may in (True, False)
      if (optimizers if may else fused is None)
    }
    self._count = None  # Known once it trains: until then it may change.
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

  def __call__(self, *inputs):
    """One train step; FloatingPointError if the loss is not finite."""
    may_change = self.count in self._due_train_steps
    if self._fused is None or may_change:
      return self._by_tensorflow(inputs, may_change)
    with _finite_losses():
      result = self._fused(*inputs)
    self._note(result[-1]['Losses/total_loss'])
    return result

  def _by_tensorflow(self, inputs, may_change):
    """One train step, compiled."""
    self.wake()
    with _finite_losses():
      result = self._compiled[may_change](*map(_tensors, inputs))
    scalars = result[-1] if isinstance(result, (tuple, list)) else result
    self._note(scalars['Losses/total_loss'])
    self.masks_changed += may_change
    return result

  def _note(self, total_loss):
    """Counts a train step."""
    total_loss = float(total_loss)
    if not math.isfinite(total_loss):
      raise FloatingPointError(f'Loss is {total_loss}')
    self._count = self.count + 1
    if abs(total_loss) > divergence.HUGE and not self.first_huge_loss:
      self.first_huge_loss = self._count, total_loss


class RolloutTrainStep(TrainStep):
  """The same of an agent with `rollouts`, whose fused train steps are many."""

  def on_batches(self, rows, batches):
    """Train steps on batches of prepared rows, in turn.

    Args:
      rows: float32 `[env steps, row size]`.
      batches: int64 `[train steps, batch]`, numbers of rows.

    Returns:
      The scalars of the last.

    Raises:
      FloatingPointError: if a loss is not finite; the train steps before it
        have been done.
    """
    done = 0
    while done < len(batches):
      left = batches[done:]
      free = self._due_train_steps.following(self.count, len(left))
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
  """FloatingPointError from the agent's own check of its losses."""
  try:
    yield
  except tf.errors.InvalidArgumentError as error:
    # Weights may have changed. XLA leaves the check out.
    found = re.search(r'(\w+ l|L)oss is inf or nan', error.message)
    if not found:
      raise
    raise FloatingPointError(found[0]) from error


def _tensors(arrays):
  """Tensors of an array, or of a nest of arrays."""
  if isinstance(arrays, np.ndarray):
    return tf.constant(arrays)
  return tf.nest.map_structure(tf.constant, arrays)


def compiled(function, *specs, jit=False):
  """A concrete function."""
  return tf.function(
    function, autograph=False, jit_compile=jit
  ).get_concrete_function(*specs)


class _DueTrainSteps:
  """The train steps at which some optimizer changes masks, found in blocks."""

  _BLOCK = 4096

  def __init__(self, agent):
    """Takes the agent; None if its masks never change."""
    self._agent = agent
    self._block, self._due = None, ()

  def following(self, train_step, limit):
    """How many train steps, from one on, come before the next of these."""
    steps = range(train_step, train_step + limit)
    return next((i for i, step in enumerate(steps) if step in self), limit)

  def __contains__(self, train_step):
    if self._agent is None:
      return False
    block, index = divmod(train_step, self._BLOCK)
    if block != self._block:
      numbers = tf.range(self._BLOCK, dtype=tf.int64) + block * self._BLOCK
      self._block, self._due = block, self._agent.updates_masks_at(numbers)
    return bool(self._due[index])
