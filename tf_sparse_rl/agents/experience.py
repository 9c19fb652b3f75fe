"""From rows of a replay to the transitions of TF-Agents."""

import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from tf_sparse_rl.replay import rows as rows_lib


def observation_spec(env_spec):
  """The spec of an observation, as TF-Agents takes it."""
  if not env_spec.observation_shape:
    return tf.TensorSpec([env_spec.observation_size], tf.float32, 'observation')
  # A list, for TF-Agents adds 1 to a bare 255, and NumPy 2 has that as 0.
  return tensor_spec.BoundedTensorSpec(
    env_spec.observation_shape, tf.uint8, 0, [255], 'observation'
  )


def transition(env_spec, rows):
  """A TF-Agents Transition of replay rows.

  Args:
    env_spec: an EnvSpec.
    rows: float32 `[batch, row size]`; for images (observation, action, reward,
      discount, next_observation): uint8 `[batch, *observation_shape]`, int32,
      float32 and float32 `[batch]`, and again images.

  Returns:
    A Transition without time dimension.
  """
  if env_spec.observation_shape:
    observation, action, reward, discount, following = rows
  else:
    columns = rows_lib.transition(env_spec).split(rows)
    observation, action, reward, discount, following = columns.values()
    reward, discount = reward[:, 0], discount[:, 0]
    if env_spec.num_actions is not None:
      action = tf.cast(action[:, 0], tf.int32)
  zeros = tf.zeros_like(reward)
  middle = tf.fill([reward.shape[0]], ts.StepType.MID)
  return trajectory.Transition(
    ts.TimeStep(middle, zeros, zeros + 1, observation),
    policy_step.PolicyStep(action),
    ts.TimeStep(middle, reward, discount, following),
  )
