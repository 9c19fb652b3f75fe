"""The commands that have asked for the runs of a sweep, commands.jsonl."""

import dataclasses

from tf_sparse_rl import files
from tf_sparse_rl.runs import records

_NAME = 'commands.jsonl'


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Command(records.Record):
  """A line of commands.jsonl."""

  command: str


def read_commands(root):
  """The commands, in order, each once.

  Args:
    root: directory of a sweep, a Path.

  Returns:
    List of str; none if nothing was noted.

  Raises:
    RunsError: if a line is damaged.
  """
  lines = records.read_lines(root / _NAME, _Command)
  return list(dict.fromkeys(line.command for line in lines))


def note_command(root, command):
  """Adds a command, unless it is there already.

  Args:
    root: directory of a sweep, a Path.
    command: str, as a shell takes it.
  """
  if command not in read_commands(root):
    files.append_json_line(root / _NAME, {'command': command})
