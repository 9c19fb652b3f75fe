"""Writes the generated pages of docs/reference: `python docs/tools/pages.py`.

They are made from the config's rows, the commands' flags and the table of
TensorBoard tags. `--check` compares instead and names the outdated pages.
"""

import html
import importlib
import multiprocessing
import pathlib
import re
import sys

_ROOT = pathlib.Path(__file__).parents[2]
_DIRECTORY = _ROOT / 'docs' / 'reference'
_MODULES = {'report': 'report.command'}
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


def made():
  """`{name of a page: its Markdown}`."""
  from tf_sparse_rl import config
  from tf_sparse_rl.config import reference

  # Commands declare flags of one name: each in a process of its own, forked
  # before TensorFlow is imported.
  pages = {'commands.md': _commands_page()}
  pages |= {f'{agent}.md': reference.page(agent) for agent in config.AGENTS}
  return pages | {'tensorboard_tags.md': _tags_page()}


def _commands_page():
  from tf_sparse_rl.__main__ import COMMANDS

  context = multiprocessing.get_context('fork')
  parts = []
  for name in COMMANDS:
    with context.Pool(1) as pool:
      parts.append(pool.apply(_command, [name]))
  return '\n\n'.join([_COMMANDS, *parts]) + '\n'


def _command(name):
  """The section of a command."""
  from absl import flags

  module = importlib.import_module(f'tf_sparse_rl.{_MODULES.get(name, name)}')
  from tf_sparse_rl import command_help, config
  from tf_sparse_rl import flags as run_flags

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
  return '\n'.join(lines)


def _tags_page():
  from tf_sparse_rl import quiet

  quiet.import_tensorflow()
  from tf_sparse_rl.training import summaries

  rows = [f'| `{tag}` | {text} |' for tag, text in summaries.TAGS.items()]
  return '\n'.join([_TAGS, *rows]) + '\n'


def main(check):
  """Writes the pages, or returns the names of those that differ."""
  differ = []
  for name, text in made().items():
    path = _DIRECTORY / name
    if not path.exists() or path.read_text('utf-8') != text:
      differ.append(name)
      if not check:
        path.write_text(text, 'utf-8')
  return differ


if __name__ == '__main__':
  is_check = '--check' in sys.argv[1:]
  found = main(is_check)
  if is_check and found:
    sys.exit(
      f'Out of date: {", ".join(found)}. Run: python docs/tools/pages.py'
    )
  print('\n'.join(found) or 'All pages are up to date.')
