"""Writes the generated pages of docs/reference: `python docs/tools/pages.py`.

They are made from the config's rows, the commands' flags and the table of
TensorBoard tags. The first table of docs/results/index.md is made from the
claims tables of the studies. `--check` compares instead and names the outdated
pages.
"""

import csv
import html
import importlib
import pathlib
import re
import sys

_ROOT = pathlib.Path(__file__).parents[2]
_DIRECTORY = _ROOT / 'docs' / 'reference'
_RESULTS = _ROOT / 'docs' / 'results'
_MODULES = {'report': 'report.command'}
# Agents of the studies at the paper's length, which their pages are named by.
_STUDIES = ('sac', 'ppo', 'dqn')
# Sparsities whose comparisons are in the table of claims.
_CLAIMED = ('0.9', '0.95')
_CLAIMS = """## The paper's claims

| the paper says | study | ours (paper) | against | verdict |
|---|---|---|---|---|"""
_COMMANDS = """# Commands

`python -m tf_sparse_rl` lists the commands. Every command has `--help`:
examples, then flags by group. A wrong name gets the nearest valid one and an
exit code that is not 0. Installed by pip they are also `tf-sparse-rl train`,
`tf-sparse-rl-train` and so on.

`train`, `summarize`, `benchmark` and `sweep` also take the fields of a run as
flags: [DQN](dqn.md), [SAC](sac.md), [TD3](td3.md), [PPO](ppo.md)."""
_TAGS = """# TensorBoard tags

The horizontal axis is the env step.
[How to look at them](../guides/tensorboard.md).

| tag | meaning |
|---|---|"""


def fields_pages():
  """`{name of a page: its Markdown}`, one for each agent."""
  from tf_sparse_rl import config
  from tf_sparse_rl.config import reference

  return {f'{agent}.md': reference.page(agent) for agent in config.AGENTS}


def commands_page():
  """The same of the commands; for a process that has declared no flags."""
  from tf_sparse_rl.__main__ import COMMANDS

  parts = [_COMMANDS, *map(_command, COMMANDS)]
  return {'commands.md': '\n\n'.join(parts) + '\n'}


def _command(name):
  """The section of a command."""
  from absl import flags

  from tf_sparse_rl import command_help, config
  from tf_sparse_rl import flags as run_flags

  module = importlib.import_module(f'tf_sparse_rl.{_MODULES.get(name, name)}')
  before = set(flags.FLAGS)
  command_help._groups.clear()
  command_help._fields.clear()
  run_flags.run_command = lambda main, help_: None
  module.run()  # Declares its flags.
  help_ = module._HELP
  command = f'python -m tf_sparse_rl.{name}'
  lines = [f'## {name}', '', help_.description, '', '```bash']
  for purpose, arguments in help_.examples.items():
    lines += [f'# {purpose}', f'{command} {arguments}'.rstrip()]
  lines.append('```')
  shown = [n for names in command_help._groups.values() for n in names]
  fields = {field.name for field in config.fields()}
  for declaring, found in flags.FLAGS.flags_by_module_dict().items():
    hidden = {flag.name for flag in found}.difference(shown, fields)
    if 'absl' not in declaring and hidden:
      raise ValueError(f'{name} --help does not list {sorted(hidden)}.')
  own = [n for n in shown if n not in command_help._fields]
  if own:
    lines += ['', '| flag | meaning | default |', '|---|---|---|']
  for flag in (flags.FLAGS[name] for name in own):
    default = command_help._value_text(flag.default)
    default = f'`{default}`' if default else ''
    # absl puts the choices of an enum in front.
    meaning = re.sub('^<[^>]*\\|[^>]*>: ', '', ' '.join(flag.help.split()))
    meaning = html.escape(meaning, quote=False).replace('|', '\\|')
    lines.append(f'| `--{flag.name}` | {meaning} | {default} |')
  for declared in set(flags.FLAGS) - before:  # The next has some of them too.
    delattr(flags.FLAGS, declared)
  return '\n'.join(lines)


def tags_page():
  """The same of the TensorBoard tags."""
  from tf_sparse_rl import quiet

  quiet.import_tensorflow()
  from tf_sparse_rl.training import summaries

  rows = [
    '| `{}` | {} |'.format(tag, text.replace('|', '\\|'))
    for tag, text in summaries.TAGS.items()
  ]
  return {'tensorboard_tags.md': '\n'.join([_TAGS, *rows]) + '\n'}


def results_page():
  """The same of the page of results: the paper's claims and our verdicts."""
  from tf_sparse_rl.report import claims

  words = [claim.words for claim in claims.CLAIMS]
  found = {}  # By claim, study and sparsity.
  for i, study in enumerate(_STUDIES):
    path = _RESULTS / study / 'tables' / f'{study}_claims.csv'
    with path.open(encoding='utf-8', newline='') as file:
      for row in csv.DictReader(file):
        key = words.index(row['the paper says']), i, row['sparsity']
        found.setdefault(key, []).append(row)
  lines, claimed = [], None
  for claim, i, sparsity in sorted(found):
    if sparsity in _CLAIMED:
      rows = found[claim, i, sparsity]
      cells = (
        words[claim] if claim != claimed else '',
        f'[{_STUDIES[i].upper()}]({_STUDIES[i]}.md), {sparsity}',
        _scores(rows, 'method', ''),
        _scores(rows, 'against', ', against'),
        _verdicts(rows),
      )
      lines.append(f'| {" | ".join(cells)} |')
      claimed = claim
  title, *_ = _CLAIMS.splitlines()
  before, rest = (_RESULTS / 'index.md').read_text('utf-8').split(title + '\n')
  after = rest[rest.index('\n\n', rest.index('|')) :]
  return {'../results/index.md': before + '\n'.join([_CLAIMS, *lines]) + after}


def _scores(rows, column, suffix):
  """Our scores and the paper's of one side of comparisons, a line a method."""
  from tf_sparse_rl.report import aggregates, tables

  shown = tables.Column('', 2)
  lines = {}
  for row in rows:
    ends = (float(row[f'ours{suffix}{end}']) for end in ('', ' low', ' high'))
    score = tables.text(aggregates.Estimate(*ends), shown)
    if paper := row[f'paper{suffix}']:
      score += f' ({tables.text(float(paper), shown)})'
    score = score.replace(' ', '\u00a0')  # Numbers stay on one line.
    lines[row[column]] = f'{row[column]} {score}'
  return '<br>'.join(lines.values())


def _verdicts(rows):
  """The verdict of comparisons, or each with its methods."""
  # One side is a single method.
  many = max(('method', 'against'), key=lambda s: len({row[s] for row in rows}))
  found = {}
  for row in rows:
    found.setdefault(row['verdict'], []).append(row[many])
  if len(found) == 1:
    return rows[0]['verdict']
  return '<br>'.join(f'{", ".join(names)}: {v}' for v, names in found.items())


_PAGES = {
  'commands': commands_page,
  'fields': fields_pages,
  'tags': tags_page,
  'results': results_page,
}


def outdated(pages):
  """Those of `{name: Markdown}` whose file differs."""
  return {
    name: text
    for name, text in pages.items()
    if not (path := _DIRECTORY / name).exists()
    or path.read_text('utf-8') != text
  }


def main(arguments):
  """Writes the pages of some kinds, by default of all; or checks them."""
  kinds = [name for name in arguments if name in _PAGES] or _PAGES
  found = {}
  for kind in kinds:
    found.update(outdated(_PAGES[kind]()))
  if '--check' in arguments and found:
    sys.exit(f'Outdated: {", ".join(found)}. Run: python docs/tools/pages.py')
  for name, text in found.items():
    (_DIRECTORY / name).write_text(text, 'utf-8')
  print('\n'.join(found) or 'All pages are up to date.')


if __name__ == '__main__':
  main(sys.argv[1:])
