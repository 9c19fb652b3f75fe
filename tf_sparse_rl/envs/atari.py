"""Atari 2600 with Dopamine's protocol: sticky actions, four grey frames.

The protocol of Machado et al. (2018), "Revisiting the Arcade Learning
Environment". ale-py is imported when the first game is asked for.
"""

import collections
import dataclasses

import gymnasium as gym
import numpy as np

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import names, packages
from tf_sparse_rl.envs import gymnasium_env, making, spaces

MAX_EPISODE_STEPS = 27_000  # half an hour of play
_SCREEN_SIZE = 84
_NUM_FRAMES = 4


class AtariEnvironment(gymnasium_env.Environment):
  """An Atari game; an observation is the last four frames, newest last.

  An observation is uint8 `[84, 84, 4]`. Frames from before the episode are 0,
  in the replay buffer as here. Rewards are not clipped. `restore` replays the
  episode: about ten seconds for the longest ones.
  """

  def __init__(self, env_name, render_mode=None, kwargs=None, wrappers=()):
    """Makes one of config.ATARI_GAMES, or an id such as 'ALE/Freeway-v5'.

    Args:
      env_name: the game.
      render_mode: see Gymnasium.
      kwargs: dict, further arguments of ALE, such as `mode` and `difficulty`.
      wrappers: see `making.make`; around the preprocessed game.

    Raises:
      ValueError: for an unknown name.
      MissingError: if Atari is not installed.
    """
    check_name(env_name)
    # Skipping frames and ending the episode are left to the wrappers: ALE's
    # own limit would end it on a frame that the preprocessing does not see.
    ours = {
      'frameskip': 1,
      'repeat_action_probability': 0.25,
      'full_action_space': False,
      'max_num_frames_per_episode': 0,
    }
    twice = sorted({*ours} & {*(kwargs or {})})
    if twice:
      raise ValueError(
        'Expected env_kwargs of Atari without those that the protocol sets: '
        f'{", ".join(ours)}. Received: {", ".join(twice)}.'
      )
    game = making.make(
      config_lib.gym_id(env_name), {**ours, **(kwargs or {})}, (), render_mode
    )
    game = gym.wrappers.AtariPreprocessing(
      game, noop_max=0, frame_skip=4, screen_size=_SCREEN_SIZE
    )
    game = gym.wrappers.TimeLimit(game, MAX_EPISODE_STEPS)
    game = making.wrap(game, wrappers)
    spec = spaces.spec_of(env_name, game)
    screen = (_SCREEN_SIZE, _SCREEN_SIZE, 1)
    if spec.observation_shape != screen:
      raise ValueError(
        f'Expected wrappers that leave the {_SCREEN_SIZE} x {_SCREEN_SIZE} '
        f'pixels of an Atari game. Received: {game.observation_space} from '
        f'env_wrappers={",".join(wrappers)}.'
      )
    shape = (_SCREEN_SIZE, _SCREEN_SIZE, _NUM_FRAMES)
    self._start(
      game,
      dataclasses.replace(
        spec,
        observation_size=int(np.prod(shape)),
        observation_shape=shape,
        num_frames=_NUM_FRAMES,
      ),
    )
    self._frames = collections.deque(maxlen=_NUM_FRAMES)

  def _observe(self, method, observation):
    """Stacks the last frames; see Environment."""
    frame = super()._observe(method, observation)
    if method == 'reset':
      self._frames.extend([np.zeros_like(frame)] * (_NUM_FRAMES - 1))
    self._frames.append(frame)
    return np.concatenate(self._frames, axis=-1)


def check_name(env_name):
  """Imports ALE and checks that it has a game.

  Raises:
    ValueError: if not, with the nearest name.
    MissingError: if Atari is not installed.
  """
  packages.require('Atari', 'ale_py', 'cv2')  # OpenCV resizes the frames.
  import ale_py

  gym.register_envs(ale_py)
  # Before the first game is made, or ALE prints a banner on stderr.
  ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
  if config_lib.gym_id(env_name) not in gym.registry:
    valid = [name for name in gym.registry if config_lib.is_atari(name)]
    raise ValueError(names.unknown('environment', env_name, valid))
