"""Checkpoints of a whole run: complete, verified, none overwritten.

A checkpoint is a directory: TensorFlow's own checkpoint of the agent
(networks, masks, slots, counters) and what goes with it, state.json, and
manifest.json, which is written last and has a SHA-256 of every file. The replay
is beside them in segments: each checkpoint adds one with the transitions that
are new, and names those it needs. Nothing in here is code.
"""

import hashlib
import json
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from tf_sparse_rl import files, runs

_FORMAT = 3
# Format 2 had two objects inside the agent: {name in it: name now}.
_INSIDE_AGENT = {'rollouts': 'rollouts', 'mask_histories': 'mask_history'}
_KEPT = 3


class CheckpointError(runs.RunsError):
  """No checkpoint can be used; the message says why and what to do."""


class Checkpoints:
  """Saves and restores one run's agent, replay and state."""

  def __init__(self, path, objects, buffer):
    """Names what is saved; nothing is written yet.

    Args:
      path: directory of the checkpoints.
      objects: `{name: tf.Module}`, or dicts of them, whose variables are saved:
        'agent' and whatever else `Agent.saved` and `Diagnoser.saved` name.
      buffer: what `replay.make` made.
    """
    self._path = pathlib.Path(path)
    self._objects = objects
    self._variables = tf.train.Checkpoint(**objects)
    self._buffer = buffer
    self._segments = []  # [{name, begin, end, sha256}], in order
    self._best = None  # {'env_step', 'return_mean'}

  def save(self, env_step, state):
    """Writes a checkpoint, then removes those that are no longer kept.

    Args:
      env_step: env steps so far, its name.
      state: dict of JSON types, given back by `restore`.

    Raises:
      OSError: if it cannot be written; earlier ones stay as they are.
      FloatingPointError: if a weight is NaN or infinite; nothing is written.
    """
    target = self._path / _name(env_step)
    if (target / 'manifest.json').exists():
      return  # What is complete is never touched.
    self._check_finite()
    self._path.mkdir(exist_ok=True)
    self._remove_unknown()
    self._add_segment()
    temporary = self._path / f'{target.name}.tmp'
    temporary.mkdir()
    self._variables.write(str(temporary / 'agent'))
    files.write_json(temporary / 'state.json', state)
    hashes = {p.name: _sha256(p) for p in sorted(temporary.iterdir())}
    for name in hashes:
      files.sync(temporary / name)
    files.sync(temporary)
    temporary.rename(target)
    files.sync(self._path)
    manifest = {
      'format': _FORMAT,
      'env_step': env_step,
      'num_added': self._buffer.num_added,
      'best': self._best,
      'files': hashes,
      'segments': self._segments,
    }
    manifest['sha256'] = _sha256_of_json(manifest)
    # The mark of a complete checkpoint.
    files.write_json(target / 'manifest.json', manifest)
    self._remove_old()

  def restore(self, log=print):
    """Loads the newest checkpoint that is whole.

    Args:
      log: function that tells a person what was found damaged.

    Returns:
      The `state` it was saved with, or None if there is no checkpoint.

    Raises:
      CheckpointError: if there are some and none can be used.
    """
    damaged, reasons = [], []
    for path in reversed(self._complete()):
      try:
        state = self._load(path)
      except _DamagedError as error:
        damaged.append(path)
        reasons.append(f'{path.name}: {error}')
        continue
      for other, reason in zip(damaged, reasons):
        log(f'A damaged checkpoint is set aside. {reason}.')
        aside = other.with_name(f'damaged_{other.name}')
        shutil.rmtree(aside, ignore_errors=True)
        other.rename(aside)
      return state
    if reasons:
      raise CheckpointError(
        f'None of the checkpoints in {self._path} can be used:\n  '
        + '\n  '.join(reasons)
        + '\nNothing was changed. Bring back a copy of them, or choose another '
        '--root_dir to start over.'
      )
    return None

  def evaluated(self, env_step, return_mean):
    """Keeps the checkpoint of this env step if it is the best so far."""
    if not (self._path / _name(env_step) / 'manifest.json').exists():
      return
    if self._best is None or return_mean > self._best['return_mean']:
      self._best = {'env_step': env_step, 'return_mean': return_mean}

  def _check_finite(self):
    modules = tf.nest.flatten(self._objects)
    for variable in (v for module in modules for v in module.variables):
      if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
        raise FloatingPointError(f'{variable.name} is NaN or infinite')

  def _add_segment(self):
    """Writes the transitions that no segment has yet."""
    begin = self._segments[-1]['end'] if self._segments else 0
    end = self._buffer.num_added
    begin = max(begin, end - self._buffer.capacity)
    if begin == end:
      return
    name = f'replay_{begin:012d}_{end:012d}.npy'
    with files.replacing(self._path / name) as file:
      np.save(file, self._buffer.rows(begin, end), allow_pickle=False)
    segment = {'name': name, 'begin': begin, 'end': end}
    segment['sha256'] = _sha256(self._path / name)
    oldest = end - self._buffer.capacity
    self._segments = [
      s for s in [*self._segments, segment] if s['end'] > oldest
    ]

  def _complete(self):
    """Directories of complete checkpoints, the oldest first."""
    found = self._path.glob('env_step_*/manifest.json')
    return sorted(path.parent for path in found)

  def _load(self, path):
    """Loads one checkpoint; only what has been verified reaches the run."""
    manifest = _read_manifest(path)
    try:
      if manifest['format'] not in (2, _FORMAT):
        raise _DamagedError(
          f'its format is {manifest["format"]}, where {_FORMAT} was expected: '
          'it is of another version of tf_sparse_rl'
        )
      segments = manifest['segments']
      hashes = {path / name: h for name, h in manifest['files'].items()}
      hashes |= {self._path / s['name']: s['sha256'] for s in segments}
      num_added, best = manifest['num_added'], manifest['best']
    except (KeyError, TypeError, AttributeError) as error:
      raise _DamagedError(f'manifest.json is not one: {error!r}') from error
    for file, expected in hashes.items():
      if not file.exists():
        raise _DamagedError(f'{file.name} is missing')
      if _sha256(file) != expected:
        raise _DamagedError(f'{file.name} is not as it was written')
    state = _read_json(path / 'state.json')
    try:
      self._buffer.restore(
        ((s['begin'], _read_rows(self._path / s['name'])) for s in segments),
        num_added,
      )
      for variables in _layouts(self._objects, manifest['format']):
        status = variables.read(str(path / 'agent'))
        status.assert_existing_objects_matched()
        status.expect_partial()  # Of a format before, it is read in pieces.
    except (ValueError, AssertionError, tf.errors.OpError) as error:
      raise _DamagedError(
        f'it does not fit this run ({str(error).splitlines()[0]})'
      ) from error
    self._segments, self._best = segments, best
    return state

  def _remove_old(self):
    complete = self._complete()
    kept = complete[-_KEPT:]
    if self._best:
      kept.append(self._path / _name(self._best['env_step']))
    for path in complete:
      if path not in kept:
        # First it stops being complete.
        (path / 'manifest.json').unlink()
    self._remove_unknown()

  def _remove_unknown(self):
    """Removes what no complete checkpoint needs: torn ones, old segments."""
    complete = self._complete()
    needed = set()
    for path in complete:
      try:
        manifest = _read_manifest(path)
      except _DamagedError:
        continue
      needed |= {segment['name'] for segment in manifest['segments']}
    for path in self._path.iterdir():
      if path.is_dir():
        if path not in complete and not path.name.startswith('damaged_'):
          shutil.rmtree(path)
      elif path.name not in needed:
        path.unlink()


def load_networks(path, checkpoint, evaluations, objects):
  """Reads the networks of a run, which may be training; writes nothing.

  Args:
    path: directory of the checkpoints.
    checkpoint: 'last', an env step, or 'best': that with the best evaluation
      of those that there are.
    evaluations: list of Evaluation of the run.
    objects: see Checkpoints; 'agent' at least.

  Returns:
    The env step of the checkpoint.

  Raises:
    CheckpointError: if there is no such checkpoint, or it is damaged.
  """
  path = pathlib.Path(path)
  for is_last_try in (False, False, True):
    env_step = _find(path, checkpoint, evaluations)
    try:
      _read_networks(path / _name(env_step), objects)
      return env_step
    except (_DamagedError, OSError) as error:
      # A run that trains removes old ones.
      if is_last_try:
        raise CheckpointError(
          f'{path / _name(env_step)} is damaged: {error}.'
        ) from error
  return None


def _find(path, checkpoint, evaluations):
  """The env step of a checkpoint that is there."""
  there = sorted(
    int(p.parent.name.removeprefix('env_step_'))
    for p in path.glob('env_step_*/manifest.json')
  )
  evaluated = [e for e in evaluations if e.env_step in there]
  if checkpoint == 'last' and there:
    return there[-1]
  if checkpoint == 'best' and evaluated:
    return max(evaluated, key=lambda e: e.return_mean).env_step
  if checkpoint in there and not isinstance(checkpoint, str):
    return checkpoint
  raise CheckpointError(
    "Expected checkpoint='last', 'best' (of those with an evaluation) or one "
    f'of the env steps {there} in {path}. Received: {checkpoint!r}.'
  )


def _read_networks(directory, objects):
  manifest = _read_manifest(directory)
  for name, expected in manifest['files'].items():
    if _sha256(directory / name) != expected:
      raise _DamagedError(f'{name} is not as it was written')
  try:
    for variables in _layouts(objects, manifest['format']):
      variables.read(str(directory / 'agent')).expect_partial()
  except (ValueError, tf.errors.OpError) as error:
    raise _DamagedError(str(error).splitlines()[0]) from error


def _layouts(objects, file_format):
  """Objects as a file of a format has them, in one or more pieces."""
  if file_format == _FORMAT:
    return [tf.train.Checkpoint(**objects)]
  inside = {
    old: objects[new] for old, new in _INSIDE_AGENT.items() if new in objects
  }
  return [
    tf.train.Checkpoint(agent=objects['agent']),
    tf.train.Checkpoint(agent=tf.train.Checkpoint(**inside)),
  ]


class _DamagedError(Exception):
  """A checkpoint cannot be used."""


def _name(env_step):
  return f'env_step_{env_step:012d}'


def _read_json(path):
  try:
    return json.loads(path.read_text('utf-8'))
  except (OSError, ValueError) as error:
    raise _DamagedError(f'{path.name} cannot be read: {error}') from error


def _read_manifest(path):
  manifest = _read_json(path / 'manifest.json')
  try:
    if manifest.pop('sha256') != _sha256_of_json(manifest):
      raise _DamagedError('manifest.json is not as it was written')
  except (KeyError, TypeError, AttributeError) as error:
    raise _DamagedError(f'manifest.json is not one: {error!r}') from error
  return manifest


def _read_rows(path):
  with open(path, 'rb') as file:
    return np.lib.format.read_array(file, allow_pickle=False)


def _sha256(path):
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while block := file.read(2**20):
      digest.update(block)
  return digest.hexdigest()


def _sha256_of_json(values):
  return hashlib.sha256(json.dumps(values).encode()).hexdigest()
