"""The layout of a row: which of its entries are what.

A batch travels as one float32 array `[batch, row size]`, for one indexed copy
and one feed are faster than five. NumPy and TensorFlow cut it by one layout.
Importing this module imports no TensorFlow.
"""

import numpy as np


class Layout:
  """Named columns, side by side."""

  def __init__(self, **sizes):
    """Takes the entries of each column, by its name, in order."""
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
  """The layout of an env step in a ring; `ring.Ring` says what `end` is.

  Args:
    observation_size: entries of an observation; 0 if it is kept elsewhere.
    action_size: entries of an action; 1 for a discrete one.
  """
  return Layout(
    observation=observation_size,
    action=action_size,
    reward=1,
    discount=1,
    end=1,
  )


def transition(env_spec, **more):
  """The layout of a transition as agents with a replay train on it."""
  return Layout(
    observation=env_spec.observation_size,
    action=env_spec.action_size,
    reward=1,
    discount=1,
    next_observation=env_spec.observation_size,
    **more,
  )


def soft_transition(env_spec, num_between):
  """The layout of a transition over several env steps as SAC trains on it.

  `between` are the observations of the env steps between, `weight` is what the
  entropy of each of them counts: see `n_step.Returns.between`.
  """
  return transition(
    env_spec,
    between=num_between * env_spec.observation_size,
    weight=num_between,
  )


def rollout(env_spec):
  """The layout of a transition in a rollout, and in a file of a checkpoint.

  `over` is 1 if it is the last of its episode, else 0.
  """
  return transition(env_spec, over=1)


def prepared_rollout(env_spec, num_parameters):
  """The layout of an env step as PPO trains on it.

  The observation is normalised; the parameters are those of the policy's
  distribution when it acted.
  """
  return Layout(
    observation=env_spec.observation_size,
    action=env_spec.action_size,
    returns=1,
    advantage=1,
    value=1,
    parameters=num_parameters,
  )
