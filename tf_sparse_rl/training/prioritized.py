"""The prioritized replay of a run, as the learner and checkpoints take it."""

import tensorflow as tf

from tf_sparse_rl import replay, seeds


class Prioritized:
  """Draws batches by priority, from a random stream of each train step.

  Attributes:
    saved: `{name: tf.Module}`, to save in checkpoints.
  """

  def __init__(self, config, buffer):
    """Takes a Config and the buffer of its run."""
    self._config = config
    self._priorities = replay.Priorities(
      buffer, config.priority_exponent, config.importance_exponent
    )
    self.saved = {'priorities': _Saved(self._priorities)}

  def draw(self, train_step):
    """Draws a batch; see `replay.Priorities`."""
    config = self._config
    rng = seeds.generator(config.seed, seeds.Stream.PRIORITY, train_step)
    return self._priorities.draw(config.batch_size, rng)

  def update(self, numbers, losses):
    """Sets priorities by the losses of a train step, a tensor `[batch]`."""
    self._priorities.update(numbers, losses.numpy())


def make(config, buffer):
  """Makes the Prioritized of a run; None for uniform replay."""
  return Prioritized(config, buffer) if config.priority_exponent else None


class _Saved(tf.Module):
  def __init__(self, priorities):
    super().__init__()
    self.state = _State(priorities)


class _State(tf.train.experimental.PythonState):
  """Priorities as bytes in a checkpoint of TensorFlow."""

  def __init__(self, priorities):
    self._priorities = priorities

  def serialize(self):
    return self._priorities.to_bytes()

  def deserialize(self, value):
    self._priorities.from_bytes(value)
