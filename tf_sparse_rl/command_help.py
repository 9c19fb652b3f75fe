"""The `--help` of a command: what it does, examples, then flags by group."""

import re
import shutil
import textwrap
from typing import NamedTuple

from absl import flags

from tf_sparse_rl import config as config_lib

COMMON = 'Common'
# The fields that most runs set, in this order; the others are by record.
_COMMON_FIELDS = (
  *('agent', 'env_name', 'method', 'sparsity', 'num_env_steps', 'seed'),
)
# Columns of flag names, and the maximum of a line.
_NAME_WIDTH, _MAX_WIDTH = 24, 100

_groups = {}  # {title: [names of flags]}, in order
_fields = {}  # {name: config field} of those flags that are fields


class Help(NamedTuple):
  """The top of `--help`, above the flags."""

  description: str  # its first sentence says what the command does
  command: str  # its name, as in python -m tf_sparse_rl.NAME
  examples: dict[str, str]  # {purpose: flags}


def show(*names, group=COMMON):
  """Lists flags in `--help`; they need not be declared yet."""
  listed = _groups.setdefault(group, [])
  listed += [name for name in names if name not in listed]


def show_fields(without=()):
  """Lists the flags of config fields.

  Args:
    without: names of fields that the command does not accept.
  """
  taken = {f.name: f for f in config_lib.fields() if f.name not in without}
  _fields.update(taken)
  show(*(name for name in _COMMON_FIELDS if name in taken))
  for field in taken.values():
    if field.name not in _COMMON_FIELDS:
      show(field.name, group=field.group)


def text(help_, width=None):
  """Formats `--help`.

  Args:
    help_: a Help.
    width: columns; by default those of the terminal, at most 100.

  Returns:
    str of several lines.
  """
  width = width or min(shutil.get_terminal_size().columns, _MAX_WIDTH)
  command = f'python -m tf_sparse_rl.{help_.command}'
  usage = f'{command} [--flag=value ...]' if _groups else command
  lines = [*_wrapped(help_.description, width), '', f'Usage: {usage}', '']
  lines.append('Examples:')
  for purpose, arguments in help_.examples.items():
    lines += _wrapped(f'{purpose}:', width, 2)
    lines += _command_lines(command, arguments.split(), width)
  presets = _presets()
  titles = sorted(_groups, key=lambda title: title != COMMON)  # First.
  for title in titles:
    lines += ['', f'{title}:']
    for name in _groups[title]:
      lines += _flag_lines(name, _fields.get(name), presets, width)
  if _fields:
    lines += ['', *_wrapped(_ABOUT_PRESETS, width)]
  return '\n'.join(lines)


_ABOUT_PRESETS = (
  'A preset depends on agent, environment, network and method; shown are those '
  "of RigL in the agent's default environment. All of them, with sources: "
  'python -m tf_sparse_rl.config.reference'
)


def _wrapped(content, width, indent=0):
  """Wraps paragraphs to `width` columns."""
  lines = []
  for paragraph in content.split('\n'):
    lines += textwrap.wrap(
      paragraph,
      max(width, 40),
      initial_indent=' ' * indent,
      subsequent_indent=' ' * indent,
      break_long_words=False,
      break_on_hyphens=False,
    ) or ['']
  return lines


def _command_lines(command, arguments, width):
  """Wraps a command, with backslashes for a shell."""
  lines = [f'    {command}']
  for argument in arguments:
    if len(lines[-1]) + len(argument) + 3 > width:
      lines[-1] += ' \\'
      lines.append(f'      {argument}')
    else:
      lines[-1] += f' {argument}'
  return lines


def _flag_lines(name, field, presets, width):
  """Formats a flag with its meaning and default."""
  flag = flags.FLAGS[name]
  shown = f'  --[no]{name}' if flag.boolean else f'  --{name}'
  if field is None:
    # absl prepends the choices of an enum.
    meaning = re.sub('^<.*?>: ', '', flag.help)
    default = _value_text(flag.default)
  else:
    meaning = f'{field.meaning[0].upper()}{field.meaning[1:]}.'
    default = presets.get(name) or _value_text(field.default)
  if default:
    meaning += f' [{default}]'
  wrapped = _wrapped(meaning, width - _NAME_WIDTH, 0)
  lines = [f'{" " * _NAME_WIDTH}{line}' for line in wrapped]
  if len(shown) <= _NAME_WIDTH - 2:
    return [shown.ljust(_NAME_WIDTH) + wrapped[0], *lines[1:]]
  return [shown, *lines]


def _presets():
  """Formats `{field: presets}` for the default environments of agents."""
  configs = {
    agent: config_lib.make_config({'agent': agent})
    for agent in config_lib.AGENTS
  }
  texts = {}
  for field in _fields.values():
    if not field.optional:
      continue
    copied = {getattr(rule, 'field', None) for rule in field.presets.values()}
    if len(copied) == 1 and None not in copied:
      texts[field.name] = f'as --{copied.pop()}'
      continue
    agents_of = {}  # {value: agents}
    for agent in field.agents:
      value = _value_text(getattr(configs[agent], field.name))
      agents_of.setdefault(value, []).append(agent)
    if len(agents_of) == 1:
      texts[field.name] = f'preset: {"".join(agents_of)}'
    else:
      parts = (f'{", ".join(a)} {value}' for value, a in agents_of.items())
      texts[field.name] = f'preset: {"; ".join(parts)}'
  return texts


def _value_text(value):
  """Formats a value as in a flag; '' for None."""
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, (list, tuple)):
    return ','.join(map(str, value))
  if isinstance(value, float):
    return f'{value:g}'
  return '' if value is None else str(value)
