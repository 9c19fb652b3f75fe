"""The page of all fields: `python -m tf_sparse_rl.config.reference`.

It prints docs/flags.md.
"""

from tf_sparse_rl.config import making
from tf_sparse_rl.config.config import fields

_INTRODUCTION = """# Fields of a run

Each is a flag of `train`, `summarize`, `benchmark` and `sweep`, an argument of
`tf_sparse_rl.train` and an entry of `config.json`. A value that is not given
comes from the preset of the agent; its source stands beside it. "Table n" are
the tables of the paper's appendix, "code" is its released code.

"""


def page():
  """The Markdown of docs/flags.md."""
  return f'{_INTRODUCTION}{markdown()}\n'


def markdown():
  """The fields with their presets and sources: a Markdown table, a row each."""
  lines = ['| flag | meaning | agents | default |', '|---|---|---|---|']
  for field in fields():
    rules = ((a, making.rules(a).get(field.name)) for a in field.agents)
    presets = (f'{agent}: {_text(rule)}' for agent, rule in rules if rule)
    default = '<br>'.join(presets) or f'`{field.default!r}`'
    agents = ', '.join(field.agents)
    lines.append(
      f'| `--{field.name}` | {field.meaning} | {agents} | {default} |'
    )
  return '\n'.join(lines)


def _text(rule):
  """A rule in words: Value(8, 'table 6') -> '8 (table 6)'."""
  parts = {k: v for k, v in vars(rule).items() if v is not None}
  source = parts.pop('source', None)
  words = [
    _text(part) if hasattr(part, 'resolve') else f'`{part!r}`'
    for part in parts.values()
  ]
  if list(parts) != ['value']:
    words = [f'{name} {word}' for name, word in zip(parts, words)]
  return ', '.join(words) + (f' ({source})' if source else '')


if __name__ == '__main__':
  print(page(), end='')
