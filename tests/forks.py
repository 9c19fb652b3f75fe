"""Runs commands as forks of a process that has imported what they import.

A line of JSON on its input is the name and flags of a command; a line on its
output is (exit status, what it printed), -9 for one that did not end.
"""

import importlib
import json
import os
import runpy
import signal
import sys
import tempfile
import time
import traceback

from tf_sparse_rl import quiet

_PRELOADED = (
  'gymnasium.envs.classic_control',
  'tf_sparse_rl.exporting.exporter',
  'tf_sparse_rl.report.writing',
  'tf_sparse_rl.sweeps.status',
  'tf_sparse_rl.training.loop',
  'tf_sparse_rl.training.terminal',
)
_SECONDS = 300


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


def _fork(words, output):
  """Runs a command in a child; returns its status."""
  child = os.fork()
  if not child:
    os.dup2(output, 1)
    os.dup2(output, 2)
    status = 70
    try:
      status = _run(*words)
    except BaseException:
      traceback.print_exc()
    finally:
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(status)
  end = time.monotonic() + _SECONDS
  while not (ended := os.waitpid(child, os.WNOHANG))[0]:
    if time.monotonic() > end:
      os.kill(child, signal.SIGKILL)
    time.sleep(0.02)
  return os.waitstatus_to_exitcode(ended[1])


def main():
  """Serves on standard input and output."""
  out = os.fdopen(os.dup(1), 'w', buffering=1)
  os.dup2(2, 1)
  with quiet.silenced():
    for name in _PRELOADED:
      importlib.import_module(name)
  for line in sys.stdin:
    with tempfile.TemporaryFile() as output:
      status = _fork(json.loads(line), output.fileno())
      output.seek(0)
      printed = output.read().decode(errors='replace')
    out.write(json.dumps([status, printed]) + '\n')


if __name__ == '__main__':
  main()
