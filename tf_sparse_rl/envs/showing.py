"""An environment that is rendered in a window.

It lives in a process of its own, since Mesa's software renderer crashes in a
process with TensorFlow. Executed as a program, this module is that process.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing import connection as connection_lib

_DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY', 'SDL_VIDEODRIVER')


class ShownEnvironment:
  """Has `reset`, `step` and `random_action` of `Environment`."""

  def __init__(self, config, env):
    """Opens the window.

    Args:
      config: a Config, whose environment is shown.
      env: an Environment of it, for random actions.

    Raises:
      ValueError: if it cannot be shown here.
    """
    self._name, self.random_action = config.env_name, env.random_action
    if not any(os.environ.get(name) for name in _DISPLAYS):
      raise ValueError(
        f'Expected a display to show {self._name}. Received: neither DISPLAY '
        'nor WAYLAND_DISPLAY is set. --video records an episode without one.'
      )
    self._connection, theirs = multiprocessing.Pipe()
    self._stderr = tempfile.TemporaryFile()
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'tf_sparse_rl.envs.showing', str(theirs.fileno())],
      pass_fds=[theirs.fileno()],
      stdout=subprocess.DEVNULL,
      stderr=self._stderr,
    )
    theirs.close()
    arguments = (config.env_arguments, config.env_wrapper_calls)
    self._ask('make', (config.env_name, 'human', *arguments))

  def reset(self, seed):
    """Starts an episode, as `Environment.reset`."""
    return self._ask('reset', (seed,))

  def step(self, action):
    """Takes one env step, as `Environment.step`."""
    return self._ask('step', (action,))

  def close(self):
    """Closes the window."""
    self._connection.close()  # The process then ends by itself.
    self._process.wait()
    self._stderr.close()

  def _ask(self, method, arguments):
    try:
      self._connection.send((method, arguments))
      return self._connection.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
      self._process.wait()
      self._stderr.seek(0)
      lines = self._stderr.read().decode(errors='replace').split('\n')
      said = [line for line in lines if line.strip()]
      reason = said[-1] if said else 'its window was closed'
      raise ValueError(f'Cannot show {self._name}: {reason}') from error


def serve(connection):
  """Serves requests until the connection is closed."""
  from tf_sparse_rl.envs import registry

  env = None
  while True:
    try:
      method, arguments = connection.recv()
    except EOFError:
      break
    if method == 'make':
      env, result = registry.from_name(*arguments), None
      if env.gym.render_mode != 'human':
        sys.exit('it has no render_mode=human')
    else:
      result = getattr(env, method)(*arguments)
    connection.send(result)
  if env is not None:
    env.close()


def main():
  """Serves the connection whose file descriptor is the argument."""
  os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
  # At Ctrl-C the other side closes the connection.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  serve(connection_lib.Connection(int(sys.argv[1])))


if __name__ == '__main__':
  main()
