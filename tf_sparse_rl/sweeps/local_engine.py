"""Works runs off on this machine: one process a run, pinned to its cores."""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

from tf_sparse_rl import files
from tf_sparse_rl.sweeps import outcome as outcome_lib

# What a run may take to save a checkpoint, and some more.
_STOP_SECONDS = 60
_PACKAGE_PARENT = pathlib.Path(__file__).parents[2]


class EngineError(Exception):
  """The engine cannot work; the message says why and what to do."""


def share_out(cores, num_slots):
  """Shares cores out among slots: each has its own while there are enough.

  Args:
    cores: list of numbers of cores.
    num_slots: runs at a time.

  Returns:
    List of `num_slots` lists of cores.
  """
  if num_slots >= len(cores):
    return [[cores[i % len(cores)]] for i in range(num_slots)]
  return [cores[i::num_slots] for i in range(num_slots)]


def available_cores():
  """The cores that this process may use, a list."""
  return sorted(os.sched_getaffinity(0))


def python_path():
  """A PYTHONPATH by which runs elsewhere find the modules found here."""
  given = os.environ.get('PYTHONPATH', '').split(os.pathsep)
  parts = [os.getcwd(), *map(os.path.abspath, filter(None, given))]
  return os.pathsep.join(dict.fromkeys(parts))


class LocalEngine:
  """Runs are forks of one run server, which has TensorFlow imported.

  Where a run is killed only its attempt is lost; where the server is killed,
  its runs save themselves, and the next start makes a new one.
  """

  def __init__(self, sweep_dir, max_parallel=None, env=None, path=None):
    """Starts nothing yet.

    Args:
      sweep_dir: a SweepDir.
      max_parallel: runs at a time; None for one a core.
      env: function that returns environment variables for a run.
      path: where its runs find modules; None for `python_path` of here.
    """
    cores = available_cores()
    self._slots = share_out(cores, max_parallel or len(cores))
    self._sweep_dir = sweep_dir
    self._env = env or dict
    self._path = path or python_path()
    self._server = None
    self._pending = b''
    self._running = {}  # {id: (Run, cores, size of its log before)}

  @property
  def num_parallel(self):
    """Runs at a time."""
    return len(self._slots) + len(self._running)

  @property
  def num_free(self):
    """Runs that can be started now."""
    return len(self._slots)

  def open(self):
    """Starts the run server if it does not run; takes seconds.

    Raises:
      EngineError: if it does not come up.
    """
    if self._server is None:
      self._start_server()

  def start(self, run):
    """Starts an attempt of a run.

    Args:
      run: a Run.

    Raises:
      EngineError: if the run server does not come up.
    """
    self.open()
    log_path = self._sweep_dir.log_path(run)
    cores = self._slots.pop(0)
    log_size = log_path.stat().st_size if log_path.exists() else 0
    self._running[run.id] = (run, cores, log_size)
    self._sweep_dir.note(run, event='begin')
    self._send(
      start=run.id,
      flags=run.arguments(),
      root_dir=str(self._sweep_dir.run_dir(run).path),
      log=str(log_path),
      cores=cores,
      env=self._env(),
    )

  def wait(self, seconds):
    """Waits for attempts to end, or for some time to pass.

    Args:
      seconds: float.

    Returns:
      List of (Run, Outcome) of those that have ended.
    """
    if self._server is None:
      time.sleep(seconds)
      return []
    ended = []
    for event in self._receive(seconds):
      run, cores, log_size = self._running.pop(event['ended'])
      self._slots.append(cores)
      outcome = outcome_lib.of_status(
        event['status'], self._sweep_dir.log_path(run), log_size
      )._replace(cpu_seconds=round(event['seconds'], 2))
      ended.append((run, outcome))
    if self._server.poll() is not None:
      ended += self._lost()
    for run, outcome in ended:
      self._sweep_dir.note(run, event='end', **outcome._asdict())
    return ended

  def stop(self):
    """Asks all runs to save a checkpoint and end; `wait` tells of them."""
    for run_id in self._running:
      self._send(stop=run_id)

  def close(self):
    """Ends the run server, and runs that are left, after they are saved."""
    if self._server is None:
      return
    self._server.stdin.close()
    try:
      self._server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
      self._server.kill()
      self._server.wait()
    self._server.stdout.close()
    self._server = None

  def _start_server(self):
    logs = self._sweep_dir.path / 'logs'
    files.refuse_links(logs)
    files.make_directory(logs)
    name = f'run_server-{os.uname().nodename}-{os.getpid()}.log'
    path = os.pathsep.join([str(_PACKAGE_PARENT), self._path])
    with files.open_to_append(logs / name) as log:
      self._server = subprocess.Popen(
        [sys.executable, '-m', f'{__package__}.run_server'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        # Its runs are stopped by us, not by a Ctrl-C at the terminal.
        start_new_session=True,
        env={**os.environ, 'PYTHONPATH': path},
      )
    if not self._server.stdout.readline():
      self._server.wait()
      raise EngineError(
        'The process that imports TensorFlow for the runs did not start: '
        f'{outcome_lib.last_words(logs / name)}. Its log: {logs / name}.'
      )

  def _send(self, **command):
    try:
      os.write(
        self._server.stdin.fileno(), json.dumps(command).encode() + b'\n'
      )
    except BrokenPipeError:
      pass  # It was killed; `wait` tells of its runs.

  def _receive(self, seconds):
    stdout = self._server.stdout
    if not select.select([stdout], [], [], seconds)[0]:
      return []
    *lines, self._pending = (
      self._pending + os.read(stdout.fileno(), 1 << 16)
    ).split(b'\n')
    return [json.loads(line) for line in lines]

  def _lost(self):
    """The outcomes of the runs of a server that was killed."""
    code = self._server.returncode
    how = f'killed by {signal.Signals(-code).name}' if code < 0 else 'gone'
    self.close()
    self._pending = b''
    lost = [run for run, _, _ in self._running.values()]
    self._slots += [cores for _, cores, _ in self._running.values()]
    self._running = {}
    reason = f'the process it was forked from was {how}'
    return [(run, outcome_lib.Outcome(None, reason)) for run in lost]
