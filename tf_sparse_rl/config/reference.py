"""The fields of an agent with their presets and sources, as Markdown.

`python -m tf_sparse_rl.config.reference` prints those of all agents.
"""

import textwrap

from tf_sparse_rl.config import making, presets
from tf_sparse_rl.config.agents import AGENTS
from tf_sparse_rl.config.config import fields

_HEAD = '| flag | meaning | default | source |\n|---|---|---|---|'


def page(agent):
  """The page of an agent's fields.

  Args:
    agent: one of AGENTS.

  Returns:
    Markdown, a table for each group of `--help`.
  """
  tables = {}  # {group: rows}
  for field in fields():
    if agent in field.agents:
      tables.setdefault(field.group, []).append(_row(field, agent))
  name = agent.upper()
  parts = [f'# Fields of {name}\n\n{_introduction(name, agent)}']
  for group, rows in tables.items():
    parts.append('\n'.join([f'## {group}\n', _HEAD, *rows]))
  return '\n\n'.join(parts) + '\n'


def _introduction(name, agent):
  text = (
    f'All fields of a run with `--agent={agent}`. Each is a flag of `train`, '
    '`summarize`, `benchmark` and `sweep`, an argument of `tf_sparse_rl.train` '
    'and an entry of `config.json`. A field that is not given takes its '
    f'default, the preset of {name}. Sources: "table n" is a table of the '
    'paper\'s appendix, "code" its released code, "section n" one of the '
    'paper, "ours" a choice of this package.'
  )
  return textwrap.fill(text, 80, break_on_hyphens=False)


def _row(field, agent):
  """A field as a row of a table."""
  rule = making.rules(agent).get(field.name)
  default, source = _preset(rule) if rule else (_value(field.default), '')
  meaning = field.meaning.replace('|', '\\|')
  return f'| `--{field.name}` | {meaning} | {default} | {source} |'


def _preset(rule):
  """(value, source) of a rule in words."""
  kinds = _by_network(rule)
  if kinds:
    found = {kind: _preset(part) for kind, part in kinds.items()}
    return tuple(
      '<br>'.join(f'{kind}: {pair[i]}' for kind, pair in found.items())
      for i in range(2)
    )
  return _default(rule), rule.source


def _by_network(rule):
  """The parts `{networks: rule}` of a rule that depends on the network."""
  if isinstance(rule, presets.BySimba):
    return {'`simba`': rule.simba, 'others': rule.others}
  if not isinstance(rule, presets.ByNetwork):
    return {}
  kinds = {'MLP': rule.mlp, 'images': rule.images}
  if rule.impala_resnet:
    kinds['`impala_resnet`'] = rule.impala_resnet
  return kinds


def _default(rule):
  """The value of a rule that knows no networks."""
  if isinstance(rule, presets.Same):
    return f'as `--{rule.field}`'
  if isinstance(rule, presets.Share):
    return f'{rule.share:.3g} of the env steps over `train_period`'
  if isinstance(rule, presets.ShareOfTraining):
    return f'{rule.share:.3g} of the train steps'
  if isinstance(rule, presets.ByFamily):
    return f'{_value(rule.value)}, Atari: {_value(rule.atari)}'
  if isinstance(rule, presets.Unless):
    return f'{_value(rule.value)}; `0` with `--{rule.field}`'
  others = {**(rule.methods or {}), **(rule.envs or {})}
  parts = [f'{name}: {_value(value)}' for name, value in others.items()]
  return ', '.join([_value(rule.value), *parts])


def _value(value):
  """A value as its flag takes it."""
  if isinstance(value, bool):
    return f'`{str(value).lower()}`'
  if isinstance(value, tuple):
    value = ','.join(map(str, value))
  return f'`{value}`' if value != '' else 'none'


if __name__ == '__main__':
  print('\n'.join(map(page, AGENTS)), end='')
