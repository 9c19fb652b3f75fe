"""The commands that started a sweep, commands.jsonl."""

import dataclasses

from tf_sparse_rl import files
from tf_sparse_rl.runs import records

_NAME = 'commands.jsonl'


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Command(records.Record):
  """A line of commands.jsonl."""

  command: str


def read_commands(root):
  """Reads the commands, in order, without repetitions.

  Args:
    root: directory of a sweep, a Path.

  Returns:
    List of str; empty if there is no file.

  Raises:
    RunsError: if a line is damaged.
  """
  lines = records.read_lines(root / _NAME, _Command)
  return list(dict.fromkeys(line.command for line in lines))


def note_command(root, command):
  """Adds a command, unless it is recorded already.

  Args:
    root: directory of a sweep, a Path.
    command: str, as a shell takes it.
  """
  if command not in read_commands(root):
    files.append_json_line(root / _NAME, {'command': command})
