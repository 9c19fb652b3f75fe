"""Collection in the parallel environments of a run."""

import math

import numpy as np

from tf_sparse_rl import envs
from tf_sparse_rl.training import state


class Collector:
  """Takes env steps in all environments and adds them to the buffer."""

  def __init__(self, config, environments, positions):
    """Restores the environments to their positions.

    Args:
      config: a Config.
      environments: list of Environment.
      positions: one per environment, see `envs.Environment`.
    """
    self._config, self._envs = config, environments
    # The position of an endless episode must not grow forever.
    limit = config.max_collect_episode_env_steps
    self._limits = [
      math.inf if env.save_states() or env.spec.max_episode_steps else limit
      for env in environments
    ]
    self.observations = np.stack(
      [env.restore(at) for env, at in zip(environments, positions)]
    )

  def collect(self, actions, buffer, episodes):
    """Takes an env step in each environment; resets those whose episodes end.

    Args:
      actions: `[num_envs, ...]`.
      buffer: what `replay.make` made.
      episodes: an Episodes, which records them.

    Raises:
      EnvError: if an environment fails; then all positions are unchanged and
        nothing was added.
    """
    # All of them first, or none: if one fails, a checkpoint can be saved.
    marks = [env.mark() for env in self._envs]
    try:
      taken = self._take(actions, episodes.count)
    except envs.EnvError:
      for env, mark in zip(self._envs, marks):
        env.rewind(mark)
      raise
    for i, (step, observation) in enumerate(taken):
      buffer.add(self.observations[i], actions[i], step)
      episodes.add(step, i)
      self.observations[i] = observation

  def _take(self, actions, num_episodes):
    """Returns the Step of an environment and the next observation."""
    taken = []
    for env, action, limit in zip(self._envs, actions, self._limits):
      step = env.step(action)
      if env.num_episode_env_steps >= limit:
        step = step._replace(truncated=True)
      observation = step.observation
      if step.terminated or step.truncated:
        # A copy: its reset may write into the array that it returned.
        step = step._replace(observation=observation.copy())
        num_episodes += 1
        index = num_episodes + len(self._envs) - 1
        observation = env.reset(state.episode_seed(self._config, index))
      taken.append((step, observation))
    return taken

  def random_actions(self, rng):
    """Random actions `[num_envs, ...]`."""
    return np.stack([env.random_action(rng) for env in self._envs])


def no_time_limit(config, env):
  """A warning for an Environment whose episodes may not end, or ''."""
  if env.spec.max_episode_steps:
    return ''
  cut = (
    'does not, since it has a state_dict'
    if env.save_states()
    else f'after {config.max_collect_episode_env_steps:,} '
    '(--max_collect_episode_env_steps)'
  )
  return (
    f'{env.spec.name} has no time limit. If an episode does not end by itself, '
    f'evaluations stop it after {config.max_eval_episode_env_steps:,} env '
    f'steps (--max_eval_episode_env_steps), collection {cut}. '
    'gymnasium.register(..., max_episode_steps=...) sets a limit.'
  )
