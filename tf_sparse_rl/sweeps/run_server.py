"""Starts runs that need not start Python and TensorFlow: forks after import.

A process of its own, the child of an engine. A line of JSON on its input
starts or stops a run; a line on its output tells what became of one. Every run
is a fork in which the train command runs as if from a shell: TensorFlow has
been imported but not yet used, so a run finds what it would find alone, and
whatever it breaks ends with it.
"""

import ctypes
import importlib
import json
import os
import runpy
import select
import signal
import sys
import time
import traceback

from tf_sparse_rl import files, quiet
from tf_sparse_rl import runs as runs_lib

# Python modules that a run would otherwise import later.
_PRELOADED = (
  'gymnasium.envs.classic_control',
  'tensorboard.summary',
  'tf_sparse_rl.exporting.policy',
  'tf_sparse_rl.training.loop',
  'tf_sparse_rl.training.terminal',
)
# A run whose engine was killed has 30 s to save a checkpoint.
_PATIENCE_SECONDS = 60
_PR_SET_PDEATHSIG = 1


def serve(commands, tell):
  """Starts and stops runs as told, until the commands end.

  Args:
    commands: file descriptor; each line is `{"start": id, "flags": [...],
      "root_dir": path, "log": path, "cores": [...] or null, "env": {...}}` or
      `{"stop": id}`.
    tell: function of a dict: `{"ended": id, "status": as of os.wait4,
      "seconds": of CPU}`.
  """
  running, pending = {}, b''
  while True:
    if select.select([commands], [], [], 0.05)[0]:
      received = os.read(commands, 1 << 16)
      if not received:
        break
      *lines, pending = (pending + received).split(b'\n')
      for line in lines:
        command = json.loads(line)
        if 'start' in command:
          running[_fork(command)] = command['start']
        else:
          _stop([p for p, i in running.items() if i == command['stop']])
    while running:
      pid, status, used = os.wait4(-1, os.WNOHANG)
      if not pid:
        break
      seconds = used.ru_utime + used.ru_stime
      tell({'ended': running.pop(pid), 'status': status, 'seconds': seconds})
  # The engine is gone: what runs saves itself, then it is over.
  _stop(running)
  for pid in running:
    os.waitpid(pid, 0)


def _stop(pids):
  for pid in pids:
    os.kill(pid, signal.SIGTERM)


def _fork(command):
  """Forks a run; returns its process id."""
  sys.stdout.flush()
  server = os.getpid()
  pid = os.fork()
  if pid:
    return pid
  # From here on this is the run; it never returns.
  status = 1
  try:
    status = _run(command, server)
  except BaseException:
    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(command, server):
  """Is the train command; returns its exit code."""
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
  if os.getppid() != server:
    return 128 + signal.SIGTERM  # It died before it could be noticed.
  log = files.open_to_append(command['log'])
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  os.dup2(log.fileno(), 1)
  os.dup2(log.fileno(), 2)
  signal.signal(signal.SIGINT, signal.default_int_handler)
  if command['cores']:
    os.sched_setaffinity(0, command['cores'])
  os.environ.update(command['env'])
  _wait_for(command['root_dir'])
  root_dir = f'--root_dir={command["root_dir"]}'
  sys.argv = ['train', *command['flags'], root_dir]
  try:
    runpy.run_module('tf_sparse_rl.train', run_name='__main__', alter_sys=True)
  except SystemExit as ended:
    if isinstance(ended.code, int | None):
      return ended.code or 0
    print(ended.code, file=sys.stderr)
    return 1
  return 0


def _wait_for(root_dir):
  """Lets an earlier attempt, whose engine was killed, save itself."""
  run_dir = runs_lib.RunDir(root_dir)
  end = time.monotonic() + _PATIENCE_SECONDS
  while run_dir.in_use() and time.monotonic() < end:
    time.sleep(0.1)


def main():
  """Serves on standard input and output."""
  # Runs print to their logs, and imports must not disturb the engine.
  out = os.fdopen(os.dup(1), 'w', buffering=1)
  os.dup2(2, 1)
  # The engine passes it on.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  quiet.silence()
  for name in _PRELOADED:
    importlib.import_module(name)

  def tell(event):
    out.write(json.dumps(event) + '\n')

  tell({'ready': True})
  serve(0, tell)
  # Nothing is left to be tidied up, and TensorFlow's own end takes its time.
  os._exit(0)


if __name__ == '__main__':
  main()
