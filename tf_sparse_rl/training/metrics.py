"""What a run counts while it trains: episodes and time."""

import collections
import time


class Episodes:
  """The last collection episodes, for the summaries."""

  def __init__(self):
    self.count = 0
    self.returns = collections.deque(maxlen=10)
    self.lengths = collections.deque(maxlen=10)
    self._return, self._length = 0.0, 0

  def add(self, step):
    """Adds an env step; an episode counts once it is over."""
    self._return += step.reward
    self._length += 1
    if step.terminated or step.truncated:
      self.count += 1
      self.returns.append(self._return)
      self.lengths.append(self._length)
      self._return, self._length = 0.0, 0


class Clock:
  """Wall time of the run, and the speed of training without evaluation."""

  def __init__(self):
    self._begin = time.perf_counter()
    self._trained = 0.0  # seconds, evaluations left out
    self._env_steps = 0
    self._started = self._since = (0, self._begin)

  @property
  def wall_seconds(self):
    return time.perf_counter() - self._begin

  @property
  def mean_speed(self):
    """Env steps a second over all training so far."""
    return self._env_steps / self._trained if self._trained else 0.0

  def start(self, env_step):
    self._started = self._since = (env_step, time.perf_counter())

  def pause(self, env_step):
    first, started = self._started
    self._trained += time.perf_counter() - started
    self._env_steps += env_step - first

  def speed(self, env_step):
    """Env steps a second since the last call or start."""
    (first, since), now = self._since, time.perf_counter()
    self._since = (env_step, now)
    return (env_step - first) / max(now - since, 1e-9)
