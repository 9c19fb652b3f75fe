"""Records an episode that has been played: same seed, same actions.

A program of its own, since Mesa's software renderer, which MuJoCo uses without
a display, crashes in a process with TensorFlow. It reads JSON: env_name, kwargs
and wrappers as `registry.from_name` takes them, the path of the MP4 and the
position at the end of the episode. It prints a line for each frame.
"""

import json
import os
import sys


def main():
  """Replays the episode and writes an MP4."""
  # Rendering is off-screen: no display is needed.
  os.environ.setdefault('SDL_VIDEODRIVER', 'dummy')
  os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
  if not os.environ.get('DISPLAY'):
    os.environ.setdefault('MUJOCO_GL', 'egl')
  from tf_sparse_rl.envs import registry

  episode = json.load(sys.stdin)
  env = registry.from_name(
    episode['env_name'], 'rgb_array', episode['kwargs'], episode['wrappers']
  )
  if env.gym.render_mode != 'rgb_array':
    sys.exit('it renders no images')
  env.gym = camera(env.gym, episode['path'])
  env.restore(episode['position'])
  env.close()


def camera(env, path):
  """Wraps a Gymnasium environment so that it is recorded.

  Args:
    env: a Gymnasium environment that renders arrays.
    path: of the MP4, complete once the environment is closed.

  Returns:
    A wrapper of `env`.
  """
  # Imported late: only recording needs them.
  import gymnasium
  from moviepy.video.io import ffmpeg_writer

  class Camera(gymnasium.Wrapper):
    """Writes a frame at each reset and step."""

    _writer = None

    def reset(self, **kwargs):
      result = super().reset(**kwargs)
      self._shoot()
      return result

    def step(self, action):
      result = super().step(action)
      self._shoot()
      return result

    def close(self):
      if self._writer is not None:
        self._writer.close()
      super().close()

    def _shoot(self):
      frame = self.render()
      if self._writer is None:
        fps = self.metadata.get('render_fps', 30)
        height, width = frame.shape[:2]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._writer = ffmpeg_writer.FFMPEG_VideoWriter(
          path, (width, height), fps
        )
      self._writer.write_frame(frame)
      print('frame', flush=True)

  return Camera(env)


if __name__ == '__main__':
  main()
