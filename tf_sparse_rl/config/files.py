"""config.json: what a run writes and reads."""

import dataclasses
import json

from tf_sparse_rl import files
from tf_sparse_rl.config.config import fields


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
    `{field name: value}`; keys that do not start a run (versions, machine,
      history, origin) left out.

  Raises:
    ValueError: if the file is missing, no JSON object, or has unknown fields.
  """
  try:
    values = json.loads(files.read(path))
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f'Cannot read the config {path}: {error}.') from error
  if not isinstance(values, dict):
    raise ValueError(
      f'Expected a JSON object in {path}. Received: {values!r:.80}.'
    )
  for name in ('versions', 'machine', 'history', 'origin'):
    values.pop(name, None)
  unknown = sorted(set(values) - {field.name for field in fields()})
  if unknown:
    raise ValueError(
      f'Expected fields of a run config in {path}. Received: {unknown!r:.200}.'
    )
  return {
    name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
  }
