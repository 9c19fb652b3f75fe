"""Metrics of a run in training: episodes and time."""

import collections
import time


class Episodes:
  """The last collection episodes, for the summaries."""

  def __init__(self, num_envs=1):
    self.count = 0
    self.returns = collections.deque(maxlen=10)
    self.lengths = collections.deque(maxlen=10)
    self._current = [[0.0, 0] for _ in range(num_envs)]  # return, length

  def add(self, step, index=0):
    """Adds a Step of an environment; an episode counts once it is over."""
    current = self._current[index]
    current[0] += step.reward
    current[1] += 1
    if step.terminated or step.truncated:
      self.count += 1
      self.returns.append(current[0])
      self.lengths.append(current[1])
      self._current[index] = [0.0, 0]

  def to_json(self):
    """Converts to JSON types."""
    return {
      'count': self.count,
      'returns': list(self.returns),
      'lengths': list(self.lengths),
      'current': [list(current) for current in self._current],
    }

  @classmethod
  def from_json(cls, values):
    """Parses the JSON of `to_json`."""
    episodes = cls()
    episodes.count = values['count']
    episodes.returns.extend(values['returns'])
    episodes.lengths.extend(values['lengths'])
    episodes._current = [list(current) for current in values['current']]
    return episodes


class Clock:
  """Wall time of the run and speed of training, without evaluations."""

  def __init__(self, wall_seconds=0.0, trained_seconds=0.0, env_steps=0):
    """Takes the times of a resumed run so far."""
    now = time.perf_counter()
    self._begin = now - wall_seconds
    self._trained = trained_seconds  # without evaluations
    self._env_steps = env_steps  # in these seconds
    self._started = self._since = (env_steps, now)

  def figures(self):
    """Wall time and mean speed so far, for results.jsonl."""
    speed = self._env_steps / self._trained if self._trained else 0.0
    return {
      'wall_seconds': round(time.perf_counter() - self._begin, 3),
      'env_steps_per_sec': round(speed, 1),
    }

  def to_json(self, env_step):
    """The arguments of a clock that continues from here."""
    first, started = self._started
    return {
      'wall_seconds': time.perf_counter() - self._begin,
      'trained_seconds': self._trained + time.perf_counter() - started,
      'env_steps': self._env_steps + env_step - first,
    }

  def start(self, env_step):
    self._started = self._since = (env_step, time.perf_counter())

  def pause(self, env_step):
    first, started = self._started
    self._trained += time.perf_counter() - started
    self._env_steps += env_step - first

  def speed(self, env_step):
    """Env steps per second since the last call or start."""
    (first, since), now = self._since, time.perf_counter()
    self._since = (env_step, now)
    return (env_step - first) / max(now - since, 1e-9)
