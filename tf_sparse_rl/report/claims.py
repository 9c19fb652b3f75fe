"""The paper's headline claims beside the runs of a study.

Each claim is a list of comparisons of two methods; a comparison is decided by
the rule of findings.py, or by a ratio, both written down before the runs.

Reference: Graesser et al. 2022, section 1 and figures 1, 2 and 9.
"""

from typing import NamedTuple

from tf_sparse_rl import methods
from tf_sparse_rl.report import aggregates, findings, scores, study, tables
from tf_sparse_rl.report.tables import Column

REPRODUCED = 'reproduced'
NOT_REPRODUCED = 'not reproduced'
UNDECIDED = 'undecided'

# "Little loss": at least this share of the dense network's IQM.
_LITTLE_LOSS = 0.9

RULE = (
  'A method is "above" another if the 95 % interval of its probability of '
  'improvement lies above 0.5: the claim is reproduced there; if the interval '
  'lies below 0.5, it is not. "Little loss" is reproduced if the 95 % interval '
  f'of the ratio of the IQMs lies above {_LITTLE_LOSS:g}, not reproduced if it '
  f'lies below. "Level" is not reproduced if either is above the other, and '
  'reproduced if the interval lies between 0.25 and 0.75. Everything else is '
  'undecided, and so is every comparison of too few runs. Scores are IQMs of '
  "normalised returns; the paper's are means over the same environments, read "
  'off its figures.'
)


class _Claim(NamedTuple):
  """A claim of the paper as comparisons."""

  words: str
  decide: object  # (AgentStudy, Aggregate, Aggregate) -> (Estimate, str)
  ours: tuple  # methods that the claim is about
  others: tuple  # methods that they are compared with
  sparsities: tuple = ()  # empty: all that were run


def _above(agent_study, one, other):
  """The probability of improvement, and whether one is above the other."""
  found = agent_study.compare(one, other)
  words = {
    findings.AHEAD: REPRODUCED,
    findings.BEHIND: NOT_REPRODUCED,
    findings.UNDECIDED: UNDECIDED,
  }
  return found.estimate, words[findings.verdict(found)]


def _level(agent_study, one, other):
  """The probability of improvement, and whether two methods are level."""
  found = agent_study.compare(one, other)
  if findings.verdict(found) != findings.UNDECIDED:
    return found.estimate, NOT_REPRODUCED
  is_narrow = 0.25 <= found.estimate.low and found.estimate.high <= 0.75
  return found.estimate, REPRODUCED if is_narrow else UNDECIDED


def _little_loss(agent_study, one, other):
  """The ratio of IQMs, and whether `one` keeps most of the other's."""
  ratio = aggregates.iqm_ratio(
    one.matrix, other.matrix, agent_study.num_resamples
  )
  if agent_study.compare(one, other).is_too_few:
    return ratio, UNDECIDED
  if ratio.low > _LITTLE_LOSS:
    return ratio, REPRODUCED
  return ratio, NOT_REPRODUCED if ratio.high < _LITTLE_LOSS else UNDECIDED


_SPARSE = ('prune', 'rigl', 'set')

CLAIMS = (
  _Claim(
    'sparse above dense of the same size',
    _above,
    _SPARSE,
    (methods.SMALL_DENSE,),
  ),
  _Claim(
    '80 to 90 % removed with little loss',
    _little_loss,
    _SPARSE,
    ('dense',),
    (0.8, 0.9),
  ),
  _Claim('pruning above the others', _above, ('prune',), ('rigl', 'set')),
  _Claim('RigL and SET above static', _above, ('rigl', 'set'), ('static',)),
  _Claim('RigL level with SET', _level, ('rigl',), ('set',)),
)


class _Row(NamedTuple):
  """One comparison of one claim."""

  claim: str
  one: study.Aggregate
  other: study.Aggregate
  estimate: aggregates.Estimate
  verdict: str
  paper: tuple  # scores of the two, each None where the paper has none


_COLUMNS = {
  Column('the paper says'): lambda r: r.claim,
  Column('method'): lambda r: methods.get(r.one.cell.method).label,
  Column('against'): lambda r: methods.get(r.other.cell.method).label,
  Column('sparsity', 'g'): lambda r: r.one.cell.sparsity,
  Column('paper', 2): lambda r: r.paper[0],
  Column('paper, against', 2): lambda r: r.paper[1],
  Column('ours', 2): lambda r: r.one.estimates['iqm'],
  Column('ours, against', 2): lambda r: r.other.estimates['iqm'],
  Column('probability or ratio', 2): lambda r: r.estimate,
  Column('verdict'): lambda r: r.verdict,
}


def table(agent_study):
  """The paper's claims that the runs of an AgentStudy bear on.

  Returns:
    Table, or None if there is no comparison.
  """
  rows = [row for claim in CLAIMS for row in _rows(agent_study, claim)]
  if not rows:
    return None
  values = [tuple(read(row) for read in _COLUMNS.values()) for row in rows]
  name = f'{agent_study.agent}_claims'
  title = "The paper's claims"
  return tables.Table(name, title, tuple(_COLUMNS), values, RULE)


def _rows(agent_study, claim):
  """The comparisons of a claim that an AgentStudy has both sides of."""
  found = {
    (a.cell.method, a.cell.sparsity): a
    for a in agent_study.aggregates
    if a.cell.is_plain
  }
  for (name, sparsity), one in found.items():
    if name in claim.ours and sparsity in (claim.sparsities or [sparsity]):
      for other_name in claim.others:
        of_other = (other_name, 0.0 if other_name == 'dense' else sparsity)
        if of_other in found:
          yield _row(agent_study, claim, one, found[of_other])


def _row(agent_study, claim, one, other):
  decided = claim.decide(agent_study, one, other)
  names = agent_study.scored_env_names
  paper = tuple(_paper_score(names, a.cell) for a in (one, other))
  return _Row(claim.words, one, other, *decided, paper)


def _paper_score(env_names, cell):
  """The paper's normalised return, mean over environments, or None."""
  found = []
  for env_name in env_names:
    value = scores.paper_value(
      *('return', cell.agent, scores.base_name(env_name)),
      *(cell.method, cell.sparsity),
    )
    if value is None or env_name in scores.INCOMPARABLE:
      return None
    found.append(scores.reference(env_name).normalize(value.value))
  return sum(found) / len(found)
