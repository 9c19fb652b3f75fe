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

  Attributes:
    capacity: steps that it holds at most; the oldest is overwritten.
    num_envs: environments that add in turn.
    num_added: steps ever added.
    num_forgotten: of these, the first ones that are not drawn any more,
      although they may be held.
  """

  def __init__(self, capacity, num_envs, layout, returns, observations=None):
    """Takes the memory, which comes as it is written.

    Args:
      capacity: steps.
      num_envs: environments that add in turn.
      layout: Layout of a step, see `rows.step`.
      returns: `n_step.Returns`, how rewards are drawn; they are kept as they
        are.
      observations: array `[capacity, ...]` of what is kept of observations;
        None for the column of that name.
    """
    self.capacity, self.num_envs, self.num_added = capacity, num_envs, 0
    self.num_forgotten = 0
    self._layout, self._returns = layout, returns
    self._reward = layout['reward'].start  # The discount and the end follow.
    self._steps = np.zeros((capacity, layout.size), np.float32)
    if observations is None:
      observations = self._steps[:, layout['observation']]
    self._observations = observations
    self._beside = {}  # {place: what the step there led to}

  def __len__(self):
    return min(self.num_added, self.capacity)

  @property
  def num_drawn(self):
    """Steps that may be drawn, apart from the newest that are not whole."""
    return self.num_added - self._oldest

  def forget(self, count):
    """Draws the `count` oldest of these steps no more."""
    self.num_forgotten = self._oldest + count

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
    """A column of one entry, of steps by number: float32, a copy."""
    # One index is faster than two.
    entries = numbers % self.capacity * self._layout.size
    return self._steps.ravel().take(entries + self._layout[name].start)

  def collected(self, numbers):
    """Rewards and observations as environments returned them.

    Args:
      numbers: int64 `[steps]`, counted from the first that was ever added.

    Returns:
      `{name: array [steps, entries]}` of the observations that actions were
      taken on, and of rewards, in the order in which they came.
    """
    places = numbers % self.capacity
    observations = self._take(places).reshape(len(numbers), -1)
    return {
      'the observation': observations,
      'the reward': self.column('reward', numbers)[:, np.newaxis],
    }

  def restore(self, segments, num_added):
    """Takes over the content of another ring.

    Args:
      segments: iterable of (begin, rows), as `rows` returned them, in order.
      num_added: steps ever added to that one.

    Raises:
      ValueError: if the rows are of another kind, or some are missing.
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
    """Range of the numbers of the transitions that are whole.

    The newest of each environment are not: what they lead to is not here yet.
    """

  @abc.abstractmethod
  def transitions(self, numbers):
    """Transitions by number, copies.

    Args:
      numbers: int64 `[batch]`, all of them `drawable`.
    """

  def sample(self, batch_size, rng):
    """Draws transitions uniformly, with replacement, by a NumPy generator."""
    numbers = self.drawable
    return self.transitions(
      rng.integers(numbers.start, numbers.stop, size=batch_size)
    )

  @abc.abstractmethod
  def rows(self, begin, end):
    """Steps by number, from `begin` to before `end`, as a file keeps them."""

  @abc.abstractmethod
  def _load(self, begin, rows):
    """Takes over a segment of `rows`; returns the numbers of its steps."""

  @property
  def _oldest(self):
    """Number of the oldest step that may be drawn."""
    return max(self.num_added - len(self), self.num_forgotten)

  @property
  def _num_steps(self):
    """Rewards that are summed at most, now."""
    return self._returns.num_steps(self.num_added)

  def _kept(self, observation):
    """The part of an observation that is kept."""
    return observation

  def _take(self, places):
    """The kept observations at places, which may exceed the end."""
    return self._observations.take(places, axis=0, mode='wrap')

  def _led_to(self, places, ends):
    """The kept observations that steps led to, given their `end`."""
    observations = self._take(places + self.num_envs)
    found = np.flatnonzero(ends)
    for i, place in zip(found.tolist(), places[found].tolist()):
      observations[i] = self._beside[place]
    return observations
