"""Sweeps in processes of their own, and what tests do to them."""

import json
import os
import pathlib
import subprocess
import sys
import time

from tests.sweeps import conftest

_ROOT = pathlib.Path(__file__).parents[2]
_CLOCK = ('wall_seconds', 'env_steps_per_sec')


def flags(**changes):
  """Flags of a tiny run."""
  return [
    f'--{name}={",".join(map(str, v)) if isinstance(v, tuple) else v}'
    for name, v in {**conftest.TINY, **changes}.items()
  ]


def start(command, *arguments, prefix=(), **variables):
  """Starts one of our commands.

  Args:
    command: its name.
    *arguments: its flags.
    prefix: words before it, of a program that runs it.
    **variables: of its environment.

  Returns:
    A Popen.
  """
  return subprocess.Popen(
    [*prefix, sys.executable, '-m', f'tf_sparse_rl.{command}', *arguments],
    env={**os.environ, 'PYTHONPATH': str(_ROOT), **variables},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def results(path):
  """The lines of a run's results.jsonl without what a clock says."""
  lines = (path / 'results.jsonl').read_text('utf-8').splitlines()
  return [
    {k: v for k, v in json.loads(line).items() if k not in _CLOCK}
    for line in lines
  ]


def until(process, condition):
  """Waits for something to be seen while the process runs."""
  end = time.monotonic() + 240
  while not condition():
    if process.poll() is not None or time.monotonic() > end:
      process.kill()
      raise AssertionError(f'it ended: {process.communicate()}')
    time.sleep(0.005)


def holders(log):
  """Ids of the processes that print their errors into a log."""
  found = []
  for entry in pathlib.Path('/proc').iterdir():
    try:
      if os.readlink(entry / 'fd' / '2') == str(log):
        found.append(int(entry.name))
    except (OSError, ValueError):
      continue
  return found


def parent(pid):
  """Id of the parent of a process."""
  text = pathlib.Path(f'/proc/{pid}/stat').read_text('utf-8')
  # After the name, which may have blanks: the state, the parent.
  return int(text.rpartition(')')[2].split()[1])


def evaluations(sweep_dir, run_id):
  """Number of evaluations that a run has written."""
  path = sweep_dir.path / 'runs' / run_id / 'results.jsonl'
  return path.read_text('utf-8').count('\n') if path.exists() else 0


def process_of(process, sweep_dir, run_id):
  """Id of the process of a run, once it was evaluated after training.

  Args:
    process: that works on the sweep.
    sweep_dir: a SweepDir.
    run_id: of the run.

  Returns:
    int.
  """
  until(process, lambda: evaluations(sweep_dir, run_id) >= 2)
  [pid] = holders(sweep_dir.path / 'logs' / f'{run_id}.log')
  return pid
