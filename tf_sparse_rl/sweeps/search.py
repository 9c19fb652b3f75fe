"""Hyperparameter search by Optuna; its trials are runs of a sweep.

search.json    the search space and the flags of all trials
optuna.log     Optuna's journal
"""

import collections
import dataclasses
import json
import time

import optuna

from tf_sparse_rl import files
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.runs import records
from tf_sparse_rl.sweeps import status as status_lib

_LOOK_SECONDS = 1.0
# Random trials at the start, which are never pruned.
_NUM_STARTUP_TRIALS = 5
# Whatever the lines of a damaged journal say.
_MISFITS = ValueError, LookupError, TypeError, AssertionError, RecursionError
_STATES = optuna.trial.TrialState


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asked(runs_lib.Record):
  """The content of search.json."""

  space: list[dict]
  flags: dict


@dataclasses.dataclass
class _Attempt:
  """A trial whose run is being trained."""

  trial: optuna.Trial
  run: runs_lib.ListedRun
  reported: set  # env steps whose returns were reported
  attempts: int = 1
  pruned: bool = False


def check(space, flags):
  """Checks that runs accept the values of the space.

  Args:
    space: list of Dimension.
    flags: `{field: value}` of every trial, in JSON types.

  Raises:
    ValueError: if a run does not accept a choice or a bound.
  """
  for dimension in space:
    for value in dimension.ends:
      values = {**flags, dimension.field: value}
      runs_lib.ListedRun('trial', values).config()


def _study(journal):
  """The study of a journal; RunsError if that is damaged."""
  files.refuse_links(journal)
  try:
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    return optuna.create_study(
      study_name='search',
      storage=optuna.storages.JournalStorage(backend),
      load_if_exists=True,
      direction='maximize',
      pruner=optuna.pruners.MedianPruner(_NUM_STARTUP_TRIALS),
    )
  except _MISFITS as error:
    raise runs_lib.RunsError(f'{journal} is damaged: {error!r}.') from error


class Search:
  """Trains the trials that Optuna proposes; its state is on disk."""

  def __init__(self, sweep_dir, space, flags, num_trials):
    """Opens the study, or creates it.

    Args:
      sweep_dir: a SweepDir.
      space: list of Dimension.
      flags: `{field: value}` of every trial, in JSON types.
      num_trials: total number of trials of the study.

    Raises:
      RunsError: if the directory has another search, or runs of no search.
    """
    self._sweep_dir, self._space, self._flags = sweep_dir, space, flags
    self._num_trials = num_trials
    self._check()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    self.study = _study(sweep_dir.path / 'optuna.log')
    # A resumed study must not draw the same values again.
    self.study.sampler = optuna.samplers.TPESampler(
      seed=len(self.study.trials), n_startup_trials=_NUM_STARTUP_TRIALS
    )

  @property
  def num_done(self):
    """Number of trials that are finished, pruned or failed."""
    return sum(t.state.is_finished() for t in self.study.trials)

  def run(self, engine, max_retries, tell, stop):
    """Trains trials until `num_trials` are done.

    Args:
      engine: a LocalEngine.
      max_retries: maximum number of retries of a run.
      tell: function of a line of text, to print.
      stop: function; true stops the search.

    Returns:
      Whether it was stopped.
    """
    again = collections.deque(
      t for t in self.study.trials if t.state == _STATES.RUNNING
    )
    running, stopping, looked = {}, False, 0.0
    while True:
      if stop() and not stopping:
        stopping = True
        engine.stop()
      while engine.num_free and not stopping:
        attempt = self._next(again, tell)
        if attempt is None:
          break
        running[attempt.run.id] = attempt
        engine.start(attempt.run)
      if not running:
        return stopping
      for run, outcome in engine.wait(0.2):
        attempt = running.pop(run.id)
        is_lost = outcome.exit_code is None and not attempt.pruned
        if is_lost and not stopping and attempt.attempts <= max_retries:
          attempt.attempts += 1
          running[run.id] = attempt
          engine.start(run)
        elif outcome.finished or not stopping:
          self._end(attempt, outcome, tell)
      if time.monotonic() - looked > _LOOK_SECONDS and not stopping:
        looked = time.monotonic()
        for attempt in running.values():
          self._look(attempt, engine)

  def _check(self):
    """Refuses another search in the directory; records a new one."""
    path = self._sweep_dir.path / 'search.json'
    space = [d._asdict() for d in self._space]
    asked = json.loads(json.dumps({'space': space, 'flags': self._flags}))
    there = records.read(path, _Asked)
    if there is not None:
      differ = [name for name in asked if asked[name] != getattr(there, name)]
      if differ:
        raise runs_lib.RunsError(
          f'{self._sweep_dir.path} has a search with another '
          f'{" and other ".join(differ)}: see {path}. Choose another '
          '--sweep_dir.'
        )
      return
    if self._sweep_dir.read_runs():
      raise runs_lib.RunsError(
        f'{self._sweep_dir.path} has runs of no search. Choose '
        'another --sweep_dir.'
      )
    files.make_directory(self._sweep_dir.path)
    files.write_json(path, asked, indent=2)

  def _next(self, again, tell):
    """The next _Attempt, of an unfinished trial or a new one; or None."""
    while True:
      if again:
        left = again.popleft()
        trial = optuna.Trial(self.study, left._trial_id)
        reported = set(left.intermediate_values)
      elif len(self.study.trials) < self._num_trials:
        trial, reported = self.study.ask(), set()
      else:
        return None
      values = {d.field: d.suggest(trial) for d in self._space}
      run = runs_lib.ListedRun(
        f'trial{trial.number:04d}', {**self._flags, **values}
      )
      try:
        run.config()
      except ValueError as error:
        self.study.tell(trial, state=_STATES.FAIL)
        tell(f'{self._counts()} {run.id} failed: {error}')
        continue
      self._sweep_dir.add([run])
      return _Attempt(trial, run, reported)

  def _look(self, attempt, engine):
    """Reports new returns of a running trial; stops it if it is pruned."""
    if attempt.pruned:
      return
    for result in self._sweep_dir.run_dir(attempt.run).read_results():
      # Returns before training do not count.
      if result.env_step and result.env_step not in attempt.reported:
        attempt.trial.report(result.return_mean, result.env_step)
        attempt.reported.add(result.env_step)
        attempt.pruned = attempt.trial.should_prune()
    if attempt.pruned:
      engine.stop_run(attempt.run)

  def _end(self, attempt, outcome, tell):
    """Reports the end of a trial to Optuna and prints it."""
    run, trial = attempt.run, attempt.trial
    if outcome.finished:
      value = self._sweep_dir.run_dir(run).read_summary().final_return
      self.study.tell(trial, value)
      words = f'finished: final return {value:.1f}'
    elif attempt.pruned:
      self._sweep_dir.note(
        run,
        event='end',
        exit_code=outcome.exit_code,
        reason=status_lib.PRUNED,
      )
      self.study.tell(trial, state=_STATES.PRUNED)
      words = f'pruned at env step {max(attempt.reported):,}'
    else:
      self.study.tell(trial, state=_STATES.FAIL)
      words = f'failed: {outcome.reason}'
    tell(f'{self._counts()} {run.id} {words}')

  def _counts(self):
    return f'[{self.num_done}/{self._num_trials}]'

  def best(self):
    """Describes the best trial; '' if none is finished."""
    finished = [t for t in self.study.trials if t.state == _STATES.COMPLETE]
    if not finished:
      return ''
    best = max(finished, key=lambda trial: trial.value)
    run_id = f'trial{best.number:04d}'
    [run] = [r for r in self._sweep_dir.read_runs() if r.id == run_id]
    flags = {d.field: run.flags[d.field] for d in self._space}
    values = dataclasses.replace(run, flags=flags).arguments()
    config = self._sweep_dir.run_dir(run).path / 'config.json'
    return (
      f'Best: {run_id}, final return {best.value:.1f}, with '
      f'{" ".join(values)}\nTo train with it: python -m tf_sparse_rl.train '
      f'--config={config} --seed=1 --root_dir=DIR'
    )
