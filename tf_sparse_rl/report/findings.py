"""Sentences about scores, no stronger than the intervals allow.

A method is clearly ahead of another if the 95 % interval of its probability of
improvement lies above 0.5, clearly behind if it lies below, and only if there
are enough runs that chance alone separates equal methods completely in less
than 5 % of studies. Everything else is undecided.
"""

import itertools
import math

from tf_sparse_rl import methods

RULE = (
  'A method is clearly ahead or behind if two conditions hold. The 95 % '
  'interval of its probability of improvement lies on one side of 0.5. There '
  'are enough runs that chance alone would separate two equal methods '
  'completely in less than 5 % of studies.'
)
AHEAD, BEHIND, UNDECIDED = 'ahead', 'behind', 'undecided'


def verdict(improvement):
  """Classifies a study.Improvement as AHEAD, BEHIND or UNDECIDED."""
  estimate = improvement.estimate
  if improvement.is_too_few or math.isnan(estimate.low):
    return UNDECIDED
  if estimate.low > 0.5:
    return AHEAD
  return BEHIND if estimate.high < 0.5 else UNDECIDED


def sentences(agent_study):
  """Lists the findings on one agent; empty without baselines."""
  words = []
  against = {
    'dense': 'dense networks of full size',
    methods.SMALL_DENSE: 'dense networks of the same size',
  }
  for baseline, name in against.items():
    members = [
      x
      for x in agent_study.improvements
      if x.baseline.method == baseline and not x.cell.variant
    ]
    if members:
      words.append(
        f'{agent_study.agent.upper()}, against {name}: {_sentence(members)}.'
      )
  return words


def _sentence(members):
  """Formats the methods ahead, behind and undecided."""
  found = {AHEAD: [], BEHIND: [], UNDECIDED: []}
  for member in members:
    found[verdict(member)].append(member.cell)
  parts = [
    f'clearly ahead {_names(found[AHEAD])}'
    if found[AHEAD]
    else 'none is clearly ahead',
    f'clearly behind {_names(found[BEHIND])}'
    if found[BEHIND]
    else 'none is clearly behind',
  ]
  if found[UNDECIDED]:
    parts.append(f'undecided {_names(found[UNDECIDED])}')
  return '; '.join(parts)


def _names(cells):
  """Formats a list of Cell: 'are RigL at 0.8 and 0.9, Static at 0.8'."""
  groups = []
  kinds = itertools.groupby(cells, lambda c: (c.method, c.distribution))
  for (method, distribution), members in kinds:
    label = methods.get(method).label
    *first, last = [f'{c.sparsity:g}' for c in members]
    text = f'{", ".join(first)} and {last}' if first else last
    at = '' if methods.get(method).finds_sparsity else f' at {text}'
    kind = f' ({distribution})' if distribution not in ('', 'erk') else ''
    groups.append(f'{label}{at}{kind}')
  return f'{"are" if len(cells) > 1 else "is"} {", ".join(groups)}'
