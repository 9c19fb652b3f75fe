"""Prioritized replay: transitions are drawn by their last loss."""

from typing import Any, NamedTuple

import numpy as np

_SMALLEST_LOSS = 1e-10  # Dopamine's.


class Weighted(NamedTuple):
  """A batch of transitions, and the weights of their losses."""

  rows: Any  # as a Ring's `transitions`
  weights: np.ndarray  # float32 [batch]


class SumTree:
  """Numbers of at least 0, and a binary tree of their sums.

  Each sum is that of its two children, computed anew when one changes: it
  depends on the numbers alone, not on how they came about.
  """

  def __init__(self, size):
    """Takes the number of numbers, which are 0 at first."""
    self._depth = (size - 1).bit_length()
    self._first = 1 << self._depth  # The root is node 1; here are the numbers.
    self._nodes = np.zeros(2 * self._first)

  @property
  def total(self):
    """The sum of all numbers."""
    return self._nodes[1]

  def __getitem__(self, places):
    return self._nodes[self._first + places]

  def __setitem__(self, places, values):
    """Sets numbers; of a place that is there twice the last."""
    nodes, nodes_of = self._first + places, self._nodes
    nodes_of[nodes] = values
    for _ in range(self._depth):
      nodes = nodes >> 1
      nodes_of[nodes] = nodes_of[2 * nodes] + nodes_of[2 * nodes + 1]

  def find(self, sums):
    """Places at which the sum of the numbers up to there exceeds others.

    Args:
      sums: float64 `[batch]`, at least 0 and below `total`.

    Returns:
      int64 `[batch]`, never the place of a 0.
    """
    nodes = np.ones(len(sums), np.int64)
    for _ in range(self._depth):
      left = 2 * nodes
      of_left = self._nodes[left]
      # Rounding leads to nothing that is 0.
      goes_right = (sums >= of_left) & (self._nodes[left + 1] > 0)
      sums = sums - goes_right * of_left
      nodes = left + goes_right
    return nodes - self._first


class Priorities:
  """The priorities of the transitions of a Ring.

  A transition is drawn with a probability proportional to its priority, which
  is `loss ** exponent` of the last time that it was drawn, and before that the
  highest so far. Weights `probability ** -importance_exponent` make up for it;
  the highest of a batch is 1. Batches are stratified.

  Reference: Schaul et al. 2016 (arXiv 1511.05952), section 3; by the loss and
  with these weights as in Dopamine's Rainbow.
  """

  def __init__(self, ring, exponent, importance_exponent):
    """Takes a Ring and the two exponents."""
    self._ring, self._exponent = ring, exponent
    self._importance_exponent = importance_exponent
    self._tree = SumTree(ring.capacity)
    self._known = range(0)  # Numbers of the transitions with a priority.
    self._highest = 1.0

  def draw(self, batch_size, rng):
    """Draws transitions with a NumPy generator.

    Returns:
      (Weighted, numbers): the batch, and the numbers of its transitions, int64
      `[batch]`.
    """
    self._follow()
    strata = (np.arange(batch_size) + rng.random(batch_size)) / batch_size
    places = self._tree.find(strata * self._tree.total)
    first = self._known.start
    numbers = first + (places - first) % self._ring.capacity
    drawn = self._tree[places]
    weights = (drawn.min() / drawn) ** self._importance_exponent
    rows = self._ring.transitions(numbers)
    return Weighted(rows, weights.astype(np.float32)), numbers

  def update(self, numbers, losses):
    """Sets priorities by number, of losses `[batch]`, float32."""
    priorities = (losses + np.float32(_SMALLEST_LOSS)) ** self._exponent
    self._tree[numbers % self._ring.capacity] = priorities
    self._highest = max(self._highest, float(priorities.max()))

  def _follow(self):
    """Gives and takes priorities as the ring's drawable transitions change."""
    before, now = self._known, self._ring.drawable
    gone = [
      np.arange(before.start, min(before.stop, now.start)),
      np.arange(max(before.start, now.stop), before.stop),
    ]
    new = np.arange(max(before.stop, now.start), now.stop)
    places = np.concatenate([*gone, new]) % self._ring.capacity
    values = np.zeros(len(places))
    values[len(places) - len(new) :] = self._highest
    self._tree[places] = values
    self._known = now

  def to_bytes(self):
    """All that `draw` depends on besides the ring."""
    known = np.arange(self._known.start, self._known.stop)
    head = np.array([known.size, self._known.start, self._highest])
    priorities = self._tree[known % self._ring.capacity]
    return head.tobytes() + priorities.astype(np.float32).tobytes()

  def from_bytes(self, value):
    """Restores what `to_bytes` returned; ValueError for something else."""
    head = np.frombuffer(value[:24])
    priorities = np.frombuffer(value[24:], np.float32)
    size = priorities.size
    is_ours = len(head) == 3 and np.isfinite(head).all() and head[0] == size
    if not (is_ours and size <= self._ring.capacity and (priorities > 0).all()):
      raise ValueError(
        'Expected the priorities of a replay. Received others, of '
        f'{size} transitions.'
      )
    start, self._highest = int(head[1]), float(head[2])
    self._known = range(start, start + size)
    self._tree = SumTree(self._ring.capacity)
    self._tree[np.arange(start, start + size) % self._ring.capacity] = (
      priorities
    )
