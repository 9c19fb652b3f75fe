"""Groups runs into conditions: runs that differ in their seeds only."""

import dataclasses
import itertools
from typing import NamedTuple

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import methods
from tf_sparse_rl import runs as runs_lib

# In the order of the paper's figures.
METHODS = tuple(methods.COMPARED)
# Fields in the name of a condition, or that depend on them.
_NAMED = (
  *('agent', 'env_name', 'method', 'seed'),
  *('sparsity', 'match_sparsity', 'distribution'),
)
_LEADING = ('num_env_steps', 'network')


class Cell(NamedTuple):
  """A condition without its environment, the unit of comparison."""

  agent: str
  method: str  # one of METHODS, or a custom one
  # Of small dense networks, the sparsity that they match; 0 if it is found.
  sparsity: float
  distribution: str  # '' for dense
  variant: str  # fields that differ from others, 'weight_decay=0.001'; or ''

  @property
  def is_plain(self):
    """Whether it is dense or ERK, without other differences."""
    return not self.variant and self.distribution in ('', 'erk')

  @property
  def label(self):
    """Short description of the cell."""
    words = [methods.get(self.method).label]
    if self.sparsity:
      words.append(f'{self.sparsity:g}')
    if self.distribution not in ('', 'erk'):
      words.append(self.distribution)
    return ' '.join([*words, self.variant]).strip()


METHOD_NAMES = {n: row.label for n, row in methods.COMPARED.items()}


@dataclasses.dataclass(frozen=True)
class Condition:
  """A cell in one environment, and its runs."""

  cell: Cell
  env_name: str
  runs: tuple  # of Run, by seed

  @property
  def finished(self):
    """The finished runs."""
    return tuple(r for r in self.runs if r.status == runs_lib.FINISHED)

  @property
  def seeds(self):
    """Seeds of the finished runs."""
    return tuple(run.config.seed for run in self.finished)


def group(runs):
  """Groups runs into conditions.

  Args:
    runs: list of Run.

  Returns:
    List of Condition, sorted by agent, environment, method, sparsity.

  Raises:
    RunsError: if two runs have the same config, seed included.
  """
  variants = _variants(runs)
  members = {}  # {(cell, environment): runs}
  for run in sorted(runs, key=lambda run: run.config.seed):
    key = (_cell(run, variants[run.name]), run.config.env_name)
    members.setdefault(key, []).append(run)
  for same in members.values():
    for a, b in itertools.pairwise(same):
      if a.config.seed == b.config.seed:
        raise runs_lib.RunsError(
          'Expected one run of each seed. Received the same run twice: '
          f'{a.name} and {b.name}. Move one of them away.'
        )
  found = [Condition(*key, tuple(same)) for key, same in members.items()]
  return sorted(found, key=_order)


def overrides(run):
  """Returns `{field: value}` of a Run's fields that differ from its presets.

  Fields in the name of a condition are left out.
  """
  config = run.config
  base = {name: getattr(config, name) for name in _NAMED}
  usual = config_lib.resolve(config_lib.Config(**base))
  # Given on their own, since other presets depend on them.
  leading = {name: getattr(config, name) for name in _LEADING}
  preset = config_lib.resolve(config_lib.Config(**base, **leading))
  differ = {
    field.name: getattr(config, field.name)
    for field in config_lib.fields()
    if field.name not in (*_NAMED, *unused_fields(config))
    and getattr(config, field.name) != getattr(preset, field.name)
    and getattr(config, field.name) is not None
  }
  for name, value in leading.items():
    if value != getattr(usual, name):
      differ[name] = value
  return differ


def unused_fields(config):
  """Names of the fields that do not affect a run with this Config."""
  machine = (f.name for f in config_lib.fields() if not f.learned)
  return (*machine, *methods.unused_fields(config.method))


def _cell(run, variant):
  config = run.config
  method, sparsity = config.method, config.sparsity
  if config.parameter_budget:
    sparsity = round(1 - config.parameter_budget, 6)
  if method == 'dense':
    small = config.match_sparsity or config.parameter_budget
    method = methods.SMALL_DENSE if small or _narrow(config) else 'dense'
    if not config.parameter_budget:
      sparsity = config.match_sparsity
  if methods.get(method).finds_sparsity:
    sparsity = 0.0
  distribution = '' if config.method == 'dense' else config.distribution
  return Cell(config.agent, method, sparsity, distribution, variant)


def _narrow(config):
  names = ('width', 'actor_width', 'critic_width', 'value_width')
  return any(getattr(config, name) not in (None, 1.0) for name in names)


def _variants(runs):
  """{run name: the fields in which it differs from similar runs}."""
  changed = {run.name: overrides(run) for run in runs}
  alike = {}
  for run in runs:
    key = (run.config.agent, _cell(run, '').method)
    alike.setdefault(key, []).append(run)
  variants = {}
  for members in alike.values():
    fields = {name for run in members for name in changed[run.name]}
    varying = {
      name
      for name in fields
      if len({getattr(run.config, name) for run in members}) > 1
      or (name == 'width' and members[0].config.method == 'dense')
    }
    for run in members:
      variants[run.name] = ' '.join(
        f'{name}={_text(value)}'
        for name, value in sorted(changed[run.name].items())
        if name in varying
      )
  return variants


def _text(value):
  return f'{value:g}' if isinstance(value, float) else str(value)


def _order(condition):
  agent, method, *rest = condition.cell
  return (agent, condition.env_name, methods.order(method), *rest)
