"""Reads the run directories of a study, finished or not."""

import dataclasses
import json
import pathlib

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib
from tf_sparse_rl.training import run_dir as run_dir_lib

FINISHED, UNFINISHED, NOT_STARTED = 'finished', 'unfinished', 'not started'


class ReportError(Exception):
  """The runs cannot be reported; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Run:
  """One run: what was asked for and what came of it."""

  name: str  # unique in the study
  path: pathlib.Path
  config: config_lib.Config
  versions: dict  # {package: version}; empty before the start
  results: list  # lines of results.jsonl
  summary: dict | None  # None until the run is finished
  noise: list  # lines of noise.jsonl: noise_std, return_mean

  @property
  def status(self):
    """One of FINISHED, UNFINISHED, NOT_STARTED."""
    if self.summary is not None:
      return FINISHED
    return UNFINISHED if self.versions else NOT_STARTED


def read(sweep_dir):
  """Reads a sweep, or any directory with run directories below it.

  Args:
    sweep_dir: has `runs.jsonl` and `runs/<id>/`, or run directories anywhere.

  Returns:
    List of `Run`, sorted by name; those of runs.jsonl that have not been
    started included.

  Raises:
    ReportError: if there are none, or one cannot be read.
  """
  root = pathlib.Path(sweep_dir)
  if not root.is_dir():
    raise ReportError(
      f'Expected a directory of runs as --sweep_dir. Received: {sweep_dir}.'
    )
  is_sweep = (root / 'runs.jsonl').exists()
  runs = _read_list(root) if is_sweep else _read_tree(root)
  if not runs:
    raise ReportError(
      f'Expected runs in {sweep_dir}: a runs.jsonl, or directories with a '
      'config.json. Found none. Runs come from python -m tf_sparse_rl.train.'
    )
  return sorted(runs, key=lambda run: run.name)


def _read_tree(root):
  paths = [path.parent for path in root.rglob('config.json')]
  return [_read_run(path.relative_to(root).as_posix(), path) for path in paths]


def _read_list(root):
  try:
    listed = sweep_dir_lib.SweepDir(root).read_runs()
  except sweep_dir_lib.SweepDirError as error:
    raise ReportError(str(error)) from error
  return [_read_listed(run, root / 'runs' / run.id) for run in listed]


def _read_listed(run, path):
  if (path / 'config.json').exists():
    return _read_run(run.id, path)
  try:
    config = run.config()
  except ValueError as error:
    raise ReportError(f'The flags of the run {run.id}: {error}') from error
  return Run(run.id, path, config, {}, [], None, [])


def _read_run(name, path):
  directory = run_dir_lib.RunDir(path)
  try:
    values = directory.read_config()
    text = (path / 'config.json').read_text('utf-8')
    return Run(
      name,
      path,
      # A field that is younger than the run is as its preset has it.
      config_lib.resolve(config_lib.Config(**values)),
      json.loads(text).get('versions') or {'tf_sparse_rl': 'unknown'},
      directory.read_results(),
      directory.read_summary(),
      directory.read_noise(),
    )
  except (run_dir_lib.RunDirError, OSError, ValueError) as error:
    raise ReportError(
      f'Cannot read the run in {path}: {error} Repair it or move it away.'
    ) from error
