"""A corpus of damaged and hostile run directories, made from a seed.

    python -m tests.damaged_runs

writes it to testdata/damaged_runs.jsonl, a case a line: what is done to which
file of a finished run. `apply` does it.
"""

import copy
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shutil

_PATH = pathlib.Path(__file__).parents[1] / 'testdata' / 'damaged_runs.jsonl'
_SEED = 20_261_128
# The finished run of testdata/old_runs.
_CHECKPOINT = 'checkpoints/env_step_000000000400'
_FILES = (
  *('config.json', 'summary.json', 'results.jsonl', 'noise.jsonl', '.lock'),
  *(f'{_CHECKPOINT}/{name}' for name in ('manifest.json', 'state.json')),
  f'{_CHECKPOINT}/agent.index',
  f'{_CHECKPOINT}/agent.data-00000-of-00001',
  'checkpoints/replay_000000000360_000000000400.npy',
  'policy/saved_model.pb',
  'policy/variables/variables.index',
  'policy/variables/variables.data-00000-of-00001',
)
_DIRECTORIES = (
  *('checkpoints', _CHECKPOINT, 'policy', 'policy/variables'),
  *('train', 'eval', 'video'),
)
_JSON = tuple(name for name in _FILES if name.endswith(('.json', '.jsonl')))
_TEXTS = ('', '[]', 'null', '7', '"x"', '{}', '{"a": ', '\xff\xfe', '[' * 5000)
_VALUES = (
  *(None, True, -1, 0, 1.5, 10**13, 10**400, 1e308, float('nan')),
  *(float('-inf'), '', 'x', '../../x', '\ud800', '\x1b[2J', '=1+1', '<b>$x$'),
  *([], [None], [[]], {}, {'a': [1]}),
)
# In the place of names that are followed, whatever they lead to.
_OUTSIDE = ('{outside}/file', '{outside}/directory', '{outside}/nothing')


@dataclasses.dataclass(frozen=True)
class Case:
  """One damage of one file."""

  name: str  # of the run's directory
  path: str  # in it
  how: str  # see `apply`
  value: object = None


def make(seed=_SEED):
  """The corpus, a list of Case."""
  rng = random.Random(seed)
  found = []

  def add(path, how, value=None):
    found.append(Case(f'{len(found):03d}_{how}', path, how, value))

  for path in _FILES:
    for how in ('remove', 'directory', 'pipe', 'zeros'):
      add(path, how)
    add(path, 'truncate', rng.random())
    add(path, 'flip', [rng.random() for _ in range(3)])
    for target in (*_OUTSIDE, '/dev/zero'):
      add(path, 'link', target)
  for path in _DIRECTORIES:
    for how in ('remove', 'file', 'pipe'):
      add(path, how)
    for target in _OUTSIDE:
      add(path, 'link', target)
  for path in _JSON:
    for text in _TEXTS:
      add(path, 'text', text)
    for _ in range(24):
      add(path, 'field', [rng.random(), rng.choice(_VALUES)])
  return found


def load():
  """The corpus as it stands in testdata, a list of Case."""
  lines = _PATH.read_text('utf-8').splitlines()
  return [Case(**json.loads(line)) for line in lines]


def apply(case, run, outside):
  """Damages a run.

  Args:
    case: a Case.
    run: directory of the finished run, a Path.
    outside: a Path of what links lead to.
  """
  path, value = run / case.path, case.value
  if case.how in ('zeros', 'truncate', 'flip'):
    content = bytearray(path.read_bytes() if path.exists() else b'')
    path.write_bytes(_damaged(case, content))
  elif case.how == 'text':
    path.write_bytes(value.encode('latin-1'))
  elif case.how == 'field':
    _change_field(path, *value)
  else:
    _remove(path)
    if case.how == 'directory':
      path.mkdir()
    elif case.how == 'file':
      path.write_bytes(b'')
    elif case.how == 'pipe':
      os.mkfifo(path)
    elif case.how == 'link':
      path.symlink_to(value.format(outside=outside))


def _remove(path):
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def _damaged(case, content):
  size = len(content)
  if case.how == 'zeros':
    return bytes(size)
  if case.how == 'truncate':
    return content[: int(case.value * size)]
  for share in case.value if size else ():
    content[int(share * size)] ^= 255
  return content


def _change_field(path, share, value):
  """Replaces one value somewhere in a JSON file, hashes included."""
  if not path.exists():
    path.write_text('{"noise_std": 1.0, "return_mean": 2.0}\n')
  first, *rest = path.read_text('utf-8').splitlines(keepends=True)
  is_lines = path.suffix == '.jsonl'
  values = json.loads(first if is_lines else first + ''.join(rest))
  places = _places(values)
  owner, key = places[int(share * len(places))]
  owner[key] = copy.deepcopy(value)
  if path.name == 'manifest.json':
    values.pop('sha256', None)
    values['sha256'] = _digest(json.dumps(values).encode())
  text = json.dumps(values) + '\n' + (''.join(rest) if is_lines else '')
  path.write_text(text, 'utf-8')
  if path.name == 'state.json':
    _rehash(path)


def _places(values):
  """All (container, key) below a JSON value."""
  found = []
  items = values.items() if isinstance(values, dict) else enumerate(values)
  for key, value in items:
    found.append((values, key))
    if isinstance(value, dict | list):
      found += _places(value)
  return found


def _rehash(state):
  """Makes the manifest beside it say what state.json now is."""
  path = state.with_name('manifest.json')
  manifest = json.loads(path.read_text('utf-8'))
  manifest.pop('sha256')
  manifest['files']['state.json'] = _digest(state.read_bytes())
  manifest['sha256'] = _digest(json.dumps(manifest).encode())
  path.write_text(json.dumps(manifest), 'utf-8')


def _digest(content):
  return hashlib.sha256(content).hexdigest()


def to_lines(cases):
  """The corpus as a file has it."""
  return ''.join(json.dumps(dataclasses.asdict(c)) + '\n' for c in cases)


if __name__ == '__main__':
  _PATH.write_text(to_lines(make()), 'utf-8')
