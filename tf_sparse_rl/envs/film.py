"""Films an episode that has been played: same seed, same actions.

A program of its own, since Mesa's software renderer, which MuJoCo draws with
where there is no display, crashes in a process with TensorFlow. It reads JSON:
env_name, kwargs and wrappers as `registry.from_name` takes them, video_dir and
the position to play up to.
"""

import json
import os
import sys


def main():
  """Replays the episode before a camera; writes one MP4."""
  # Pictures are drawn in memory: no display is needed, nor complained about.
  os.environ.setdefault('SDL_VIDEODRIVER', 'dummy')
  os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
  if not os.environ.get('DISPLAY'):
    os.environ.setdefault('MUJOCO_GL', 'egl')
  import gymnasium as gym

  from tf_sparse_rl.envs import registry

  episode = json.load(sys.stdin)
  env = registry.from_name(
    episode['env_name'], 'rgb_array', episode['kwargs'], episode['wrappers']
  )
  if env.gym.render_mode != 'rgb_array':
    sys.exit('it renders no images')
  env.gym = gym.wrappers.RecordVideo(
    env.gym,
    episode['video_dir'],
    episode_trigger=lambda _: True,
    disable_logger=True,
  )
  env.restore(episode['position'])
  env.close()


if __name__ == '__main__':
  main()
