"""A run's directory: its config, results and summary, and who may write."""

import contextlib
import dataclasses
import fnmatch
import importlib.metadata
import json
import pathlib
import shutil
import subprocess

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files, locks
from tf_sparse_rl.training import returns
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

# Who looks whether a directory is in use holds its lock for an instant.
_A_LOOK_SECONDS = 0.5


class RunDirError(Exception):
  """The directory cannot be used; the message says why and what to do."""


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
  def checkpoints(self):
    """Where the checkpoints are."""
    return self.path / 'checkpoints'

  def read_config(self):
    """The values of config.json, or None if there is no run yet.

    Raises:
      RunDirError: if it cannot be read.
    """
    path = self.path / 'config.json'
    if not path.exists():
      return None
    try:
      return config_lib.load_values(path)
    except ValueError as error:
      raise RunDirError(str(error)) from error

  def read_summary(self):
    """The summary of a finished run, or None.

    Raises:
      RunDirError: if it cannot be read.
    """
    path = self.path / 'summary.json'
    return _parse(path, path.read_bytes()) if path.exists() else None

  def read_finished_config(self):
    """The values of config.json of a finished run.

    Raises:
      RunDirError: if there is no run, or it is not finished.
    """
    values = self.read_config()
    if values is None or self.read_summary() is None:
      raise RunDirError(
        f'Expected the directory of a finished run. Received: {self.path}, '
        f'{"no run" if values is None else "not finished"}.'
      )
    return values

  def read_results(self):
    """The evaluations so far, a list of dicts; a torn last line is left out.

    Raises:
      RunDirError: if another line cannot be read.
    """
    return self._read_lines('results.jsonl')

  def read_noise(self):
    """What the latest evaluation with noise came to; see `write_noise`.

    Raises:
      RunDirError: if a line cannot be read.
    """
    return self._read_lines('noise.jsonl')

  def _read_lines(self, name):
    path = self.path / name
    if not path.exists():
      return []
    lines = path.read_bytes().split(b'\n')
    # What follows the last newline was not written to its end.
    return [_parse(path, line) for line in lines[:-1]]

  def check_config(self, config):
    """Refuses a directory that holds another run.

    Args:
      config: a Config.

    Raises:
      RunDirError: with the fields that differ.
    """
    there = self.read_config()
    if there is None:
      if self.path.is_dir() and any(
        not any(fnmatch.fnmatch(entry.name, left) for left in _BEFORE_START)
        for entry in self.path.iterdir()
      ):
        raise RunDirError(
          f'Expected an empty directory or one of a run. Received: {self.path} '
          'with other files and no config.json. Choose another --root_dir.'
        )
      return
    ours = config_lib.to_dict(config)
    there = {
      name: list(value) if isinstance(value, tuple) else value
      for name, value in {**_younger_fields(config, there), **there}.items()
    }
    differ = [
      f'{name}: {there[name]!r} there, {ours[name]!r} asked for'
      for name in ours
      if there[name] != ours[name]
    ]
    if differ:
      raise RunDirError(
        f'{self.path} holds a run with another config. Choose another '
        '--root_dir. Fields that differ:\n  ' + '\n  '.join(differ)
      )

  @contextlib.contextmanager
  def locked(self):
    """Creates the directory and holds it against other processes.

    Raises:
      RunDirError: if another process trains here, or nothing can be written.
    """
    with contextlib.ExitStack() as stack:
      try:
        self.path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locks.held(self.path / '.lock', _A_LOOK_SECONDS))
      except BlockingIOError:
        raise RunDirError(
          f'Another process is training in {self.path}. Wait for it or choose '
          'another --root_dir.'
        ) from None
      except OSError as error:
        raise RunDirError(f'Cannot write to {self.path}: {error}.') from error
      yield

  def in_use(self):
    """Whether a process trains here, on this host or another."""
    return locks.is_held(self.path / '.lock')

  def start(self, config):
    """Begins the run, if it has not begun: writes the config.

    Args:
      config: a Config.
    """
    if self.read_config() is None:
      values = {**config_lib.to_dict(config), 'versions': _versions()}
      files.write_json(self.path / 'config.json', values, indent=2)

  def note_machine(self, machine):
    """Keeps what the run began on in config.json, beside the fields.

    Args:
      machine: dict of JSON types.
    """
    path = self.path / 'config.json'
    values = _parse(path, path.read_bytes())
    if 'machine' not in values:
      files.write_json(path, {**values, 'machine': machine}, indent=2)

  def set_results(self, results):
    """Sets the evaluations so far, whatever an interrupted run left.

    Args:
      results: list of dicts of JSON types; if empty, the run starts over.
    """
    if not results:
      for name in ('train', 'eval'):
        shutil.rmtree(self.path / name, ignore_errors=True)
    files.write_json_lines(self.path / 'results.jsonl', results)

  def append_result(self, result):
    """Adds one evaluation to results.jsonl and sees it onto the disk.

    Args:
      result: dict of JSON types.
    """
    files.append_json_line(self.path / 'results.jsonl', result)

  def finish(self, totals):
    """Writes summary.json from the evaluations.

    Args:
      totals: dict of JSON types, added to the summary.

    Returns:
      The summary, a dict.
    """
    means = [result['return_mean'] for result in self.read_results()]
    summary = {
      'final_return': returns.final_return(means),
      'best_return': max(means),
      'num_evaluations': len(means),
      **totals,
    }
    files.write_json(self.path / 'summary.json', summary, indent=2)
    return summary

  def write_noise(self, levels, figure):
    """Writes what an evaluation with noise came to, in place of an earlier one.

    Args:
      levels: list of dicts of JSON types, with noise_std and return_mean.
      figure: bytes of a PNG.

    Returns:
      Path of the figure.
    """
    files.write_json_lines(self.path / 'noise.jsonl', levels)
    path = self.path / 'noise.png'
    files.write(path, figure)
    return path


def _parse(path, text):
  """One value of JSON in a file; says which file is damaged."""
  try:
    return json.loads(text)
  except ValueError as error:
    raise RunDirError(f'{path} is damaged: {error}.') from error


def _younger_fields(config, values):
  """What a run had in fields that are younger than its config.json.

  Args:
    config: a Config of such a run.
    values: what its config.json says.

  Returns:
    {name: value}.
  """
  unset = {
    field.name: field.default
    for field in config_lib.fields()
    if field.name not in values
  }
  then = config_lib.resolve(dataclasses.replace(config, **unset))
  return {name: getattr(then, name) for name in unset}


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
