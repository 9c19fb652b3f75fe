"""config.json of a run: its fields, the software and the machine."""

import dataclasses
import datetime
import json
import pathlib

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files
from tf_sparse_rl.runs import records, versions
from tf_sparse_rl.runs.records import RunsError


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Origin(records.Record):
  """The entries of config.json besides the fields."""

  versions: dict[str, str | None] | None = None  # {package: version}
  date: str = ''  # on which it began, UTC
  history: list[dict] | None = None  # see `change_config`
  machine: dict | None = None  # a Machine


class ConfigFile:
  """The directory of a run, as far as config.json goes."""

  def __init__(self, path):
    """Names the directory; nothing is created yet.

    Args:
      path: the run's `root_dir`.
    """
    self.path = pathlib.Path(path)

  @property
  def _config_path(self):
    return self.path / 'config.json'

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
      List of dicts, see `change_config`.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, _Origin)
    return origin and origin.history or []

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

  def write_config(self, config):
    """Writes config.json of a new run.

    Args:
      config: a Config.
    """
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    values = {
      **config_lib.to_dict(config),
      'versions': versions.installed(),
      'date': today,
    }
    files.write_json(self._config_path, values, indent=2)

  def change_config(self, config, env_step, changed):
    """Gives a run that goes on another config.

    `history` in config.json gets the env step from which on it holds.

    Args:
      config: the new Config.
      env_step: where the run stands.
      changed: see `longer.changes`.
    """
    values = json.loads(files.read(self._config_path))
    history = [
      *(values.pop('history', None) or []),
      {
        'env_step': env_step,
        'changed': changed,
        'versions': versions.installed(),
      },
    ]
    values.update(config_lib.to_dict(config), history=history)
    if 'backend' in changed:
      values.pop('machine', None)
    files.write_json(self._config_path, values, indent=2)

  def note_origin(self, origin):
    """Keeps in config.json, beside the fields, what the run began from.

    Args:
      origin: dict of JSON types.
    """
    values = json.loads(files.read(self._config_path))
    files.write_json(self._config_path, {**values, 'origin': origin}, indent=2)

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
