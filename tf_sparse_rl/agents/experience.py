"""TF-Agents' transitions from the rows of a replay buffer."""

import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from tf_sparse_rl.replay import rows as rows_lib


def observation_spec(env_spec):
  """Returns TF-Agents' spec of an observation."""
  if not env_spec.observation_shape:
    return tf.TensorSpec([env_spec.observation_size], tf.float32, 'observation')
  # A list: TF-Agents adds 1 to a scalar 255, which overflows in NumPy 2.
  return tensor_spec.BoundedTensorSpec(
    env_spec.observation_shape, tf.uint8, 0, [255], 'observation'
  )


def transition(env_spec, rows):
  """Converts replay rows to a TF-Agents Transition.

  Args:
    env_spec: an EnvSpec.
    rows: float32 `[batch, row size]`; for images (observation, action, reward,
      discount, next_observation): uint8 `[batch, *observation_shape]`, int32,
      float32 and float32 `[batch]`, and images.

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
