"""Executes the queued runs with an engine, with retries."""

import collections
from typing import NamedTuple


class Report(NamedTuple):
  """The outcome of a list of runs."""

  finished: list  # of Run
  failed: dict  # {id: reason}
  stopped: bool  # before all were executed


def execute(runs, engine, max_retries, on_event, stop):
  """Executes runs; one that fails does not stop the others.

  Args:
    runs: list of Run that are not finished.
    engine: a LocalEngine, or an object with its methods.
    max_retries: maximum number of retries of a run that failed or was lost.
    on_event: function of (run, event, text), event one of 'started',
      'finished', 'retried', 'failed', 'stopped', and of (None, 'waiting', '')
      now and then.
    stop: function; true stops the runs.

  Returns:
    A Report.
  """
  queue = collections.deque(runs)
  attempts = collections.Counter()
  num_running, stopping = 0, False
  finished, failed = [], {}
  while queue or num_running:
    if stop() and not stopping:
      stopping = True
      engine.stop()
    if stopping and not num_running:
      break
    while queue and engine.num_free and not stopping:
      run = queue.popleft()
      attempts[run.id] += 1
      num_running += 1
      engine.start(run)
      on_event(run, 'started', '')
    for run, outcome in engine.wait(0.2):
      num_running -= 1
      if outcome.finished:
        finished.append(run)
        on_event(run, 'finished', '')
      elif stopping:
        on_event(run, 'stopped', outcome.reason)
      elif attempts[run.id] <= max_retries:
        queue.append(run)
        on_event(run, 'retried', outcome.reason)
      else:
        failed[run.id] = outcome.reason
        on_event(run, 'failed', outcome.reason)
    on_event(None, 'waiting', '')
  return Report(finished, failed, stopping)
