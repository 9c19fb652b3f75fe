"""Compares an exported policy with Keras before it is accepted."""

import numpy as np

from tf_sparse_rl import envs

# Of the largest output, or of 1; rounding of float32 is far below it.
TOLERANCE = 1e-4


def play(env_name, policy, num_observations, seed):
  """A batch of observations that a GreedyPolicy itself comes to see.

  Args:
    env_name: id of a Gymnasium environment.
    policy: a GreedyPolicy.
    num_observations: how many, over as many episodes as it takes.
    seed: of the first episode's start; the next ones count up.
  """
  env = envs.from_name(env_name)
  seen = []
  while len(seen) < num_observations:
    observation, over = env.reset(seed), False
    seed += 1
    while not over and len(seen) < num_observations:
      seen.append(observation)
      [action] = policy(observation[np.newaxis])['action'].numpy()
      step = env.step(action)
      observation, over = step.observation, step.terminated or step.truncated
  env.close()
  return np.stack(seen)


def difference(policy, act, observations):
  """How far an exported policy is from Keras.

  Args:
    policy: a GreedyPolicy.
    act: the exported one, see `formats.Format`.
    observations: a batch, see the policy's `observation_spec`.

  Returns:
    The largest difference of any output or continuous action.

  Raises:
    ValueError: if it is more than rounding, or a discrete action is not one
      of the best.
  """
  expected = {k: v.numpy() for k, v in policy(observations).items()}
  received = act(observations)
  outputs = expected['output']
  allowed = TOLERANCE * max(1.0, float(np.abs(outputs).max()))
  gaps = [np.abs(received['output'] - outputs).max()]
  if policy.action_bounds is None:
    chosen = np.asarray(received['action'])[:, np.newaxis]
    values = np.take_along_axis(outputs, chosen, axis=1)[:, 0]
    gaps.append((outputs.max(axis=1) - values).max() / 2)
  else:
    gaps.append(np.abs(received['action'] - expected['action']).max())
  worst = float(np.max(gaps))
  # Not `>`: NaN is no agreement.
  if not worst <= allowed:
    raise ValueError(
      f'Expected a policy that agrees with Keras to {allowed:.1e} on '
      f'{len(observations)} observations. Received one that is off by '
      f'{worst:.1e}. Nothing was written; another --format may do.'
    )
  return float(gaps[0]) if policy.action_bounds is None else worst
