"""A run's directory: its config, results and summary, and who may write."""

import contextlib
import dataclasses
import datetime
import fnmatch
import importlib.metadata
import json
import pathlib
import re
import subprocess

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files, locks, methods
from tf_sparse_rl.runs import heartbeat, longer, records
from tf_sparse_rl.runs.records import RunsError
from tf_sparse_rl.version import __version__

_PACKAGES = (
  'tensorflow',
  'tf-keras',
  'tf-agents',
  'tensorflow-model-optimization',
  'gymnasium',
  'numpy',
)
# What a run leaves that was stopped before it had written its config.
_BEFORE_START = ('.lock', 'config.json*.tmp')

# What a run writes, now or later, in its directory.
_DIRECTORIES = ('checkpoints', 'policy', 'train', 'eval')
_WRITTEN = (
  *('.lock', 'config.json', 'results.jsonl', 'summary.json'),
  *_DIRECTORIES,
)
_CHECKPOINT = re.compile(r'env_step_(\d{12,13})')
# TensorFlow's, in `train` and `eval`.
_EVENT_FILES = 'events.out.tfevents.*'

# Who looks whether a directory is in use holds its lock for an instant.
_A_LOOK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Origin(records.Record):
  """The entries of config.json besides the fields."""

  versions: dict[str, str | None] | None = None  # {package: version}
  date: str = ''  # on which it began, UTC
  history: list[dict] | None = None  # see `RunDir.start`
  machine: dict | None = None  # a Machine


def default_root_dir(config):
  """Where a run is written that was given no directory.

  Args:
    config: a resolved Config.

  Returns:
    'runs/<env>_<agent>_<method>_<sparsity>_<seed>', relative; without the
    sparsity where none is asked for.
  """
  method, sparsity = config.method.rpartition(':')[2], config.sparsity
  if method == 'dense':
    sparsity = config.match_sparsity
    method = methods.SMALL_DENSE if sparsity else method
  env = config_lib.gym_id(config.env_name)
  of_method = [method, f'{sparsity:g}']
  if methods.get(config.method).finds_sparsity:
    of_method = [method]
  parts = (env, config.agent, *of_method, str(config.seed))
  name = '_'.join(parts)
  return f'runs/{re.sub("[^A-Za-z0-9._-]+", "-", name)}'


class RunDir:
  """Files of one run. Everything is written whole or a line at a time."""

  def __init__(self, path):
    """Names the directory; nothing is created yet.

    Args:
      path: the run's `root_dir`.
    """
    self.path = pathlib.Path(path)

  @property
  def policy_path(self):
    """Where the exported policy is."""
    return self.path / 'policy'

  @property
  def _config_path(self):
    return self.path / 'config.json'

  @property
  def checkpoints(self):
    """Where the checkpoints are."""
    return self.path / 'checkpoints'

  def read_config(self):
    """The Config of the run, or None if there is no run yet.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    if records.content(self._config_path) is None:
      return None
    try:
      values = config_lib.load_values(self._config_path)
    except ValueError as error:
      raise RunsError(str(error)) from error
    try:
      # A field that is younger than the run is as its preset has it.
      return config_lib.make_config(values)
    except ValueError as error:
      raise RunsError(f'{self._config_path} is damaged: {error}') from error

  def read_versions(self):
    """Versions of the packages that the run began with.

    Returns:
      `{package: version}`.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, _Origin)
    return origin and origin.versions or {'tf_sparse_rl': 'unknown'}

  def read_date_and_cpu(self):
    """The day on which the run began and the CPU, '' where not recorded.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, _Origin) or _Origin()
    return origin.date, (origin.machine or {}).get('cpu', '')

  def read_history(self):
    """How the run was made longer or its periods changed, if it was.

    Returns:
      List of dicts, see `start`.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, _Origin)
    return origin and origin.history or []

  def checkpoint_env_step(self):
    """Env step of the latest complete checkpoint, None if there is none."""
    return max(checkpoint_env_steps(self.checkpoints), default=None)

  def read_summary(self):
    """The Summary of a finished run, or None.

    That of a run which was finished before it was made longer does not count.

    Raises:
      RunsError: if it is damaged or cannot be read.
    """
    summary = records.read(self.path / 'summary.json', records.Summary)
    if summary and self.read_history():
      is_older = summary.env_steps < self.read_config().num_env_steps
      return None if is_older else summary
    return summary

  def is_finished(self, config):
    """Whether the run has come to the end that a Config asks for."""
    there = self.read_config()
    return (
      there is not None
      and self.read_summary() is not None
      and config.num_env_steps <= there.num_env_steps
    )

  def read_finished_config(self):
    """The Config of a finished run.

    Raises:
      RunsError: if there is no run, or it is not finished.
    """
    config = self.read_config()
    if config is None or self.read_summary() is None:
      raise RunsError(
        f'Expected the directory of a finished run. Received: {self.path}, '
        f'{"no run" if config is None else "not finished"}.'
      )
    return config

  def read_results(self):
    """The evaluations so far, a list of Evaluation.

    Raises:
      RunsError: if a line is damaged; a torn last one is left out.
    """
    return records.read_lines(self.path / 'results.jsonl', records.Evaluation)

  def read_last_result(self):
    """The last evaluation so far, None before the first.

    Raises:
      RunsError: see `records.read_last_line`.
    """
    return records.read_last_line(
      self.path / 'results.jsonl', records.Evaluation
    )

  def read_noise(self):
    """The latest evaluation with noise, a list of NoiseLevel.

    Raises:
      RunsError: if a line is damaged.
    """
    return records.read_lines(self.path / 'noise.jsonl', records.NoiseLevel)

  def check_config(self, config):
    """Refuses a directory that holds another run.

    Args:
      config: a Config.

    Raises:
      RunsError: with the fields that differ.
    """
    there = self.read_config()
    if there is None:
      if self.path.is_dir() and any(
        not any(fnmatch.fnmatch(entry.name, left) for left in _BEFORE_START)
        for entry in self.path.iterdir()
      ):
        raise RunsError(
          f'Expected an empty directory or one of a run. Received: {self.path} '
          'with other files and no config.json. Choose another --root_dir.'
        )
      return
    finished = self.read_summary() is not None
    may_change = longer.may_change(there, config, finished)
    differ = [
      f'{name}: {before!r} there, {asked!r} asked for'
      for name, (before, asked) in longer.changes(there, config).items()
      if name not in may_change
    ]
    if differ:
      raise RunsError(
        f'{self.path} holds a run with another config. Choose another '
        '--root_dir. Fields that differ:\n  ' + '\n  '.join(differ)
      )

  @contextlib.contextmanager
  def locked(self):
    """Creates the directory and holds it against other processes.

    Raises:
      RunsError: if another process trains here, or nothing can be written.
    """
    with contextlib.ExitStack() as stack:
      try:
        files.make_directory(self.path)
        files.refuse_links(*(self.path / name for name in _WRITTEN))
        directories = (self.path / name for name in _DIRECTORIES)
        files.require_directories(*directories)
        stack.enter_context(locks.held(self.path / '.lock', _A_LOOK_SECONDS))
      except BlockingIOError:
        raise RunsError(
          f'Another process is training in {self.path}. Wait for it or choose '
          'another --root_dir.'
        ) from None
      except OSError as error:
        raise RunsError(f'Cannot write to {self.path}: {error}.') from error
      yield

  def in_use(self):
    """Whether a process trains here, on this host or another."""
    return locks.is_held(self.path / '.lock')

  def heartbeat(self, seconds=10.0):
    """A function to be called at every env step; see `heartbeat`."""
    return heartbeat.heartbeat(self.path / '.lock', seconds)

  def last_env_step_time(self):
    """Time of day of the last env step, about; None if there was no attempt."""
    return heartbeat.last(self.path / '.lock')

  def start(self, config):
    """Begins the run: writes the config. One that goes on with another config
    gets that, and in `history` the env step from which on it holds.

    Args:
      config: a Config that `check_config` has let pass.

    Returns:
      A line for a person on what changes; '' if nothing does.
    """
    there = self.read_config()
    if there is None:
      today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
      values = {
        **config_lib.to_dict(config),
        'versions': _versions(),
        'date': today,
      }
      files.write_json(self._config_path, values, indent=2)
      return ''
    changed = longer.changes(there, config)
    if not changed:
      return ''
    env_step = self.checkpoint_env_step() or 0
    values = json.loads(files.read(self._config_path))
    history = [
      *(values.pop('history', None) or []),
      {'env_step': env_step, 'changed': changed, 'versions': _versions()},
    ]
    values.update(config_lib.to_dict(config), history=history)
    if 'backend' in changed:
      values.pop('machine', None)
    files.write_json(self._config_path, values, indent=2)
    return longer.sentence(env_step, changed)

  def note_origin(self, origin):
    """Keeps in config.json, beside the fields, what the run began from.

    Args:
      origin: dict of JSON types.
    """
    values = json.loads(files.read(self._config_path))
    files.write_json(self._config_path, {**values, 'origin': origin}, indent=2)

  def read_machine(self):
    """The Machine that the run began on, or None if it is not known.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, _Origin)
    if origin is None or origin.machine is None:
      return None
    try:
      return records.Machine.from_json(origin.machine)
    except ValueError as error:
      raise RunsError(
        f'{self._config_path} is damaged: its machine: {error}.'
      ) from error

  def note_machine(self, machine):
    """Keeps what the run began on in config.json, beside the fields.

    Args:
      machine: dict of JSON types.
    """
    values = json.loads(files.read(self._config_path))
    if values.get('machine') is None:
      values['machine'] = machine
      files.write_json(self._config_path, values, indent=2)

  def note_measurements(self, measurements):
    """Keeps there, once there are more, what backends are chosen by.

    Args:
      measurements: list of dicts of JSON types, see records.Measurement.
    """
    values = json.loads(files.read(self._config_path))
    values['machine']['measurements'] = measurements
    files.write_json(self._config_path, values, indent=2)

  def set_results(self, evaluations):
    """Sets the evaluations so far, whatever an interrupted run left.

    Args:
      evaluations: list of Evaluation; if empty, the run starts over.
    """
    if not evaluations:
      for name in ('train', 'eval'):
        for path in (self.path / name).glob(_EVENT_FILES):
          path.unlink()
    files.write_json_lines(
      self.path / 'results.jsonl', (e.to_json() for e in evaluations)
    )

  def append_result(self, evaluation):
    """Adds an Evaluation to results.jsonl and sees it onto the disk."""
    files.append_json_line(self.path / 'results.jsonl', evaluation.to_json())

  def finish(self, summary):
    """Writes summary.json: from here on the run counts as finished.

    Args:
      summary: a Summary.
    """
    files.write_json(self.path / 'summary.json', summary.to_json(), indent=2)

  def write_noise(self, levels, figure):
    """Writes an evaluation with noise, in place of an earlier one.

    Args:
      levels: list of NoiseLevel.
      figure: bytes of a PNG.

    Returns:
      Path of the figure.
    """
    files.write_json_lines(
      self.path / 'noise.jsonl', (level.to_json() for level in levels)
    )
    path = self.path / 'noise.png'
    files.write(path, figure)
    return path


def checkpoint_env_steps(path):
  """Env steps of the complete checkpoints in a directory, in order."""
  found = path.glob('env_step_*/manifest.json')
  names = (_CHECKPOINT.fullmatch(each.parent.name) for each in found)
  return sorted(int(name[1]) for name in names if name)


def _versions():
  versions = {'tf_sparse_rl': __version__, 'git_commit': _git_commit()}
  for package in _PACKAGES:
    versions[package] = _version(package)
  return versions


def _version(package):
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    # On a TPU VM TensorFlow is a package of another name.
    return importlib.metadata.version(f'{package}-tpu')


def _git_commit():
  """Commit of the source tree, or None outside of one."""
  try:
    result = subprocess.run(
      ['git', 'rev-parse', 'HEAD'],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      check=True,
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return result.stdout.strip()
