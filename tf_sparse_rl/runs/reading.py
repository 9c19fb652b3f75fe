"""Reads the runs of a study: finished, unfinished and damaged ones."""

import dataclasses
import os
import pathlib

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.runs import records, run_dir, run_list

FINISHED, UNFINISHED, NOT_STARTED = 'finished', 'unfinished', 'not started'
DAMAGED = 'damaged'
STATUSES = (FINISHED, UNFINISHED, NOT_STARTED, DAMAGED)


@dataclasses.dataclass(frozen=True)
class Run:
  """A run as read from its directory."""

  name: str  # unique in the study
  path: pathlib.Path
  config: config_lib.Config | None = None  # None if it cannot be read
  versions: dict = dataclasses.field(default_factory=dict)  # {package: version}
  results: list = dataclasses.field(default_factory=list)  # of Evaluation
  summary: records.Summary | None = None  # None until the run is finished
  noise: list = dataclasses.field(default_factory=list)  # of NoiseLevel
  date: str = ''  # on which it began, UTC; '' if not recorded
  cpu: str = ''
  damage: str = ''  # which file cannot be read, and why

  @property
  def status(self):
    """One of STATUSES."""
    if self.damage:
      return DAMAGED
    if self.summary is not None:
      return FINISHED
    return UNFINISHED if self.versions else NOT_STARTED


def read(root):
  """Reads a sweep, or all run directories below a directory.

  Args:
    root: has `runs.jsonl` and `runs/<id>/`, or run directories anywhere.

  Returns:
    List of `Run`, sorted by name, including those of runs.jsonl that have not
    started.

  Raises:
    RunsError: if there are none, or the list cannot be read.
  """
  root = pathlib.Path(root)
  if not root.is_dir():
    raise records.RunsError(f'Expected a directory of runs. Received: {root}.')
  if (root / 'runs.jsonl').exists():
    listed = run_list.read_list(root / 'runs.jsonl')
    runs = [_read_listed(run, root / 'runs' / run.id) for run in listed]
  else:
    paths = [path.parent for path in root.rglob('config.json')]
    runs = [_read(_name(path.relative_to(root)), path) for path in paths]
  if not runs:
    raise records.RunsError(
      f'Expected runs in {root}: a runs.jsonl, or directories with a '
      'config.json. Found none. Runs come from python -m tf_sparse_rl.train.'
    )
  return sorted(runs, key=lambda run: run.name)


def _name(path):
  """A path as text; bytes that are not UTF-8 are escaped."""
  return os.fsencode(path).decode('utf-8', 'backslashreplace')


def read_run(root_dir):
  """Reads one run directory.

  Args:
    root_dir: directory of the run.

  Returns:
    A `Run`, finished or not.

  Raises:
    RunsError: if there is no run, or it is damaged.
  """
  path = pathlib.Path(root_dir)
  if not (path / 'config.json').exists():
    raise records.RunsError(
      f'Expected the directory of a run. Received: {path}, no run.'
    )
  run = _read(path.resolve().name, path)
  if run.damage:
    raise records.RunsError(run.damage)
  return run


def _read_listed(run, path):
  config, damage = None, ''
  try:
    config = run.config()
  except ValueError as error:
    damage = f'Its flags in runs.jsonl: {error}'
  if os.path.lexists(path / 'config.json'):
    return _read(run.id, path, config)
  return Run(run.id, path, config, damage=damage)


def _read(name, path, config=None):
  """Reads a run, as far as its files are not damaged."""
  directory, found = run_dir.RunDir(path), {'config': config}
  try:
    found['config'] = directory.read_config()
    found['versions'] = directory.read_versions()
    found['results'] = directory.read_results()
    found['summary'] = directory.read_summary()
    found['noise'] = directory.read_noise()
    found['date'], found['cpu'] = directory.read_date_and_cpu()
  except records.RunsError as error:
    found['damage'] = str(error)
  return Run(name, path, **found)
