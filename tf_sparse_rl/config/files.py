"""Reads and writes the fields in config.json."""

import dataclasses
import json

from tf_sparse_rl import files
from tf_sparse_rl.config.config import fields

# Keys of config.json besides the fields.
NOT_FIELDS = ('versions', 'date', 'machine', 'history', 'origin')


def to_dict(config):
  """Converts a Config to JSON types, in order."""
  return {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in dataclasses.asdict(config).items()
  }


def load_values(path):
  """Reads the fields of a config.json.

  Args:
    path: of the config.json of a run, or of a file with some fields.

  Returns:
    `{field name: value}`, without the keys of NOT_FIELDS.

  Raises:
    ValueError: if the file is missing, is not a JSON object, or has unknown
      fields.
  """
  try:
    values = json.loads(files.read(path))
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f'Cannot read the config {path}: {error}.') from error
  return values_of(values, path)


def values_of(content, path):
  """Extracts the fields from the content of a config.json.

  Args:
    content: of JSON types.
    path: of the file, for error messages.

  Returns:
    `{field name: value}`; see `load_values`.

  Raises:
    ValueError: if it is not a JSON object, or has unknown fields.
  """
  if not isinstance(content, dict):
    raise ValueError(
      f'Expected a JSON object in {path}. Received: {content!r}.'
    )
  values = {k: v for k, v in content.items() if k not in NOT_FIELDS}
  unknown = sorted(set(values) - {field.name for field in fields()})
  if unknown:
    raise ValueError(
      f'Expected fields of a run config in {path}. Received: {unknown!r:.200}.'
    )
  return {
    name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
  }
