"""Evaluation: greedy episodes, all at once, from seeds of their own."""

import json
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import envs


class Returns(NamedTuple):
  """Outcome of an evaluation, one entry an episode."""

  returns: list  # undiscounted, float
  lengths: list  # env steps, int


class Evaluator:
  """Plays episodes side by side, so that one graph call acts in all."""

  def __init__(self, env_name, num_episodes, seed, epsilon=0.0):
    """Makes the environments.

    Args:
      env_name: id of a Gymnasium environment.
      num_episodes: episodes of one evaluation.
      seed: of the episodes' starts; evaluation k of a run is the same
        whatever was evaluated before.
      epsilon: share of random actions.
    """
    self._envs = [envs.from_name(env_name) for _ in range(num_episodes)]
    self._seed = seed
    self._epsilon = epsilon

  def evaluate(self, act, index, stop=lambda: False):
    """Plays each environment's episode to its end.

    Args:
      act: function from observations `[episodes, size]` to actions.
      index: number of this evaluation in the run.
      stop: asked now and then whether to give up.

    Returns:
      Returns, or None if it was given up.
    """
    rng = np.random.default_rng([self._seed, index])
    seeds = rng.integers(2**31, size=len(self._envs))
    observations = np.stack(
      [env.reset(seed=int(seed)) for env, seed in zip(self._envs, seeds)]
    )
    returns, lengths = [0.0] * len(self._envs), [0] * len(self._envs)
    running = list(range(len(self._envs)))
    while running:
      if stop():
        return None
      # All rows, the finished too: the graph is one shape, the cost is small.
      actions = act(observations)
      if self._epsilon:
        actions = np.array(actions)
        for i in np.flatnonzero(rng.random(len(actions)) < self._epsilon):
          actions[i] = self._envs[i].random_action(rng)
      for i in list(running):
        step = self._envs[i].step(actions[i])
        observations[i] = step.observation
        returns[i] += step.reward
        lengths[i] += 1
        if step.terminated or step.truncated:
          running.remove(i)
    return Returns(returns, lengths)


def film(env_name, act, video_dir, seed):
  """Records one greedy episode as MP4.

  Args:
    env_name: id of a Gymnasium environment that can render.
    act: see `Evaluator.evaluate`.
    video_dir: directory of the file, made if needed.
    seed: of the episode's start.

  Raises:
    ValueError: if the environment cannot be drawn here.
  """
  env = envs.from_name(env_name)
  observation, over = env.reset(seed=seed), False
  while not over:
    step = env.step(act(observation[np.newaxis])[0])
    observation, over = step.observation, step.terminated or step.truncated
  env.close()
  episode = {
    'env_name': env_name,
    'video_dir': str(video_dir),
    'position': env.position,
  }
  result = subprocess.run(
    [sys.executable, '-m', 'tf_sparse_rl.envs.film'],
    input=json.dumps(episode),
    capture_output=True,
    text=True,
    check=False,
  )
  if result.returncode:
    reason = result.stderr.strip() or f'it crashed ({result.returncode})'
    raise ValueError(
      f'Cannot film {env_name}: {reason.splitlines()[-1]}. To draw MuJoCo '
      'where there is no display, EGL is needed (Debian, Ubuntu: apt-get '
      'install libegl1).'
    )
