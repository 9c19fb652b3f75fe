"""Compares an exported policy with Keras before it is accepted."""

import numpy as np

from tf_sparse_rl import envs

# Relative to the largest output, at least 1; far above rounding errors.
TOLERANCE = 1e-4


def play(config, policy, num_observations, seed):
  """Collects a batch of observations with a GreedyPolicy.

  Args:
    config: a Config, whose environment is used.
    policy: a GreedyPolicy.
    num_observations: size of the batch, over several episodes if needed.
    seed: random seed of the first episode; later ones count up.
  """
  env = envs.make(config)
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
  """Compares an exported policy with Keras.

  Args:
    policy: a GreedyPolicy.
    act: the exported policy, see `formats.Format`.
    observations: a batch, see the policy's `observation_spec`.

  Returns:
    The maximum absolute difference of outputs and continuous actions.

  Raises:
    ValueError: if it exceeds rounding, or a discrete action is not greedy.
  """
  expected = {k: v.numpy() for k, v in policy(observations).items()}
  received = act(observations)
  outputs = expected['output']
  allowed = TOLERANCE * max(1.0, float(np.abs(outputs).max()))
  gaps = [np.abs(received['output'] - outputs).max()]
  if policy.action_bounds is None:
    counts = policy.action_counts or (outputs.shape[1],)
    actions = np.asarray(received['action']).reshape(len(outputs), -1)
    entries = np.split(outputs, np.cumsum(counts)[:-1], axis=1)
    for chosen, entry in zip(actions.T, entries):
      values = np.take_along_axis(entry, chosen[:, np.newaxis], axis=1)[:, 0]
      gaps.append((entry.max(axis=1) - values).max() / 2)
  else:
    gaps.append(np.abs(received['action'] - expected['action']).max())
  worst = float(np.max(gaps))
  # Not `>`, so that NaN fails.
  if not worst <= allowed:
    raise ValueError(
      f'Expected a policy that agrees with Keras to {allowed:.1e} on '
      f'{len(observations)} observations. Received one that is off by '
      f'{worst:.1e}. Nothing was written; another --format may do.'
    )
  return float(gaps[0]) if policy.action_bounds is None else worst
