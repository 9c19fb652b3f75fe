"""The headline of a report: its size and its findings."""

from typing import NamedTuple

from tf_sparse_rl import methods
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.report import completeness, findings, origins, study, tables


class Headline(NamedTuple):
  """The top of the page."""

  title: str
  findings: list  # of str
  tiles: list  # of (number, unit)
  warnings: list  # of str
  origin: origins.Origin | None = None
  rule: str = ''  # of the findings


def build(every, studies, unreadable=(), made=None):
  """Makes the Headline of a report.

  Args:
    every: list of Condition.
    studies: list of AgentStudy.
    unreadable: Runs without a config.
    made: an Origin of the runs.
  """
  counts = study.statuses(every)
  finished, num_runs = counts[runs_lib.FINISHED], sum(counts.values())
  num_runs += len(unreadable)
  of_all = '' if finished == num_runs else f' of {num_runs:,}'
  lengths = sorted({n for s in studies for n in s.num_env_steps})
  shortest_and_longest = dict.fromkeys((lengths[0], lengths[-1]))
  tiles = [
    (f'{finished:,}{of_all}', 'runs finished'),
    _tile(len({c.env_name for c in every}), 'environment'),
    _tile(len({c.cell.method for c in every}), 'method'),
    _tile(len({s for x in studies for s in x.seeds}), 'seed'),
    (' to '.join(f'{n:,}' for n in shortest_and_longest), 'env steps per run'),
  ]
  agents = ' and '.join(s.agent.upper() for s in studies)
  said = [words for s in studies for words in findings.sentences(s)]
  return Headline(
    f'Sparse training of {agents}',
    said,
    tiles,
    _warnings(every, studies, unreadable),
    made,
    findings.RULE if said else '',
  )


def _tile(count, noun):
  return count, noun if count == 1 else f'{noun}s'


def _warnings(every, studies, unreadable):
  members = (run for c in every for run in c.runs)
  found = [
    tables.printable(f'Damaged and left out: {run.name}. {run.damage}')
    for run in (*unreadable, *members)
    if run.damage
  ]
  found += [
    f'Unfinished: {c.cell.agent.upper()} {c.env_name} {c.cell.label} has '
    f'{len(c.finished)} of {len(c.finished) + len(seeds)} seeds.'
    for c, seeds in completeness.missing_seeds(every)
  ]
  found += filter(None, map(_off_target, every))
  for s in studies:
    few = [x for x in s.improvements if x.is_too_few]
    if few or len(s.seeds) < 2:
      count = len(s.seeds)
      found.append(
        f'{s.agent.upper()} has {count} seed{"s" * (count > 1)}: too few to '
        'rank methods.'
      )
  return found


def _off_target(condition):
  """A sentence for each condition that missed its target sparsity."""
  cell, config = condition.cell, condition.runs[0].config
  parts = ('actor_sparsity', 'critic_sparsity', 'value_sparsity')
  asked_apart = any(
    getattr(config, name) not in (None, config.sparsity) for name in parts
  )
  if not methods.get(config.method).has_target:
    return None
  if config.custom_sparsity or asked_apart:
    return None
  if config.parameter_budget:  # It includes biases, sparsity does not.
    return None
  ended = [run.summary.sparsity for run in condition.finished]
  worst = max(
    ended, key=lambda s: abs(s - cell.sparsity), default=cell.sparsity
  )
  if abs(worst - cell.sparsity) < 0.01:
    return None
  return (
    f'Off target: {cell.agent.upper()} {condition.env_name} {cell.label} ended '
    f'with a sparsity of {worst:.3g}.'
  )
