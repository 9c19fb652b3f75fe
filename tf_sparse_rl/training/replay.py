"""A uniform replay buffer: a ring of transitions in one NumPy array."""

import numpy as np


class Replay:
  """Transitions as float32 rows: observation, action, reward, discount, next.

  One array, so that a batch is one indexed copy and reaches TensorFlow as one
  tensor. Memory: 4 bytes x (2 observation_size + action_size + 2) a
  transition, taken as it fills.
  """

  def __init__(self, capacity, observation_size, action_size):
    """Allocates the ring.

    Args:
      capacity: transitions; the oldest is overwritten.
      observation_size: entries of an observation.
      action_size: entries of an action; 1 for a discrete one.
    """
    self._size = observation_size
    row_size = 2 * observation_size + action_size + 2
    # Zeros are not touched until written, so memory comes as needed.
    self._rows = np.zeros((capacity, row_size), np.float32)
    self._added = 0

  def __len__(self):
    return min(self._added, len(self._rows))

  @property
  def capacity(self):
    """Transitions that it holds at most."""
    return len(self._rows)

  @property
  def num_added(self):
    """Transitions ever added."""
    return self._added

  @property
  def num_bytes(self):
    """Memory of the ring once it is full."""
    return self._rows.nbytes

  @property
  def row_size(self):
    """Entries of a row."""
    return self._rows.shape[1]

  def add(self, observation, action, step):
    """Adds one transition.

    Args:
      observation: what the action was taken on.
      action: int or float array.
      step: the Step it led to; the discount is 0 if it is terminated, and 1
        if it is merely truncated.
    """
    row = self._rows[self._added % len(self._rows)]
    size = self._size
    row[:size] = observation
    row[size : -size - 2] = action
    row[-size - 2] = step.reward
    row[-size - 1] = 0.0 if step.terminated else 1.0
    row[-size:] = step.observation
    self._added += 1

  def sample(self, batch_size, rng):
    """Draws transitions uniformly, with replacement.

    Args:
      batch_size: number of rows.
      rng: NumPy generator.

    Returns:
      float32 `[batch_size, row_size]`, a copy.
    """
    return self._rows.take(rng.integers(len(self), size=batch_size), axis=0)

  def rows(self, begin, end):
    """Rows by number, counted from the first that was ever added.

    Args:
      begin: number of the first; it must still be there.
      end: number after the last.

    Returns:
      float32 `[end - begin, row_size]`, a copy.
    """
    return self._rows.take(np.arange(begin, end) % len(self._rows), axis=0)

  def restore(self, segments, num_added):
    """Takes over the content of another replay.

    Args:
      segments: iterable of (begin, rows), as `rows` returned them.
      num_added: transitions ever added to that one.

    Raises:
      ValueError: if the rows have another size, or some are missing.
    """
    held = np.zeros(len(self._rows), bool)
    for begin, rows in segments:
      if rows.ndim != 2 or rows.shape[1] != self.row_size:
        raise ValueError(
          f'Expected rows of {self.row_size} entries. Received: {rows.shape}.'
        )
      places = np.arange(begin, begin + len(rows)) % len(self._rows)
      self._rows[places] = rows
      held[places] = True
    self._added = num_added
    if held.sum() != len(self):
      raise ValueError(
        f'Expected {len(self)} transitions. Received: {held.sum()}.'
      )
