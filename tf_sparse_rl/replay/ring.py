"""A ring of env steps: every observation once, whatever is drawn from it."""

import abc

import numpy as np

# Values of the column `end`; 0 if the next step follows.
LAST = 1.0  # The last step of an episode.
NEWEST = -1.0  # The newest step of a running episode.


class Ring(abc.ABC):
  """A ring buffer of the newest env steps of environments that add in turn.

  Steps are numbered from the first one ever added: step i is of environment
  i % num_envs and stored at i % capacity.

  The next observation of a step is the observation of the next step of its
  environment. If there is none, `end` is not 0 and it is stored separately.

  Subclasses define the stored part of observations and the samples.

  Attributes:
    capacity: maximum number of steps; the oldest is overwritten.
    num_envs: number of environments, which add in turn.
    num_added: steps ever added.
    num_forgotten: of these, the first ones that are no longer sampled, although
      they may be stored.
  """

  def __init__(self, capacity, num_envs, layout, returns, observations=None):
    """Allocates the memory, page by page as it is written.

    Args:
      capacity: steps.
      num_envs: number of environments, which add in turn.
      layout: Layout of a step, see `rows.step`.
      returns: `n_step.Returns` of samples; rewards are stored unchanged.
      observations: array `[capacity, ...]` for observations; None for the
        column of that name.
    """
    self.capacity, self.num_envs, self.num_added = capacity, num_envs, 0
    self.num_forgotten = 0
    self._layout, self._returns = layout, returns
    self._reward = layout['reward'].start  # The discount and the end follow.
    self._steps = np.zeros((capacity, layout.size), np.float32)
    if observations is None:
      observations = self._steps[:, layout['observation']]
    self._observations = observations
    self._beside = {}  # {index: next observation of the step there}

  def __len__(self):
    return min(self.num_added, self.capacity)

  @property
  def num_drawn(self):
    """Number of steps that may be sampled, incomplete ones included."""
    return self.num_added - self._oldest

  def forget(self, count):
    """Excludes the `count` oldest steps from sampling."""
    self.num_forgotten = self._oldest + count

  @property
  def num_bytes(self):
    """Memory of a full ring."""
    return self._steps.nbytes

  def add(self, observation, action, step):
    """Adds one step.

    Args:
      observation: before the action.
      action: int or float array.
      step: the Step of the action.
    """
    place = self.num_added % self.capacity
    over = step.terminated or step.truncated
    self._observations[place] = self._kept(observation)
    row = self._steps[place]
    row[self._layout['action']] = action
    # One by one, which is faster than from a tuple.
    row[self._reward] = step.reward
    row[self._reward + 1] = 0.0 if step.terminated else 1.0
    row[self._reward + 2] = LAST if over else NEWEST
    self._beside[place] = np.array(
      self._kept(step.observation), self._observations.dtype
    )
    self.num_added += 1
    if self.num_envs < len(self):
      before = (place - self.num_envs) % self.capacity
      if self._steps[before, -1] == NEWEST:
        self._steps[before, -1] = 0.0
        del self._beside[before]

  def column(self, name, numbers):
    """Copies a column of one entry by numbers of steps, float32."""
    # One index is faster than two.
    entries = numbers % self.capacity * self._layout.size
    return self._steps.ravel().take(entries + self._layout[name].start)

  def collected(self, numbers):
    """Returns rewards and observations in the order of collection.

    Args:
      numbers: int64 `[steps]`, counted from the first ever added.

    Returns:
      `{name: array [steps, entries]}` of observations before the actions, and
      of rewards.
    """
    places = numbers % self.capacity
    observations = self._take(places).reshape(len(numbers), -1)
    return {
      'the observation': observations,
      'the reward': self.column('reward', numbers)[:, np.newaxis],
    }

  def restore(self, segments, num_added):
    """Restores the content of another ring.

    Args:
      segments: iterable of (begin, result of `rows`), in order.
      num_added: steps ever added to the other ring.

    Raises:
      ValueError: if rows have another layout or are missing.
    """
    self._beside, self.num_added = {}, num_added
    held = np.zeros(self.capacity, bool)
    for begin, rows in segments:
      held[self._load(begin, rows) % self.capacity] = True
    if held.sum() != len(self):
      raise ValueError(
        f'Expected {len(self)} transitions. Received: {held.sum()}.'
      )

  @property
  @abc.abstractmethod
  def drawable(self):
    """Range of the numbers of complete transitions.

    The newest of each environment are incomplete, without next observations.
    """

  @abc.abstractmethod
  def transitions(self, numbers):
    """Copies transitions by number.

    Args:
      numbers: int64 `[batch]`, within `drawable`.
    """

  def sample(self, batch_size, rng):
    """Samples transitions uniformly with replacement."""
    numbers = self.drawable
    return self.transitions(
      rng.integers(numbers.start, numbers.stop, size=batch_size)
    )

  @abc.abstractmethod
  def rows(self, begin, end):
    """Returns the steps from `begin` to before `end`, for a file."""

  @abc.abstractmethod
  def _load(self, begin, rows):
    """Loads a segment of `rows`; returns the numbers of its steps."""

  @property
  def _oldest(self):
    """Number of the oldest step that may be sampled."""
    return max(self.num_added - len(self), self.num_forgotten)

  @property
  def _num_steps(self):
    """Current maximum number of rewards in a return."""
    return self._returns.num_steps(self.num_added)

  def _kept(self, observation):
    """The stored part of an observation."""
    return observation

  def _take(self, places):
    """Stored observations at indices, which may exceed the capacity."""
    return self._observations.take(places, axis=0, mode='wrap')

  def _led_to(self, places, ends):
    """Stored next observations of steps, given their `end`."""
    observations = self._take(places + self.num_envs)
    found = np.flatnonzero(ends)
    for i, place in zip(found.tolist(), places[found].tolist()):
      observations[i] = self._beside[place]
    return observations
