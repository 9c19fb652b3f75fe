"""config.json: what a run writes and reads."""

import dataclasses
import json

from tf_sparse_rl import files
from tf_sparse_rl.config.config import fields

# Keys of a config.json that do not start a run.
NOT_FIELDS = ('versions', 'date', 'machine', 'history', 'origin')


def to_dict(config):
  """The fields as JSON types, in order."""
  return {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in dataclasses.asdict(config).items()
  }


def load_values(path):
  """Reads the fields of a config.json.

  Args:
    path: of a file as a run writes it, or with a few fields only.

  Returns:
    `{field name: value}`; the keys of NOT_FIELDS are left out.

  Raises:
    ValueError: if the file is missing, no JSON object, or has unknown fields.
  """
  try:
    values = json.loads(files.read(path))
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f'Cannot read the config {path}: {error}.') from error
  return values_of(values, path)


def values_of(content, path):
  """The fields in the content of a config.json.

  Args:
    content: of JSON types.
    path: of the file, for errors.

  Returns:
    `{field name: value}`; see `load_values`.

  Raises:
    ValueError: if it is no JSON object, or has unknown fields.
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
