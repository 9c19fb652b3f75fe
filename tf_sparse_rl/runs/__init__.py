"""Runs on disk: their directories, records and lists. No TensorFlow."""

from tf_sparse_rl.runs.commands import note_command, read_commands
from tf_sparse_rl.runs.config_file import Origin
from tf_sparse_rl.runs.longer import config_for
from tf_sparse_rl.runs.reading import (
  DAMAGED,
  FINISHED,
  NOT_STARTED,
  STATUSES,
  UNFINISHED,
  Run,
  read,
  read_run,
)
from tf_sparse_rl.runs.records import (
  Evaluation,
  Machine,
  NoiseLevel,
  Record,
  RunsError,
  Summary,
  final_return,
  read_lines,
)
from tf_sparse_rl.runs.run_dir import RunDir, default_root_dir
from tf_sparse_rl.runs.run_list import ListedRun, read_list

__all__ = [
  'DAMAGED',
  'Evaluation',
  'FINISHED',
  'ListedRun',
  'Machine',
  'NOT_STARTED',
  'NoiseLevel',
  'Origin',
  'Record',
  'Run',
  'RunDir',
  'RunsError',
  'STATUSES',
  'Summary',
  'UNFINISHED',
  'config_for',
  'default_root_dir',
  'final_return',
  'note_command',
  'read',
  'read_commands',
  'read_lines',
  'read_list',
  'read_run',
]
