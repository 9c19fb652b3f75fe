"""Executes runs on this machine, each in a process pinned to its cores."""

import dataclasses
import json
import math
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

from tf_sparse_rl import files
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import outcome as outcome_lib

# Time limit of the import of TensorFlow.
_START_SECONDS = 600
_SERVER = f'{__package__}.run_server'
_PACKAGE_PARENT = pathlib.Path(__file__).parents[2]


class EngineError(Exception):
  """The engine cannot work; the message gives the reason and a remedy."""


@dataclasses.dataclass(frozen=True)
class Limits:
  """Time limits, in seconds."""

  stop: float = 30.0  # from SIGTERM until a run is killed
  run: float | None = None  # of an attempt
  stall: float | None = None  # without an env step


@dataclasses.dataclass
class _Attempt:
  """An attempt of a run that goes on.

  The clock of the host may be set meanwhile: times of day are only compared
  with each other.
  """

  run: runs_lib.ListedRun
  cores: list
  log_size: int  # before it
  begin: float = dataclasses.field(default_factory=time.monotonic)
  stopped: str | None = None  # why, if it was told to; '' for all are
  last_env_step: float | None = None  # the time of day that was seen last
  since: float | None = None  # when it was seen to be another one

  def too_long(self, limits, last_env_step):
    """Why the attempt is to be stopped; '' if it is not.

    Args:
      limits: Limits.
      last_env_step: time of day of the run's last env step, or None.
    """
    now = time.monotonic()
    if limits.run and now - self.begin > limits.run:
      return f'it took longer than --run_timeout={limits.run:g}'
    if self.since is None:
      self.last_env_step, self.since = last_env_step, self.begin
    elif self.last_env_step != last_env_step:
      self.last_env_step, self.since = last_env_step, now
    if limits.stall and now - self.since > limits.stall:
      return f'no env step for longer than --stall_timeout={limits.stall:g}'
    return ''


def share_out(cores, num_slots):
  """Divides cores between slots; slots share cores if there are too few.

  Args:
    cores: list of numbers of cores.
    num_slots: number of parallel runs.

  Returns:
    List of `num_slots` lists of cores.
  """
  if num_slots >= len(cores):
    return [[cores[i % len(cores)]] for i in range(num_slots)]
  return [cores[i::num_slots] for i in range(num_slots)]


def available_cores():
  """Lists the cores that this process may use."""
  return sorted(os.sched_getaffinity(0))


def python_path():
  """A PYTHONPATH with which runs find the same modules as this process."""
  given = os.environ.get('PYTHONPATH', '').split(os.pathsep)
  parts = [os.getcwd(), *map(os.path.abspath, filter(None, given))]
  return os.pathsep.join(dict.fromkeys(parts))


class LocalEngine:
  """Executes runs as forks of a run server, which has imported TensorFlow.

  If a run is killed, only its attempt is lost. If the server is killed, its
  runs save checkpoints and the next start makes a new server.
  """

  def __init__(
    self, sweep_dir, max_parallel=None, env=None, path=None, limits=None
  ):
    """Creates the engine; nothing is started yet.

    Args:
      sweep_dir: a SweepDir.
      max_parallel: maximum number of parallel runs; None for one per core.
      env: function that returns environment variables for a run.
      path: PYTHONPATH of the runs; None for `python_path()`.
      limits: Limits; None for the defaults.
    """
    cores = available_cores()
    self._slots = share_out(cores, max_parallel or len(cores))
    self._sweep_dir = sweep_dir
    self._env = env or dict
    self._path = path or python_path()
    self._limits = limits or Limits()
    self._server = None
    self._pending = b''
    self._running = {}  # {id: _Attempt}
    self._give_up = math.inf  # deadline of the server's end

  @property
  def num_parallel(self):
    """Number of parallel runs."""
    return len(self._slots) + len(self._running)

  @property
  def num_free(self):
    """Number of runs that can be started now."""
    return len(self._slots)

  def open(self):
    """Starts the run server, unless it is running; takes seconds.

    Raises:
      EngineError: if it does not start.
    """
    if self._server is None:
      self._start_server()

  def start(self, run):
    """Starts an attempt of a run.

    Args:
      run: a Run.

    Raises:
      EngineError: if the run server does not start.
    """
    self.open()
    log_path = self._sweep_dir.log_path(run)
    log_size = log_path.stat().st_size if log_path.exists() else 0
    attempt = _Attempt(run, self._slots.pop(0), log_size)
    self._running[run.id] = attempt
    self._sweep_dir.note(run, event='begin')
    self._send(
      start=run.id,
      flags=run.arguments(),
      root_dir=str(self._sweep_dir.run_dir(run).path),
      log=str(log_path),
      cores=attempt.cores,
      env=self._env(),
    )

  def wait(self, seconds):
    """Waits until attempts have ended, or for some time.

    Args:
      seconds: float.

    Returns:
      List of (Run, Outcome) of the attempts that have ended.
    """
    if self._server is None:
      time.sleep(seconds)
      return []
    ended = [self._ended(event) for event in self._receive(seconds)]
    self._stop_what_takes_too_long()
    if time.monotonic() > self._give_up:
      self._server.kill()
      self._server.wait()
    if self._server.poll() is not None:
      ended += self._lost()
    for run, outcome in ended:
      self._sweep_dir.note(run, event='end', **outcome._asdict())
    return ended

  def stop(self):
    """Asks all runs to save a checkpoint and end; `wait` returns them.

    Runs that do not end are killed.
    """
    for attempt in self._running.values():
      self._stop(attempt, '')
    self._give_up = time.monotonic() + self._limits.stop + 10

  def stop_run(self, run):
    """Asks one run to save a checkpoint and end; `wait` returns it."""
    self._send(stop=run.id)

  def close(self):
    """Stops the remaining runs and the run server."""
    if self._server is None:
      return
    self._server.stdin.close()
    try:
      self._server.wait(self._limits.stop + 10)
    except subprocess.TimeoutExpired:
      self._server.kill()
      self._server.wait()
    self._server.stdout.close()
    self._server = None

  def _stop(self, attempt, why):
    if attempt.stopped is None:
      attempt.stopped = why
      self._send(stop=attempt.run.id)

  def _stop_what_takes_too_long(self):
    for attempt in self._running.values():
      run_dir = self._sweep_dir.run_dir(attempt.run)
      if why := attempt.too_long(self._limits, run_dir.last_env_step_time()):
        self._stop(attempt, why)

  def _ended(self, event):
    """(Run, Outcome) of an attempt whose process has ended."""
    attempt = self._running.pop(event['ended'])
    self._slots.append(attempt.cores)
    outcome = outcome_lib.of_status(
      event['status'],
      self._is_finished(attempt.run),
      self._sweep_dir.log_path(attempt.run),
      attempt.log_size,
    )
    if outcome.reason and attempt.stopped is not None:
      reasons = [attempt.stopped, outcome.reason]
      if event['status'] == signal.SIGKILL:
        reasons[1] = f'killed, since it did not stop in {self._limits.stop:g} s'
      outcome = outcome._replace(reason='; '.join(filter(None, reasons)))
    return attempt.run, outcome._replace(cpu_seconds=round(event['seconds'], 2))

  def _is_finished(self, run):
    try:
      return self._sweep_dir.run_dir(run).read_summary() is not None
    except runs_lib.RunsError:
      return False

  def _start_server(self):
    logs = self._sweep_dir.path / 'logs'
    files.refuse_links(logs)
    files.make_directory(logs)
    name = f'run_server-{os.uname().nodename}-{os.getpid()}.log'
    path = os.pathsep.join([str(_PACKAGE_PARENT), self._path])
    command = [sys.executable, '-m', _SERVER, str(self._limits.stop)]
    with files.open_to_append(logs / name) as log:
      self._server = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        # A Ctrl-C at the terminal must not reach the runs.
        start_new_session=True,
        env={**os.environ, 'PYTHONPATH': path},
      )
    self._give_up = math.inf
    is_there = select.select([self._server.stdout], [], [], _START_SECONDS)[0]
    if not (is_there and self._server.stdout.readline()):
      self._server.kill()
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
      pass  # It was killed; `wait` returns its runs.

  def _receive(self, seconds):
    stdout = self._server.stdout
    if not select.select([stdout], [], [], seconds)[0]:
      return []
    *lines, self._pending = (
      self._pending + os.read(stdout.fileno(), 1 << 16)
    ).split(b'\n')
    return [json.loads(line) for line in lines]

  def _lost(self):
    """Outcomes of the runs of a server that was killed."""
    code = self._server.returncode
    how = f'killed by {outcome_lib.signal_name(-code)}' if code < 0 else 'gone'
    self.close()
    self._pending = b''
    lost, self._running = self._running, {}
    self._slots += [attempt.cores for attempt in lost.values()]
    lost_by = f'the process it was forked from was {how}'
    return [
      (
        attempt.run,
        outcome_lib.Outcome(
          None, '' if self._is_finished(attempt.run) else lost_by
        ),
      )
      for attempt in lost.values()
    ]
