"""Retries, stops and reports, with an engine that does as it is told."""

import collections

import pytest

from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import driver
from tf_sparse_rl.sweeps import outcome as outcome_lib

_OK = outcome_lib.Outcome(0, '')
_BAD = outcome_lib.Outcome(2, 'exit code 2: it is bad')
_KILLED = outcome_lib.Outcome(None, 'killed by SIGKILL')
_STOPPED = outcome_lib.Outcome(143, 'exit code 143: Stopped at env step 5')


class _Engine:
  """Ends the oldest run at each wait, as its script says; at last well."""

  def __init__(self, num_parallel, script=None):
    self._num_parallel = num_parallel
    self._script = {k: list(v) for k, v in (script or {}).items()}
    self._running = collections.deque()
    self._stopped = False
    self.most_at_once = 0
    self.started = []

  @property
  def num_free(self):
    return self._num_parallel - len(self._running)

  def start(self, run):
    assert self.num_free > 0
    self.started.append(run.id)
    self._running.append(run)
    self.most_at_once = max(self.most_at_once, len(self._running))

  def wait(self, seconds):
    assert seconds > 0
    run = self._running.popleft()
    if self._stopped:
      return [(run, _STOPPED)]
    script = self._script.get(run.id)
    return [(run, script.pop(0) if script else _OK)]

  def stop(self):
    self._stopped = True


def _runs(names):
  return [ListedRun(name, {}) for name in names]


def _execute(names, engine, max_retries=2, stop=lambda: False):
  told = []

  def on_event(run, event, text):
    if run is not None:
      told.append((run.id, event, text))

  report = driver.execute(_runs(names), engine, max_retries, on_event, stop)
  return report, told


def test_all_are_worked_off_in_order_and_no_more_than_fit():
  engine = _Engine(2)
  report, told = _execute('abcde', engine)
  assert engine.started == list('abcde')
  assert engine.most_at_once == 2
  assert report == driver.Report(_runs('abcde'), {}, False)
  assert [(i, e) for i, e, _ in told if e == 'finished'] == [
    (i, 'finished') for i in 'abcde'
  ]


@pytest.mark.parametrize('outcome', [_BAD, _KILLED, _STOPPED])
def test_what_fails_is_tried_again_after_the_others(outcome):
  engine = _Engine(1, {'a': [outcome, outcome]})
  report, told = _execute('abc', engine)
  assert engine.started == ['a', 'b', 'c', 'a', 'a']
  assert report.failed == {}
  assert [run.id for run in report.finished] == ['b', 'c', 'a']
  assert ('a', 'retried', outcome.reason) in told


@pytest.mark.parametrize('max_retries', [0, 1, 2])
def test_what_fails_always_is_reported_and_stops_nobody(max_retries):
  engine = _Engine(2, {'b': [_KILLED] * max_retries + [_BAD]})
  report, told = _execute('abc', engine, max_retries)
  assert engine.started.count('b') == 1 + max_retries
  assert report.failed == {'b': 'exit code 2: it is bad'}
  assert sorted(run.id for run in report.finished) == ['a', 'c']
  assert ('b', 'failed', 'exit code 2: it is bad') in told
  assert not report.stopped


def test_a_stop_is_passed_on_and_starts_nothing_more():
  engine = _Engine(2)
  report, told = _execute('abcd', engine, stop=lambda: engine.started)
  # The first ends well before the next look at whether to stop.
  assert engine.started == ['a', 'b']
  assert report == driver.Report(_runs('a'), {}, True)
  assert told[-1] == ('b', 'stopped', _STOPPED.reason)
