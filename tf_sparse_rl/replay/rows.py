"""Layouts of rows: named columns of a float32 array.

A batch is one float32 array `[batch, row size]`, since one indexed copy and one
feed are faster than five. NumPy and TensorFlow split it by the same layout.
Importing this module imports no TensorFlow.
"""

import numpy as np


class Layout:
  """Named columns of a row."""

  def __init__(self, **sizes):
    """Takes the numbers of entries of columns, by name, in order."""
    self._sizes = sizes
    ends = np.cumsum(list(sizes.values())).tolist()
    self._places = {
      name: slice(end - size, end)
      for (name, size), end in zip(sizes.items(), ends)
    }
    self.size = ends[-1]

  def __getitem__(self, name):
    """The slice of a column."""
    return self._places[name]

  def split(self, rows):
    """Splits rows into columns.

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
    """Joins NumPy columns, each `[..., entries]`; see `split`."""
    return np.concatenate([columns[name] for name in self._sizes], axis=-1)


def step(observation_size, action_size):
  """Layout of an env step in a ring; for `end` see `ring.Ring`.

  Args:
    observation_size: entries of an observation; 0 if stored separately.
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
  """Layout of a transition for training with a replay buffer."""
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
  """Layout of a transition in a rollout, and in the files of checkpoints.

  `over` is 1 for the last transition of an episode, otherwise 0.
  """
  return transition(env_spec, over=1)


def prepared_rollout(env_spec, num_parameters):
  """Layout of an env step for training PPO.

  The observation is normalised; the parameters are those of the action
  distribution at collection.
  """
  return Layout(
    observation=env_spec.observation_size,
    action=env_spec.action_size,
    returns=1,
    advantage=1,
    value=1,
    parameters=num_parameters,
  )
