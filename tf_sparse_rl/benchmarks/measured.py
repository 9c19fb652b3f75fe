"""The JSON file of measurements, for figures and tables."""

import datetime
import json
import pathlib
import re
import shlex
import sys

from tf_sparse_rl import files

# The fields of a config that define the task.
_WORK = (
  *('agent', 'env_name', 'network', 'hidden_units', 'batch_size'),
  *('train_period', 'num_envs', 'width', 'sparsity'),
)


def add(path, config, what, result):
  """Adds a measurement to a file; it replaces an older one of its kind.

  Args:
    path: of the file, created if needed.
    config: the Config that was measured.
    what: 'training' or 'sparsity'.
    result: dict of JSON types, of `in_turn.measure` or `sparsities.measure`.
  """
  work = {name: getattr(config, name) for name in _WORK}
  entry = {
    'what': what,
    **work,
    'date': datetime.date.today().isoformat(),
    'command': command(sys.argv[1:]),
    **result,
  }
  found = read(path) if pathlib.Path(path).exists() else {}
  cores = len(result.get('pinned_cores') or ())
  key = [what, *map(_text, work.values()), f'{cores}-pinned']
  found['/'.join(key)] = entry
  files.write_json(path, dict(sorted(found.items())), indent=1)


def read(path):
  """Reads `{key: measurement}`.

  Raises:
    ValueError: if the file is missing or invalid.
  """
  try:
    found = json.loads(pathlib.Path(path).read_text('utf-8'))
    if all('what' in measurement for measurement in found.values()):
      return found
    problem = 'something else'
  except (OSError, ValueError, AttributeError, TypeError) as error:
    problem = str(error)
  raise ValueError(
    f'Expected {path} to hold what --results has written. Received: {problem}.'
  )


def command(arguments):
  """The command line of the measurement, with PYTHON for interpreters."""
  public = [
    re.sub(r'=[^,=]+(?=,|$)', '=PYTHON', argument)
    if argument.startswith('--peers=')
    else argument
    for argument in arguments
  ]
  return shlex.join(['python', '-m', 'tf_sparse_rl.benchmark', *public])


def _text(value):
  if isinstance(value, (tuple, list)):
    return '-'.join(map(str, value))
  return str(value).replace('/', '-')
