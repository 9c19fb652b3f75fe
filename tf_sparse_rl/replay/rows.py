"""The layout of a row: which of its entries are what.

A batch travels as one float32 array `[batch, row size]`, for one indexed copy
and one feed are faster than five. NumPy and TensorFlow cut it by one layout.
"""

import numpy as np
import tensorflow as tf


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
    if tf.is_tensor(rows):
      columns = tf.split(rows, list(self._sizes.values()), axis=-1)
      return dict(zip(self._sizes, columns))
    return {name: rows[..., place] for name, place in self._places.items()}

  def join(self, **columns):
    """Rows of NumPy columns, each `[..., entries]`; see `split`."""
    return np.concatenate([columns[name] for name in self._sizes], axis=-1)


def transition(env_spec):
  """The layout of a transition as agents with a replay train on it.

  Args:
    env_spec: an EnvSpec with flat observations.

  Returns:
    Layout of observation, action, reward, discount and next_observation.
  """
  size = env_spec.observation_size
  return Layout(
    observation=size,
    action=env_spec.action_size,
    reward=1,
    discount=1,
    next_observation=size,
  )


def rollout(env_spec):
  """The layout of an env step of a rollout.

  Args:
    env_spec: see `transition`.

  Returns:
    Layout of a transition's columns, then over: 1 if no env step of the same
    episode follows, else 0.
  """
  size = env_spec.observation_size
  return Layout(
    observation=size,
    action=env_spec.action_size,
    reward=1,
    discount=1,
    next_observation=size,
    over=1,
  )


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
