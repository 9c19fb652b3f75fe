"""Atari 2600 as Dopamine plays it: sticky actions, four grey frames.

The protocol of Machado et al. (2018), "Revisiting the Arcade Learning
Environment". ale-py is imported when the first game is asked for.
"""

import collections

import gymnasium as gym
import numpy as np

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import names
from tf_sparse_rl.envs import gymnasium_env

MAX_EPISODE_STEPS = 27_000  # half an hour of play
_SCREEN_SIZE = 84
_NUM_FRAMES = 4


class AtariEnvironment(gymnasium_env.Environment):
  """A game; an observation is its last four frames, the newest last.

  An observation is uint8 `[84, 84, 4]`. Frames from before the episode are 0,
  in a replay as here. Rewards are the game's own, not clipped. `restore` plays
  an episode again: about ten seconds for one of the longest.
  """

  def __init__(self, env_name, render_mode=None):
    """Makes one of config.ATARI_GAMES, or an id such as 'ALE/Freeway-v5'.

    Raises:
      ValueError: for an unknown name, or if Atari is not installed.
    """
    check_name(env_name)
    # Skipping frames and ending the episode are left to the wrappers: ALE's
    # own limit would end it on a frame that the preprocessing does not see.
    game = gym.make(
      config_lib.gym_id(env_name),
      frameskip=1,
      repeat_action_probability=0.25,
      full_action_space=False,
      max_num_frames_per_episode=0,
      render_mode=render_mode,
      disable_env_checker=True,
    )
    game = gym.wrappers.AtariPreprocessing(
      game, noop_max=0, frame_skip=4, screen_size=_SCREEN_SIZE
    )
    self.gym = gym.wrappers.TimeLimit(game, MAX_EPISODE_STEPS)
    shape = (_SCREEN_SIZE, _SCREEN_SIZE, _NUM_FRAMES)
    self.spec = gymnasium_env.EnvSpec(
      env_name,
      int(np.prod(shape)),
      int(self.gym.action_space.n),
      MAX_EPISODE_STEPS,
      observation_shape=shape,
    )
    self._frames = collections.deque(maxlen=_NUM_FRAMES)

  def reset(self, seed):
    """Starts an episode; the seed is also that of its sticky actions."""
    frame, _ = self.gym.reset(seed=seed)
    self._episode_seed, self._actions = seed, []
    self._frames.extend([np.zeros_like(frame)] * (_NUM_FRAMES - 1))
    return self._observation(frame)

  def step(self, action):
    """Takes one env step: four frames of the game."""
    self._actions.append(np.array(action))
    frame, reward, terminated, truncated, _ = self.gym.step(int(action))
    observation = self._observation(frame)
    return gymnasium_env.Step(observation, float(reward), terminated, truncated)

  def _observation(self, frame):
    self._frames.append(frame)
    return np.stack(self._frames, axis=-1)


def check_name(env_name):
  """Imports ALE and checks that it has a game.

  Raises:
    ValueError: if not, with the nearest name, or if it is not installed.
  """
  try:
    import ale_py
    import cv2  # noqa: F401, resizes the frames
  except ImportError as error:
    raise ValueError(
      f'Atari needs packages that are missing ({error}): pip install '
      'tf_sparse_rl[atari]'
    ) from error
  gym.register_envs(ale_py)
  # Before the first game is made: it would greet on stderr.
  ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
  if config_lib.gym_id(env_name) not in gym.registry:
    valid = [name for name in gym.registry if config_lib.is_atari(name)]
    raise ValueError(names.unknown('environment', env_name, valid))
