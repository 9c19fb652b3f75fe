"""The manifest of a checkpoint: names and hashes of its files.

Only files with these names are ever removed, and only files that also have the
hash in manifest.json are ever read.
"""

import dataclasses
import hashlib
import json
import re

from tf_sparse_rl import files, runs

FORMAT = 3
_FORMATS = (2, FORMAT)
_NUMBER = r'\d{12,13}'
_SEGMENT = re.compile(rf'replay_({_NUMBER})_({_NUMBER})\.npy')
_OURS = re.compile(
  rf'(damaged_)?env_step_{_NUMBER}(\.tmp)?|'
  rf'{_SEGMENT.pattern}(\.[0-9a-f]+\.tmp)?'
)
# In the directory of a checkpoint, complete or not.
_PARTS = re.compile(r'agent\..*|(state|manifest)\.json(\.[0-9a-f]+\.tmp)?')
_FILES = re.compile(r'agent\.index|agent\.data-\d{5}-of-\d{5}|state\.json')


class DamagedError(Exception):
  """A checkpoint cannot be used; the message has no full stop."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment(runs.Record):
  """A file with consecutive transitions of the replay buffer."""

  name: str
  begin: int  # number of its first transition
  end: int  # of the one after its last
  sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best(runs.Record):
  """The checkpoint with the best evaluation."""

  env_step: int
  return_mean: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest(runs.Record):
  """The content of manifest.json."""

  format: int
  env_step: int
  num_added: int  # transitions ever added to the replay buffer
  best: dict | None  # a Best
  files: dict[str, str]  # {name: SHA-256} of all files
  segments: list[dict]  # of Segment, in order


def name_of(env_step):
  """Name of the directory of a checkpoint."""
  return f'env_step_{env_step:012d}'


def segment_name(begin, end):
  """Name of the file of a segment."""
  return f'replay_{begin:012d}_{end:012d}.npy'


def is_ours(name):
  """Whether an entry of the checkpoints directory has a name of ours."""
  return _OURS.fullmatch(name) is not None


def is_part(name):
  """Whether an entry of one checkpoint's directory has a name of ours."""
  return _PARTS.fullmatch(name) is not None


def read(path):
  """Reads and checks the manifest of a checkpoint.

  Args:
    path: directory of the checkpoint.

  Returns:
    A Manifest.

  Raises:
    DamagedError: if it is damaged, or of an unknown version.
  """
  values = read_json(path / 'manifest.json')
  try:
    digest = values.pop('sha256')
    if digest != _sha256_of_json(values):
      raise DamagedError('manifest.json is not as it was written')
    if values.get('format') not in _FORMATS:
      raise DamagedError(
        f'its format is {values.get("format")!r:.80}, where {FORMAT} was '
        'expected: it is of another version of tf_sparse_rl'
      )
    manifest = Manifest.from_json(values)
    _check(manifest, path)
  except (KeyError, TypeError, AttributeError, ValueError) as error:
    raise DamagedError(f'manifest.json is not one: {error}') from error
  return manifest


def _check(manifest, path):
  """Raises ValueError for invalid values."""
  if name_of(manifest.env_step) != path.name:
    raise ValueError(f'it is of env step {manifest.env_step}')
  names = set(manifest.files)
  if not names >= {'agent.index', 'state.json'} or not all(
    map(_FILES.fullmatch, names)
  ):
    raise ValueError(
      f'Expected its own files. Received: {sorted(names)!r:.200}'
    )
  if manifest.best is not None:
    Best.from_json(manifest.best)
  for segment in map(Segment.from_json, manifest.segments):
    begin, end = segment.begin, segment.end
    if not 0 <= begin < end <= manifest.num_added or (
      segment.name != segment_name(begin, end)
    ):
      raise ValueError(f'Expected a segment. Received: {segment}')


def check_files(path, manifest, segments=True):
  """Verifies the files of a checkpoint.

  Args:
    path: directory of the checkpoint.
    manifest: its Manifest.
    segments: whether to verify the replay buffer too.

  Raises:
    DamagedError: if a file is missing or damaged.
  """
  hashes = {path / name: h for name, h in manifest.files.items()}
  if segments:
    hashes |= {path.parent / s['name']: s['sha256'] for s in manifest.segments}
  for file, expected in hashes.items():
    try:
      found = sha256(file)
    except FileNotFoundError as error:
      raise DamagedError(f'{file.name} is missing') from error
    except OSError as error:
      raise DamagedError(f'{file.name} cannot be read: {error}') from error
    if found != expected:
      raise DamagedError(f'{file.name} is not as it was written')


def sha256(path):
  """The SHA-256 of a file, hexadecimal; OSError if it cannot be read."""
  digest = hashlib.sha256()
  with files.open_to_read(path) as file:
    while block := file.read(2**20):
      digest.update(block)
  return digest.hexdigest()


def read_json(path):
  """Reads a JSON object; raises DamagedError for anything else."""
  try:
    values = json.loads(files.read(path))
  except (OSError, ValueError, RecursionError) as error:
    raise DamagedError(f'{path.name} cannot be read: {error}') from error
  if not isinstance(values, dict):
    raise DamagedError(
      f'{path.name} is not one: expected a JSON object, received {values!r:.80}'
    )
  return values


def write(path, values):
  """Writes manifest.json, which makes a checkpoint complete.

  Args:
    path: directory of the checkpoint.
    values: the fields of Manifest.
  """
  values = {**values, 'sha256': _sha256_of_json(values)}
  files.write_json(path / 'manifest.json', values)


def _sha256_of_json(values):
  return hashlib.sha256(json.dumps(values).encode()).hexdigest()
