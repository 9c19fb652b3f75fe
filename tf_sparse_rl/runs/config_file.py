"""config.json of a run: its fields, the software and the machine."""

import dataclasses
import datetime
import json

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files
from tf_sparse_rl.runs import records, versions
from tf_sparse_rl.runs.records import RunsError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin(records.Record):
  """Entries of config.json besides the fields."""

  versions: dict[str, str | None] | None = None  # {package: version}
  date: str = ''  # on which it began, UTC
  history: list[dict] | None = None  # see `change_config`
  machine: dict | None = None  # a Machine

  @property
  def cpu(self):
    """The CPU that the run started on; '' where not recorded."""
    cpu = (self.machine or {}).get('cpu')
    return cpu if isinstance(cpu, str) else ''


class ConfigFile:
  """Reads and writes config.json in the directory of a run."""

  def __init__(self, path):
    """Takes the directory; nothing is created yet.

    Args:
      path: the run's `root_dir`.
    """
    # Absolute: an environment may change the working directory.
    self.path = files.local(path)

  @property
  def _config_path(self):
    return self.path / 'config.json'

  def read_config(self):
    """Reads the Config of the run; None if there is no run yet.

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
      # Fields that are newer than the run get their presets.
      return config_lib.make_config(values)
    except ValueError as error:
      raise RunsError(f'{self._config_path} is damaged: {error}') from error

  def read_versions(self):
    """Reads the versions of packages at the start of the run.

    Returns:
      `{package: version}`.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, Origin)
    return origin and origin.versions or {'tf_sparse_rl': 'unknown'}

  def read_date_and_cpu(self):
    """Reads the start date and the CPU; '' where not recorded.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, Origin) or Origin()
    return origin.date, origin.cpu

  def read_history(self):
    """Reads the changes of the config since the start of the run.

    Returns:
      List of dicts, see `change_config`.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, Origin)
    return origin and origin.history or []

  def read_machine(self):
    """Reads the Machine that the run started on; None if not recorded.

    Raises:
      RunsError: if config.json is damaged or cannot be read.
    """
    origin = records.read(self._config_path, Origin)
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
    """Replaces the config of a run and adds the change to its `history`.

    Args:
      config: the new Config.
      env_step: env steps of the run so far.
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
    """Records the run from which this one was initialized.

    Args:
      origin: dict of JSON types.
    """
    values = json.loads(files.read(self._config_path))
    files.write_json(self._config_path, {**values, 'origin': origin}, indent=2)

  def note_machine(self, machine):
    """Records the machine, unless one is recorded already.

    Args:
      machine: dict of JSON types.
    """
    values = json.loads(files.read(self._config_path))
    if values.get('machine') is None:
      values['machine'] = machine
      files.write_json(self._config_path, values, indent=2)

  def note_measurements(self, measurements):
    """Records the measurements by which backends were chosen.

    Args:
      measurements: list of dicts of JSON types, see records.Measurement.
    """
    values = json.loads(files.read(self._config_path))
    values['machine']['measurements'] = measurements
    files.write_json(self._config_path, values, indent=2)
