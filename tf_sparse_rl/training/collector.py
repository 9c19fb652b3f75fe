"""Collection: the environments of a run side by side, and where they are."""

import numpy as np

from tf_sparse_rl.training import state


class Collector:
  """Takes env steps in all environments and adds them to the buffer."""

  def __init__(self, config, environments, positions):
    """Brings the environments to their positions.

    Args:
      config: a Config.
      environments: list of Environment.
      positions: of each, see `envs.Environment`.
    """
    self._config, self._envs = config, environments
    self.observations = np.stack(
      [env.restore(at) for env, at in zip(environments, positions)]
    )

  def collect(self, actions, buffer, episodes):
    """Takes an env step in each environment; starts an episode where one ends.

    Args:
      actions: `[num_envs, ...]`.
      buffer: what `replay.make` made.
      episodes: an Episodes, which counts them.
    """
    for i, env in enumerate(self._envs):
      step = env.step(actions[i])
      buffer.add(self.observations[i], actions[i], step)
      episodes.add(step, i)
      self.observations[i] = step.observation
      if step.terminated or step.truncated:
        index = episodes.count + len(self._envs) - 1
        seed = state.episode_seed(self._config, index)
        self.observations[i] = env.reset(seed)

  def random_actions(self, rng):
    """Actions `[num_envs, ...]` drawn at random."""
    return np.stack([env.random_action(rng) for env in self._envs])
