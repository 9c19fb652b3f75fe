"""The status of a sweep, read from its files."""

import collections
import time
from typing import NamedTuple

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files, methods, text_table
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import outcome as outcome_lib

# Tracing a graph of many layers may take a minute.
_STILL_SECONDS = 90
[_SEED] = [field for field in config_lib.fields() if field.name == 'seed']
# A trial of a search that was pruned.
PRUNED = 'pruned'
STATES = (
  *('finished', 'running', 'failed', 'missing'),
  *(PRUNED, runs_lib.DAMAGED),
)
# Shown only if there are such runs.
_RARE = (PRUNED, runs_lib.DAMAGED)
# Fields in the name of a group of runs, and the seed.
_GROUPED = (
  *('env_name', 'method', 'sparsity', 'match_sparsity', 'seed'),
  'method_kwargs',
)


class RunStatus(NamedTuple):
  """The status of one run."""

  run: runs_lib.ListedRun
  state: str  # one of STATES
  reason: str  # of the state, in words
  env_step: int  # of its last evaluation
  num_env_steps: int
  seconds: float = 0.0  # of training so far
  final_return: float | None = None


def read(sweep_dir, runs):
  """Reads the status of runs from their directories.

  Args:
    sweep_dir: a SweepDir.
    runs: list of ListedRun.

  Returns:
    List of RunStatus.
  """
  lengths = {}
  return [_read(sweep_dir, run, lengths) for run in runs]


def _length(run, lengths):
  """Finds num_env_steps of a run.

  Args:
    run: a ListedRun.
    lengths: cache, `{flags without seed, as text: env steps}`: resolving
      configs takes most of the time of a status.

  Raises:
    ValueError: for invalid flags.
  """
  flags = {name: v for name, v in run.flags.items() if name != 'seed'}
  key = repr(sorted(flags.items()))
  if key not in lengths:
    lengths[key] = run.config().num_env_steps
  elif 'seed' in run.flags:
    _SEED.check(run.flags['seed'])
  return lengths[key]


def _read(sweep_dir, run, lengths):
  run_dir, length = sweep_dir.run_dir(run), 0
  try:
    length = _length(run, lengths)
    summary = run_dir.read_summary()
    if summary is not None:
      seconds, final_return = summary.wall_seconds, summary.final_return
      return RunStatus(
        run, 'finished', '', length, length, seconds, final_return
      )
    last = run_dir.read_last_result()
    sweep_dir.check_links(run)
  except (ValueError, runs_lib.RunsError, files.LinkError) as error:
    return RunStatus(run, runs_lib.DAMAGED, str(error), 0, length)
  if last is None:
    return RunStatus(run, *_unfinished(sweep_dir, run, ''), 0, length)
  at = f'at env step {last.env_step:,} of {length:,}'
  state, reason = _unfinished(sweep_dir, run, at)
  return RunStatus(run, state, reason, last.env_step, length, last.wall_seconds)


def _unfinished(sweep_dir, run, at):
  """Returns (state, reason) of a run without a summary."""
  events = sweep_dir.events(run)
  num_attempts = sum(event.event == 'begin' for event in events)
  if sweep_dir.run_dir(run).in_use():
    begun = events and events[-1].event == 'begin'
    where = f' on {events[-1].host}' if begun else ''
    return 'running', f'{at or "starting"}{where}{_still_for(sweep_dir, run)}'
  if not events:
    return 'missing', f'interrupted {at}' if at else 'not started'
  if events[-1].event == 'begin':
    where = f'on {events[-1].host}'
    return (
      'missing',
      f'lost {where} {at}' if at else f'starting or lost {where}',
    )
  if events[-1].reason == PRUNED:
    return PRUNED, at
  outcome = outcome_lib.Outcome(events[-1].exit_code, events[-1].reason)
  if outcome.stopped:
    return 'missing', f'stopped {at}' if at else 'stopped before it began'
  attempts = f'attempt {num_attempts}' + (f', {at}' if at else '')
  return 'failed', f'{outcome.reason} ({attempts})'


def _still_for(sweep_dir, run):
  """The time since the last env step, in words; '' if it is short."""
  last = sweep_dir.run_dir(run).last_env_step_time()
  still = 0.0 if last is None else time.time() - last
  return (
    ''
    if still < _STILL_SECONDS
    else f', no env step for {text_table.duration(still)}'
  )


def seconds_left(statuses, num_parallel):
  """Estimates the remaining time of a sweep.

  Args:
    statuses: list of RunStatus.
    num_parallel: number of parallel runs.

  Returns:
    Seconds; None before anything has been measured.
  """
  steps, seconds = collections.Counter(), collections.Counter()
  for status in statuses:
    if status.env_step and status.seconds:
      for kind in (_kind(status), None):
        steps[kind] += status.env_step
        seconds[kind] += status.seconds
  if not steps:
    return None
  left = 0.0
  for status in statuses:
    if status.state not in ('finished', PRUNED):
      # By runs of the same kind if there are any, otherwise by all.
      kind = _kind(status) if _kind(status) in steps else None
      todo = status.num_env_steps - status.env_step
      left += todo * seconds[kind] / steps[kind]
  num_unfinished = sum(
    status.state not in ('finished', PRUNED) for status in statuses
  )
  return left / max(1, min(num_parallel, num_unfinished))


def _kind(status):
  """Key of the runs that take about the same time per env step."""
  flags = status.run.flags
  return tuple(str(flags.get(n)) for n in ('agent', 'env_name', 'method'))


def table(statuses, num_parallel):
  """Formats the status of a sweep as a table.

  Args:
    statuses: list of RunStatus.
    num_parallel: runs at a time.

  Returns:
    str of several lines.
  """
  groups = collections.defaultdict(collections.Counter)
  varying = _varying([status.run for status in statuses])
  returns = collections.defaultdict(list)
  for status in statuses:
    flags = status.run.flags
    apart = ' '.join(f'{n}={_short(flags.get(n))}' for n in varying)
    group = (*_group(status.run), apart)
    groups[group][status.state] += 1
    if status.final_return is not None:
      returns[group].append(status.final_return)
  total = sum(groups.values(), collections.Counter())
  groups['total', '', '', ''] = total
  states = [s for s in STATES if s not in _RARE or total[s]]
  names = ('env_name', 'method', 'sparsity', 'set apart by')
  left = len(names) if varying else len(names) - 1
  rows = [
    [*group[:left], *(str(counts[state]) for state in states)]
    for group, counts in groups.items()
  ]
  header = (*names[:left], *states)
  if varying:  # Such a sweep compares these values.
    header = (*header, 'final return')
    rows = [[*r, _mean(returns[g])] for r, g in zip(rows, groups)]
  lines = [text_table.format_table(header, rows, left=left, total=True)]
  for state in ('running', 'failed', runs_lib.DAMAGED):
    lines += _listed(state, statuses)
  lines += _missing(statuses)
  lines += ['', _time_left(statuses, num_parallel)]
  return '\n'.join(lines)


def _group(run):
  """Environment, method and sparsity of a run, as text."""
  matched = run.flags.get('match_sparsity')
  method = methods.SMALL_DENSE if matched else run.flags.get('method')
  sparsity = matched or run.flags.get('sparsity')
  if run.flags.get('method') == 'dense' and not matched:
    sparsity = None
  return _text(run.flags.get('env_name')), _text(method), _text(sparsity)


def _text(value):
  """A flag as short text; in a damaged list it may be of any type."""
  if value is None:
    return ''
  words = f'{value:g}' if isinstance(value, float) else f'{value!s:.40}'
  return _printable(words)


def _printable(words):
  """Text in one line that moves no cursor."""
  words = words.replace('\n', ' ')
  return words if words.isprintable() else ascii(words)


def _short(value):
  """A value of a flag as short text."""
  if isinstance(value, float):
    return f'{value:.4g}'
  return ','.join(map(str, value)) if isinstance(value, list) else str(value)


def _mean(returns):
  return f'{sum(returns) / len(returns):.1f}' if returns else ''


def _varying(listed):
  """Lists the fields that differ within groups of runs."""
  values = collections.defaultdict(set)
  for run in listed:
    for name, value in run.flags.items():
      if name not in _GROUPED:
        values[name].add(str(value))
  return [name for name, found in values.items() if len(found) > 1]


def _listed(state, statuses):
  rows = [
    (s.run.id, _printable(s.reason)) for s in statuses if s.state == state
  ]
  width = max((len(run_id) for run_id, _ in rows), default=0)
  lines = [f'  {run_id.ljust(width)}  {reason}' for run_id, reason in rows]
  return ['', state, *lines] if lines else []


def _missing(statuses):
  """Lists unfinished runs; those that never started are only counted."""
  begun = [s for s in statuses if s.reason != 'not started']
  lines = _listed('missing', begun)
  num_not_started = len(statuses) - len(begun)
  if num_not_started:
    lines = lines or ['', 'missing']
    lines.append(f'  {num_not_started} not started')
  return lines


def _time_left(statuses, num_parallel):
  if all(status.state in ('finished', PRUNED) for status in statuses):
    return 'All runs are finished.'
  seconds = seconds_left(statuses, num_parallel)
  if seconds is None:
    return 'Time left: not known before the first evaluation after training.'
  left = text_table.duration(seconds)
  return f'Time left: about {left} with {num_parallel} at a time.'
