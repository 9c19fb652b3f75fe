"""Runs commands as forks of a process that has imported what they import.

Most of what a command takes is the import of TensorFlow. A fork starts where
that is done: it is a process of its own, with its own arguments, files,
environment and signals, and it is killed like any other.
"""

import contextlib
import importlib
import json
import os
import pathlib
import queue
import resource
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from typing import NamedTuple

_ROOT = pathlib.Path(__file__).parents[1]
_PRELOADED = (
  'gymnasium.envs.classic_control',
  'tensorboard.summary',
  'tf_sparse_rl.exporting.exporter',
  'tf_sparse_rl.report.writing',
  'tf_sparse_rl.sweeps.status',
  'tf_sparse_rl.training.loop',
  'tf_sparse_rl.training.terminal',
)
_SECONDS = 300
# What conftest.py sets and the shell of a user does not.
_OF_TESTS = ('TF_USE_LEGACY_KERAS', 'TF_CPP_MIN_LOG_LEVEL')


class Ended(NamedTuple):
  """A command that has ended, as subprocess tells it."""

  returncode: int
  stdout: str
  stderr: str


class Command:
  """A command that runs."""

  def __init__(self, pid, events, stdout, stderr):
    self.pid = pid
    self._events, self._outputs = events, (stdout, stderr)
    self._returncode = None

  def poll(self):
    """Its exit status, minus the signal that killed it; None while it runs."""
    with contextlib.suppress(queue.Empty):
      if self._returncode is None:
        self._returncode = self._events.get_nowait()
    return self._returncode

  def send_signal(self, number):
    """Sends it a signal."""
    os.kill(self.pid, number)

  def wait(self, seconds=_SECONDS):
    """Waits for its end; returns an Ended. It is killed if that is too long."""
    if self._returncode is None:
      try:
        self._returncode = self._events.get(timeout=seconds)
      except queue.Empty:
        self.send_signal(signal.SIGKILL)
        raise AssertionError(f'It took longer than {seconds} s.') from None
    texts = (path.read_text('utf-8', 'replace') for path in self._outputs)
    return Ended(self._returncode, *texts)


class Server:
  """The process whose forks are the commands."""

  def __init__(self):
    """Starts it; it imports while the test goes on."""
    self._directory = tempfile.TemporaryDirectory(prefix='forks')
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'tests.forks'],
      cwd=_ROOT,
      env={
        **{k: v for k, v in os.environ.items() if k not in _OF_TESTS},
        'PYTHONPATH': str(_ROOT),
        'PYTHONHASHSEED': '0',
      },
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self._lock = threading.Lock()
    self._count = 0
    self._started = queue.SimpleQueue()  # Of the same, in order.
    self._events = {}  # {process id: queue of its exit status}
    threading.Thread(target=self._listen, daemon=True).start()

  def start(
    self,
    name,
    *flags,
    cwd=None,
    terminal=None,
    max_file_bytes=None,
    **variables,
  ):
    """Starts a command.

    Args:
      name: of the command.
      *flags: its arguments.
      cwd: directory where it is started.
      terminal: path of the one that it writes to; default: to files.
      max_file_bytes: size at which a file that it writes is full.
      **variables: of its environment.

    Returns:
      A Command.
    """
    with self._lock:
      self._count += 1
      path = pathlib.Path(self._directory.name) / str(self._count)
      outputs = path.with_suffix('.out'), path.with_suffix('.err')
      request = {
        'words': [name, *map(str, flags)],
        'cwd': str(cwd or _ROOT),
        'variables': variables,
        'max_file_bytes': max_file_bytes,
        'outputs': [terminal] * 2 if terminal else [str(p) for p in outputs],
      }
      for output in outputs:
        output.touch()
      self._process.stdin.write(json.dumps(request) + '\n')
      self._process.stdin.flush()
      pid, events = self._started.get(timeout=_SECONDS)
      assert pid, 'The server has ended; see its stderr.'
      return Command(pid, events, *outputs)

  def run(self, name, *flags, **options):
    """Runs a command to its end; returns an Ended. See `start`."""
    return self.start(name, *flags, **options).wait()

  def close(self):
    """Ends the process."""
    self._process.stdin.close()
    self._process.wait(timeout=60)
    self._directory.cleanup()

  def _listen(self):
    for line in self._process.stdout:
      pid, status = json.loads(line)
      if status is None:
        self._events[pid] = queue.SimpleQueue()
        self._started.put((pid, self._events[pid]))
      else:
        self._events.pop(pid).put(status)
    self._started.put((None, None))


def _run(name, *flags):
  """Is the command; returns its exit status."""
  sys.argv = [name, *flags]
  try:
    runpy.run_module(
      f'tf_sparse_rl.{name}', run_name='__main__', alter_sys=True
    )
  except SystemExit as ended:
    return ended.code or 0 if isinstance(ended.code, int | None) else 1
  return 0


def _fork(request):
  """Runs a command in a child; returns its process id."""
  child = os.fork()
  if child:
    return child
  status = 70
  try:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    how = os.O_WRONLY | os.O_CREAT | os.O_NOCTTY
    for number, path in enumerate(request['outputs'], 1):
      os.dup2(os.open(path, how, 0o600), number)
    sys.stdout = open(1, 'w', closefd=False)  # As buffered as its file asks.
    os.chdir(request['cwd'])
    sys.path.insert(0, request['cwd'])
    os.environ.update(request['variables'])
    if request['max_file_bytes']:
      limits = resource.getrlimit(resource.RLIMIT_FSIZE)
      limits = request['max_file_bytes'], limits[1]
      resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = _run(*request['words'])
  except BaseException:
    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve(tell):
  """Starts commands as told on standard input, and tells of their ends."""
  running, pending = set(), b''
  while True:
    if select.select([0], [], [], 0.02)[0]:
      received = os.read(0, 1 << 16)
      if not received:
        break
      *lines, pending = (pending + received).split(b'\n')
      for line in lines:
        running.add(pid := _fork(json.loads(line)))
        tell(pid, None)
    while running:
      pid, status = os.waitpid(-1, os.WNOHANG)
      if not pid:
        break
      running.discard(pid)
      tell(pid, os.waitstatus_to_exitcode(status))
  for pid in running:
    os.kill(pid, signal.SIGKILL)


def main():
  """Serves on standard input and output."""
  out = os.fdopen(os.dup(1), 'w', buffering=1)
  os.dup2(2, 1)
  from tf_sparse_rl import quiet

  with quiet.silenced():
    for name in _PRELOADED:
      importlib.import_module(name)
  _serve(lambda *event: out.write(json.dumps(event) + '\n'))
  os._exit(0)


if __name__ == '__main__':
  main()
