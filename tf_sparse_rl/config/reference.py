"""The reference of all fields: `python -m tf_sparse_rl.config.reference`."""

from tf_sparse_rl.config.config import fields


def markdown():
  """The fields with their presets and sources: a Markdown table, a row each."""
  lines = ['| flag | meaning | agents | default |', '|---|---|---|---|']
  for field in fields():
    presets = (f'{a}: {_text(rule)}' for a, rule in field.presets.items())
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
  print(markdown())
