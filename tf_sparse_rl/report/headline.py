"""The first words of a report: how much there is, and the results."""

from typing import NamedTuple

from tf_sparse_rl import methods
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.report import completeness, study, tables


class Headline(NamedTuple):
  """The top of the page."""

  title: str
  findings: list  # of str
  tiles: list  # of (number, what it is)
  warnings: list  # of str


def build(every, studies, unreadable=()):
  """The Headline of a report.

  Args:
    every: list of Condition.
    studies: the AgentStudies made of it.
    unreadable: Runs without a config.
  """
  counts = study.statuses(every)
  finished, num_runs = counts[runs_lib.FINISHED], sum(counts.values())
  num_runs += len(unreadable)
  of_all = '' if finished == num_runs else f' of {num_runs:,}'
  lengths = sorted({n for s in studies for n in s.num_env_steps})
  shortest_and_longest = dict.fromkeys((lengths[0], lengths[-1]))
  tiles = [
    (f'{finished:,}{of_all}', 'runs finished'),
    (len({c.env_name for c in every}), 'environments'),
    (len({c.cell.method for c in every}), 'methods'),
    (len({s for x in studies for s in x.seeds}), 'seeds'),
    (' to '.join(f'{n:,}' for n in shortest_and_longest), 'env steps a run'),
  ]
  agents = ' and '.join(s.agent.upper() for s in studies)
  findings = [words for s in studies for words in _findings(s)]
  return Headline(
    f'Sparse training of {agents}',
    findings,
    tiles,
    _warnings(every, studies, unreadable),
  )


def _findings(agent_study):
  """Sentences about the scores of one agent."""
  dense = agent_study.aggregate('dense')
  is_dense = ('dense', methods.SMALL_DENSE)
  sparse = [a for a in agent_study.aggregates if a.cell.method not in is_dense]
  if dense is None or not sparse:
    return []
  goal = dense.estimates['iqm'].value
  best = max(sparse, key=_iqm)
  words = [
    f'{agent_study.agent.upper()}: the best sparse networks are '
    f'{_words(best.cell)} with an IQM of {_iqm(best):.2f}; dense ones have '
    f'{goal:.2f}.'
  ]
  level = [a for a in sparse if _iqm(a) >= 0.9 * goal]
  if level and goal > 0:
    sparsest = max(level, key=lambda a: (a.cell.sparsity, _iqm(a)))
    words.append(
      f'The sparsest within 10 % of dense: {_words(sparsest.cell)}, an IQM of '
      f'{_iqm(sparsest):.2f} with {100 * (1 - sparsest.cell.sparsity):.3g} % '
      'of the weights.'
    )
  else:
    words.append('No sparse network comes within 10 % of the dense ones.')
  return words


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
  for agent, count in ((s.agent.upper(), len(s.seeds)) for s in studies):
    if count < 3:
      seeds = 'seeds' if count > 1 else 'seed'
      found.append(f'{agent} has {count} {seeds}: too few to rank methods.')
  return found


def _off_target(condition):
  """A sentence if networks ended with another sparsity than asked for."""
  cell, config = condition.cell, condition.runs[0].config
  parts = ('actor_sparsity', 'critic_sparsity', 'value_sparsity')
  asked_apart = any(
    getattr(config, name) not in (None, config.sparsity) for name in parts
  )
  if config.method == 'dense' or config.custom_sparsity or asked_apart:
    return None
  if config.parameter_budget:  # Biases count in it, in sparsity they do not.
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


def _words(cell):
  words = f'{methods.get(cell.method).label} at {cell.sparsity:g}'
  if cell.distribution != 'erk':
    words += f' ({cell.distribution})'
  return f'{words} with {cell.variant}' if cell.variant else words


def _iqm(aggregate):
  return aggregate.estimates['iqm'].value
