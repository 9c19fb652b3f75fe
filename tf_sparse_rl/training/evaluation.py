"""Evaluation: greedy episodes, played in parallel."""

import contextlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import envs, files, seeds
from tf_sparse_rl.envs import noise


class EpisodeStatistics(NamedTuple):
  """Returns and lengths of the episodes of an evaluation, in order."""

  returns: list  # undiscounted, float
  lengths: list  # env steps, int
  num_stopped: int = 0  # episodes stopped at the limit


class Evaluator:
  """Plays episodes in parallel, with one call of the policy for all."""

  def __init__(
    self,
    environments,
    epsilon=0.0,
    num_env_steps=0,
    max_episode_env_steps=math.inf,
  ):
    """Creates the evaluator.

    Args:
      environments: list of Environments, parallel copies; each plays an
        episode.
      epsilon: epsilon of the epsilon-greedy policy.
      num_env_steps: minimum env steps, summed over the environments: new
        episodes start until they are reached. Every episode is played to its
        end, so that long ones count as short ones do.
      max_episode_env_steps: env steps after which an episode is stopped.
    """
    self._envs = environments
    self._epsilon = epsilon
    self._num_env_steps = num_env_steps
    self._max_episode_env_steps = max_episode_env_steps

  def evaluate(self, act, rng, stop=lambda: False):
    """Plays episodes to their ends.

    Args:
      act: function of observations `[environments, ...]` to actions; called
        with the environments whose episodes are not over.
      rng: NumPy generator of initial states and random actions.
      stop: function called now and then; true ends the evaluation.

    Returns:
      EpisodeStatistics, in the order in which episodes started; None if `stop`
      ended the evaluation.
    """
    seeds = rng.integers(2**31, size=len(self._envs))
    observations = np.stack(
      [env.reset(seed=int(seed)) for env, seed in zip(self._envs, seeds)]
    )
    returns, lengths = [0.0] * len(self._envs), [0] * len(self._envs)
    episodes = {i: i for i in range(len(self._envs))}  # By environment.
    num_stopped = 0
    while episodes:
      if stop():
        return None
      playing = list(episodes)
      actions = act(observations[playing])
      if self._epsilon:
        actions = np.array(actions)
        for row in np.flatnonzero(rng.random(len(actions)) < self._epsilon):
          actions[row] = self._envs[playing[row]].random_action(rng)
      for i, action in zip(playing, actions):
        step = self._envs[i].step(action)
        observations[i] = step.observation
        returns[episodes[i]] += step.reward
        lengths[episodes[i]] += 1
        if not (step.terminated or step.truncated):
          if lengths[episodes[i]] < self._max_episode_env_steps:
            continue
          num_stopped += 1
        if sum(lengths) < self._num_env_steps:
          observations[i] = self._envs[i].reset(seed=int(rng.integers(2**31)))
          episodes[i] = len(returns)
          returns.append(0.0)
          lengths.append(0)
        else:
          del episodes[i]
    return EpisodeStatistics(returns, lengths, num_stopped)


def evaluate_with_noise(
  environments,
  act,
  stds,
  seed,
  epsilon=0.0,
  max_episode_env_steps=math.inf,
):
  """Plays episodes from the same initial states at each level of noise.

  Args:
    environments: see Evaluator.
    act: see `Evaluator.evaluate`.
    stds: standard deviations of the observation noise: in grey levels for
      images; for flat observations relative to the standard deviation of each
      entry in these episodes without noise.
    seed: random seed of initial states and noise.
    epsilon: see Evaluator.
    max_episode_env_steps: see Evaluator.

  Returns:
    List of EpisodeStatistics, one for each of `stds`.
  """

  def play(environments):
    rng = seeds.generator(seed, seeds.Stream.FINAL_EVALUATION)
    evaluator = Evaluator(
      environments, epsilon, max_episode_env_steps=max_episode_env_steps
    )
    return evaluator.evaluate(act, rng)

  unit, known = 1.0, {}
  if not environments[0].spec.observation_shape:
    watched = [noise.WatchedEnvironment(env) for env in environments]
    known[0.0] = play(watched)
    unit = noise.std_of_observations(watched)
  for std in stds:
    if std not in known:
      noisy = [noise.NoisyEnvironment(env, std * unit) for env in environments]
      known[std] = play(noisy)
  return [known[std] for std in stds]


def play_in_turn(env, act, num_episodes, rng, epsilon, max_episode_env_steps):
  """Plays episodes one after another, as in a window.

  Args:
    env: an Environment, or a ShownEnvironment.
    act: see `Evaluator.evaluate`.
    num_episodes: number of episodes.
    rng: see `Evaluator.evaluate`. With epsilon 0 the episodes are the same as
      in parallel.
    epsilon: see Evaluator.
    max_episode_env_steps: see Evaluator.

  Returns:
    EpisodeStatistics.
  """
  evaluator = Evaluator(
    [env], epsilon, max_episode_env_steps=max_episode_env_steps
  )
  parts = [evaluator.evaluate(act, rng) for _ in range(num_episodes)]
  return EpisodeStatistics(
    [part.returns[0] for part in parts],
    [part.lengths[0] for part in parts],
    sum(part.num_stopped for part in parts),
  )


def film(config, act, path, seed, on_frame=lambda done, total: None):
  """Records one greedy episode as MP4.

  Args:
    config: a Config, whose environment is recorded.
    act: see `Evaluator.evaluate`.
    path: of the file; replaced atomically.
    seed: random seed of the initial state.
    on_frame: function of (frames so far, frames in total).

  Raises:
    ValueError: if the environment cannot be rendered here.
  """
  check_own_process(config)
  files.refuse_links(path.parent)
  env = envs.make(config)
  start = seeds.derive(seed, seeds.Stream.FILM)
  observation, over = env.reset(seed=start), False
  length = 0
  while not over and length < config.max_eval_episode_env_steps:
    step = env.step(act(observation[np.newaxis])[0])
    observation, over = step.observation, step.terminated or step.truncated
    length += 1
  env.close()
  episode = {
    'env_name': config.env_name,
    'kwargs': config.env_arguments,
    'wrappers': config.env_wrapper_calls,
    'position': env.position,
  }
  # In a directory of its own, since Gymnasium names what it writes there.
  with tempfile.TemporaryDirectory() as staging:
    part = pathlib.Path(staging, path.name)
    episode['path'] = str(part)
    _film_in_own_process(config.env_name, episode, length + 1, on_frame)
    files.make_directory(path.parent)
    files.write(path, part.read_bytes())


def check_own_process(config):
  """Refuses environments that another process cannot make, to render them.

  Raises:
    ValueError: if a callable of this program makes the environment.
  """
  if envs.is_callable(config.env_name):
    raise ValueError(
      f'Cannot render {config.env_name}: rendering takes place in another '
      'process, which does not have the callable. Register the environment and '
      'name it as module:Id.'
    )


def _film_in_own_process(env_name, episode, num_frames, on_frame):
  with tempfile.TemporaryFile('w+') as stderr:
    with subprocess.Popen(
      [sys.executable, '-m', 'tf_sparse_rl.envs.film'],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=stderr,
      text=True,
    ) as process:
      # It may end before it has read all; stderr says why.
      with contextlib.suppress(BrokenPipeError), process.stdin:
        json.dump(episode, process.stdin)
      num_done = 0
      for line in process.stdout:
        if line == 'frame\n':
          num_done += 1
          on_frame(num_done, num_frames)
    stderr.seek(0)
    said = stderr.read().strip()
  if process.returncode:
    reason = said or f'the renderer crashed ({process.returncode})'
    raise ValueError(
      f'Cannot film {env_name}: {reason.splitlines()[-1]}. Rendering MuJoCo '
      'without a display needs EGL (Debian, Ubuntu: apt-get install libegl1).'
    )
