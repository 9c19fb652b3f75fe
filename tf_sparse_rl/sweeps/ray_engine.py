"""Executes runs on a Ray cluster, or on a local Ray that it starts."""

import math
import os
import socket
import time

from tf_sparse_rl import packages
from tf_sparse_rl.sweeps import local_engine
from tf_sparse_rl.sweeps import outcome as outcome_lib
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

# From the worker's SIGKILL until the driver gives the attempt up.
_MORE_SECONDS = 30
# One per worker process of Ray, which executes many runs in turn.
_local_engines = {}


class RayEngine:
  """Executes each attempt of a run as a Ray task.

  All nodes must share the directory of the sweep. If a worker or node is lost,
  the attempt counts as failed and the driver makes another one.
  """

  def __init__(
    self,
    sweep_dir,
    max_parallel=None,
    address=None,
    cpus_per_run=1.0,
    gpus_per_run=0.0,
    limits=None,
  ):
    """Connects to a cluster or starts one.

    Args:
      sweep_dir: a SweepDir.
      max_parallel: maximum number of parallel runs; None for as many as the
        resources of the cluster allow.
      address: of a cluster, or 'auto' for one on this machine; None starts one.
      cpus_per_run: CPUs that Ray reserves for a run.
      gpus_per_run: GPUs that Ray reserves for a run; 0.25 for four runs on one.
      limits: a `local_engine.Limits`; None for the defaults.

    Raises:
      MissingError: if Ray is not installed.
      EngineError: if there is no cluster at the address.
    """
    # Read when Ray is imported.
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    packages.require('--engine=ray', 'ray')
    import ray

    self._ray = ray
    self._sweep_dir = sweep_dir
    self._max_parallel = max_parallel
    self._running = {}  # {ObjectRef: Run}
    self._limits = limits or local_engine.Limits()
    self._give_up = math.inf  # deadline of the tasks' end
    try:
      _check_answer(address)
      ray.init(
        address=address or 'local',
        include_dashboard=None if address else False,
        logging_level='ERROR',
        log_to_driver=False,
      )
    except (OSError, RuntimeError, ValueError) as error:
      raise local_engine.EngineError(
        f'Expected a Ray cluster at {address or "this machine"}; '
        f'launch/ray_cluster.sh starts one. Received: {error}'
      ) from error
    # Retries are the driver's.
    self._task = ray.remote(
      num_cpus=cpus_per_run, num_gpus=gpus_per_run, max_retries=0
    )(_attempt)
    self._needs = {'CPU': cpus_per_run, 'GPU': gpus_per_run}
    if not self.num_parallel:
      # Ray would wait for such a node forever.
      ray.shutdown()
      raise local_engine.EngineError(
        'Expected a node with the resources of a run: '
        f'cpus_per_run={cpus_per_run:g}, gpus_per_run={gpus_per_run:g}. '
        'Received: no such node. Lower them or add a node.'
      )

  @property
  def num_parallel(self):
    """Number of parallel runs, by the resources of all nodes."""
    room = 0
    for node in self._ray.nodes():
      if node['Alive']:
        rooms = [
          # Fractions such as 0.1 do not add up exactly.
          int(node['Resources'].get(name, 0) / needed + 1e-6)
          for name, needed in self._needs.items()
          if needed
        ]
        room += min(rooms, default=1)
    return min(room, self._max_parallel or room)

  @property
  def num_free(self):
    """Number of runs to start now; some are queued, so that no node idles."""
    limit = self._max_parallel or 2 * self.num_parallel
    return max(0, limit - len(self._running))

  def start(self, run):
    """Starts a run as a task of the cluster."""
    path = local_engine.python_path()
    task = self._task.remote(str(self._sweep_dir.path), run, path, self._limits)
    self._running[task] = run

  def wait(self, seconds):
    """Waits until runs have ended; returns a list of (run, Outcome)."""
    refs = list(self._running)
    if refs and self._ray.wait(refs, timeout=seconds)[0]:
      refs, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
      return [self._ended(ref) for ref in refs]
    if time.monotonic() > self._give_up:
      # Their workers do not answer: nodes that hang.
      given_up, self._running = self._running.values(), {}
      return [
        (run, self._lost(run, 'did not stop in time')) for run in given_up
      ]
    return []

  def _ended(self, ref):
    run = self._running.pop(ref)
    try:
      return run, self._ray.get(ref)
    except self._ray.exceptions.TaskCancelledError:
      return run, outcome_lib.Outcome(None, 'stopped before it began')
    except self._ray.exceptions.RayError as error:
      reason = f'lost its worker or node: {type(error).__name__}'
    return run, self._lost(run, reason)

  def _lost(self, run, reason):
    """The Outcome of a run whose worker is lost."""
    outcome = outcome_lib.Outcome(None, reason)
    self._sweep_dir.note(run, event='end', **outcome._asdict())
    return outcome

  def stop(self):
    """Asks all runs to stop."""
    for ref in self._running:
      self._ray.cancel(ref)
    self._give_up = time.monotonic() + self._limits.stop + _MORE_SECONDS

  def close(self):
    """Disconnects from the cluster, or stops the local one."""
    self._ray.shutdown()


def _check_answer(address):
  """Checks that the address answers; Ray itself would try for minutes."""
  host, colon, port = (address or '').rpartition(':')
  if colon and '/' not in host:
    socket.create_connection((host, int(port)), timeout=10).close()


def _attempt(sweep_path, run, path, limits):
  """One attempt of a run, in a worker process of Ray; returns its Outcome."""
  engine = _local_engines.get(sweep_path)
  if engine is None:
    # Ray assigns the cores and the GPU.
    engine = _local_engines[sweep_path] = local_engine.LocalEngine(
      sweep_dir_lib.SweepDir(sweep_path),
      max_parallel=1,
      env=_gpus,
      path=path,
      limits=limits,
    )
  engine.start(run)
  while True:
    # Ray cancels by a KeyboardInterrupt in this thread.
    try:
      for _, outcome in engine.wait(0.5):
        return outcome
    except KeyboardInterrupt:
      engine.stop()  # Runs that do not stop are killed.


def _gpus():
  names = ('CUDA_VISIBLE_DEVICES',)
  return {name: os.environ[name] for name in names if name in os.environ}
