"""A ring of env steps: every observation once, whatever is drawn from it."""

import abc

import numpy as np

# Values of the column `end`; it is 0 where the next step follows.
LAST = 1.0  # The last step of an episode.
NEWEST = -1.0  # The newest of an environment, whose episode goes on.


class Ring(abc.ABC):
  """The newest env steps of environments that add in turn.

  Steps have numbers, counted from the first that was ever added: step i is of
  environment i % num_envs and lies at place i % capacity.

  What a step led to is what the next step of its environment was taken on.
  Where there is none, its `end` is not 0 and the observation is kept beside.

  Subclasses say what is kept of an observation, and what is drawn.
  """

  def __init__(self, capacity, num_envs, layout, observations=None):
    """Takes the memory, which comes as it is written.

    Args:
      capacity: steps; the oldest is overwritten.
      num_envs: environments that add in turn.
      layout: Layout of a step, see `rows.step`.
      observations: array `[capacity, ...]` of what is kept of observations;
        None for the column of that name.
    """
    self._layout = layout
    self._outcome = slice(layout['reward'].start, None)
    self._steps = np.zeros((capacity, layout.size), np.float32)
    if observations is None:
      observations = self._steps[:, layout['observation']]
    self._observations = observations
    self._beside = {}  # {place: what the step there led to}
    self._num_envs = num_envs
    self._added = 0

  def __len__(self):
    return min(self._added, self.capacity)

  @property
  def capacity(self):
    """Steps that it holds at most."""
    return len(self._steps)

  @property
  def num_added(self):
    """Steps ever added."""
    return self._added

  @property
  def num_envs(self):
    """Environments that add in turn."""
    return self._num_envs

  @property
  def num_bytes(self):
    """Memory of the ring once it is full."""
    return self._steps.nbytes

  def add(self, observation, action, step):
    """Adds one step.

    Args:
      observation: what the action was taken on; unless an episode begins, what
        the step before of this environment led to.
      action: int or float array.
      step: the Step it led to.
    """
    place = self._added % self.capacity
    over = step.terminated or step.truncated
    self._observations[place] = self._kept(observation)
    row = self._steps[place]
    row[self._layout['action']] = action
    row[self._outcome] = (
      step.reward,
      0.0 if step.terminated else 1.0,
      LAST if over else NEWEST,
    )
    self._beside[place] = np.array(
      self._kept(step.observation), self._observations.dtype
    )
    self._added += 1
    if self._num_envs < len(self):
      self._follow((place - self._num_envs) % self.capacity)

  def column(self, name, numbers):
    """One entry of each step.

    Args:
      name: of a column of one entry, see `rows.step`.
      numbers: int64, any shape.

    Returns:
      float32, of that shape, a copy.
    """
    # One index is faster than two.
    entries = numbers % self.capacity * self._layout.size
    return self._steps.ravel().take(entries + self._layout[name].start)

  def collected(self, numbers):
    """What environments returned, to look for what is wrong with it.

    Args:
      numbers: int64 `[steps]`, counted from the first that was ever added.

    Returns:
      `{name: array [steps, entries]}` of rewards and observations.
    """
    places = numbers % self.capacity
    observations = self._take(places).reshape(len(numbers), -1)
    return {
      'the reward': self.column('reward', numbers)[:, np.newaxis],
      'the observation': observations,
    }

  def restore(self, segments, num_added):
    """Takes over the content of another ring.

    Args:
      segments: iterable of (begin, rows), as `rows` returned them, in order.
      num_added: steps ever added to that one.

    Raises:
      ValueError: if the rows are of another kind, or some are missing.
    """
    self._beside, self._added = {}, num_added
    held = np.zeros(self.capacity, bool)
    for begin, rows in segments:
      held[self._load(begin, rows) % self.capacity] = True
    if held.sum() != len(self):
      raise ValueError(
        f'Expected {len(self)} transitions. Received: {held.sum()}.'
      )

  @property
  def _oldest(self):
    """Number of the oldest step."""
    return self._added - len(self)

  def _kept(self, observation):
    """What is kept of an observation."""
    return observation

  def _take(self, places):
    """What is kept of the observations at places, which may exceed the end."""
    return self._observations.take(places, axis=0, mode='wrap')

  @abc.abstractmethod
  def _load(self, begin, rows):
    """Takes over a segment; returns the numbers of the steps in it."""

  def _follow(self, place):
    """Notes that the step at a place is no longer its environment's newest."""
    if self._steps[place, -1] == NEWEST:
      self._steps[place, -1] = 0.0
      del self._beside[place]

  def _led_to(self, places, ends):
    """What is kept of the observations that steps led to, given their `end`."""
    observations = self._take(places + self._num_envs)
    found = np.flatnonzero(ends)
    for i, place in zip(found.tolist(), places[found].tolist()):
      observations[i] = self._beside[place]
    return observations
