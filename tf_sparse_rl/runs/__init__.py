"""Runs on disk: their directories, records and lists. No TensorFlow."""

from tf_sparse_rl.runs.longer import config_for
from tf_sparse_rl.runs.reading import (
  DAMAGED,
  FINISHED,
  NOT_STARTED,
  STATUSES,
  UNFINISHED,
  Run,
  read,
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
from tf_sparse_rl.runs.run_dir import RunDir
from tf_sparse_rl.runs.run_list import ListedRun, read_list

__all__ = [
  'DAMAGED',
  'Evaluation',
  'FINISHED',
  'ListedRun',
  'Machine',
  'NOT_STARTED',
  'NoiseLevel',
  'Record',
  'Run',
  'RunDir',
  'RunsError',
  'STATUSES',
  'Summary',
  'UNFINISHED',
  'config_for',
  'final_return',
  'read',
  'read_lines',
  'read_list',
]
