"""The layout of a row: which of its entries are what.

A batch travels as one float32 array `[batch, row size]`, for one indexed copy
and one feed are faster than five. NumPy and TensorFlow cut it by one layout.
Importing this module imports no TensorFlow.
"""

import numpy as np


class Layout:
  """Named columns, side by side."""

  def __init__(self, **sizes):
    """Lays the columns out.

    Args:
      **sizes: entries of each column, by its name, in order.
    """
    self._sizes = sizes
    ends = np.cumsum(list(sizes.values())).tolist()
    self._places = {
      name: slice(end - size, end)
      for (name, size), end in zip(sizes.items(), ends)
    }
    self.size = ends[-1]

  def __getitem__(self, name):
    """The slice of a row that a column takes up."""
    return self._places[name]

  def split(self, rows):
    """Cuts rows into columns.

    Args:
      rows: `[..., size]`, a NumPy array or a tensor.

    Returns:
      `{name: column}`, each `[..., entries]`; views of a NumPy array.
    """
    if isinstance(rows, np.ndarray):
      return {name: rows[..., place] for name, place in self._places.items()}
    import tensorflow as tf

    columns = tf.split(rows, list(self._sizes.values()), axis=-1)
    return dict(zip(self._sizes, columns))

  def join(self, **columns):
    """Rows of NumPy columns, each `[..., entries]`; see `split`."""
    return np.concatenate([columns[name] for name in self._sizes], axis=-1)


def step(observation_size, action_size):
  """The layout of an env step as a ring keeps it.

  Args:
    observation_size: entries of an observation; 0 if it is kept elsewhere.
    action_size: entries of an action; 1 for a discrete one.

  Returns:
    Layout of observation, action, reward, discount and end; `ring.Ring` says
    what `end` is.
  """
  return Layout(**_taken(observation_size, action_size), end=1)


def transition(env_spec):
  """The layout of a transition as agents with a replay train on it.

  Args:
    env_spec: an EnvSpec with flat observations.

  Returns:
    Layout of observation, action, reward, discount and next_observation.
  """
  size = env_spec.observation_size
  taken = _taken(size, env_spec.action_size)
  return Layout(**taken, next_observation=size)


def rollout(env_spec):
  """The layout of a transition in a rollout, and in a file of a checkpoint.

  Args:
    env_spec: an EnvSpec with flat observations.

  Returns:
    Layout of a `transition`, and `over`: 1 if it is the last of its episode,
    else 0.
  """
  size = env_spec.observation_size
  taken = _taken(size, env_spec.action_size)
  return Layout(**taken, next_observation=size, over=1)


def _taken(observation_size, action_size):
  """Sizes of the columns that all layouts begin with."""
  return {
    'observation': observation_size,
    'action': action_size,
    'reward': 1,
    'discount': 1,
  }


def prepared_rollout(env_spec, num_parameters):
  """The layout of an env step as PPO trains on it.

  Args:
    env_spec: see `transition`.
    num_parameters: of the policy's distribution when it acted.

  Returns:
    Layout of observation, normalised; action, returns, advantage, value and
    parameters.
  """
  return Layout(
    observation=env_spec.observation_size,
    action=env_spec.action_size,
    returns=1,
    advantage=1,
    value=1,
    parameters=num_parameters,
  )
