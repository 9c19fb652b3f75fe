"""Checkpoints of a whole run: atomic, verified, never overwritten.

A checkpoint is a directory: TensorFlow's own checkpoint of the agent
(networks, masks, slots, counters), state.json, and
manifest.json, which is written last and has the SHA-256 of every file. The
replay buffer is saved beside them in segments: each checkpoint adds a segment
with the new transitions and lists those it needs. No file contains code.
"""

import contextlib
import pathlib
import re
import shutil
import tokenize
import types

import numpy as np
import tensorflow as tf
from google.protobuf import message

from tf_sparse_rl import files, runs
from tf_sparse_rl.native import resting
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.training import manifest as manifest_lib

# Format 2 had two objects inside the agent: {name there: name now}.
_INSIDE_AGENT = {'rollouts': 'rollouts', 'mask_histories': 'mask_history'}
_KEPT = 3
# Raised for files with the right hash that do not fit the run.
_MISFITS = (
  *(ValueError, TypeError, LookupError, AssertionError, RuntimeError),
  *(MemoryError, OverflowError, OSError, tokenize.TokenError),
  *(tf.errors.OpError, message.DecodeError),
)


class CheckpointError(runs.RunsError):
  """No checkpoint can be used; the message gives the reason and a remedy."""


@contextlib.contextmanager
def disk_errors():
  """Turns errors of TensorFlow's own writers into OSError within a block.

  A full disk is ResourceExhaustedError to them, a file over its limit
  OutOfRangeError, a broken disk UnknownError.
  """
  try:
    yield
  except tf.errors.OpError as error:
    # Without the name of the node.
    raise OSError(re.sub(r'^\{\{.*?\}\} ', '', error.message)) from error


class Checkpoints:
  """Saves and restores the agent, the replay buffer and the state of a run."""

  def __init__(self, path, objects, buffer, write=tf.train.Checkpoint.write):
    """Takes the objects to save; nothing is written yet.

    Args:
      path: directory of the checkpoints.
      objects: `{name: tf.Module}`, or dicts of them, whose variables are saved:
        'agent' and the others of `saved` of agent, diagnoser and learner.
      buffer: see `replay.make`.
      write: function of a `tf.train.Checkpoint` and the path of its files.
    """
    self._path, self._write = pathlib.Path(path), write
    self._objects = objects
    self._variables = tf.train.Checkpoint(**objects)
    self._buffer = buffer
    self._segments = []  # [{name, begin, end, sha256}], in order
    self._best = None  # {'env_step', 'return_mean'}

  def save(self, env_step, state):
    """Writes a checkpoint, then removes old ones.

    Args:
      env_step: env steps so far.
      state: dict of JSON types, returned by `restore`.

    Raises:
      OSError: if it cannot be written; earlier checkpoints are unchanged.
      FloatingPointError: if a weight is NaN or infinite; nothing is written.
    """
    target = self._path / manifest_lib.name_of(env_step)
    if (target / 'manifest.json').exists():
      return  # A complete checkpoint is never changed.
    self._check_finite()
    files.make_directory(self._path)
    self._refuse_links()
    self._remove_unknown()
    self._add_segment()
    temporary = self._path / f'{target.name}.tmp'
    temporary.mkdir()
    with disk_errors():
      self._write(self._variables, str(temporary / 'agent'))
    # TensorFlow goes on where it cannot remove it.
    files.remove_directory(temporary / 'agent_temp')
    files.write_json(temporary / 'state.json', state)
    hashes = {
      p.name: manifest_lib.sha256(p) for p in sorted(temporary.iterdir())
    }
    for name in hashes:
      files.sync(temporary / name)
    files.sync(temporary)
    _rename(temporary, target)
    files.sync(self._path)
    manifest = {
      'format': manifest_lib.FORMAT,
      'env_step': env_step,
      'num_added': self._buffer.num_added,
      'best': self._best,
      'files': hashes,
      'segments': self._segments,
    }
    manifest_lib.write(target, manifest)
    self._remove_old()

  def restore(self, log=print, parse=lambda state, env_step: state):
    """Loads the newest checkpoint that is not damaged.

    Args:
      log: function of a message on a damaged checkpoint.
      parse: function of (state, env step); it raises ValueError for an invalid
        state.

    Returns:
      The result of `parse`; None if there is no checkpoint.

    Raises:
      CheckpointError: if there are checkpoints and none can be used.
      LinkError: if there are links among them; nothing is changed.
    """
    self._refuse_links()
    damaged, reasons = [], []
    for path in reversed(self._complete()):
      try:
        state = self._load(path, parse)
      except manifest_lib.DamagedError as error:
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
        + '\nNothing was changed. Restore a copy of them, or choose another '
        '--root_dir to start over.'
      )
    return None

  def evaluated(self, env_step, return_mean):
    """Marks the checkpoint of an env step as the best, if it is."""
    name = manifest_lib.name_of(env_step)
    if not (self._path / name / 'manifest.json').exists():
      return
    if self._best is None or return_mean > self._best['return_mean']:
      self._best = {'env_step': env_step, 'return_mean': return_mean}

  def _check_finite(self):
    modules = tf.nest.flatten(self._objects)
    for variable in (v for module in modules for v in module.variables):
      if not variable.dtype.is_floating:
        continue
      if not np.isfinite(resting.active(variable)).all():
        raise FloatingPointError(f'{variable.name} is NaN or infinite')

  def _add_segment(self):
    """Writes the transitions that are not in a segment yet."""
    begin = self._segments[-1]['end'] if self._segments else 0
    end = self._buffer.num_added
    begin = max(begin, end - self._buffer.capacity)
    if begin == end:
      return
    name = manifest_lib.segment_name(begin, end)
    with files.replacing(self._path / name) as file:
      # Of a file NumPy would write itself, and not tell why that fails.
      part = types.SimpleNamespace(write=file.write)
      np.save(part, self._buffer.rows(begin, end), allow_pickle=False)
    segment = {'name': name, 'begin': begin, 'end': end}
    segment['sha256'] = manifest_lib.sha256(self._path / name)
    oldest = end - self._buffer.capacity
    self._segments = [
      s for s in [*self._segments, segment] if s['end'] > oldest
    ]

  def _refuse_links(self):
    """Raises LinkError for links with the names of our files."""
    files.refuse_links(self._path, *self._ours())

  def _ours(self):
    """Lists the entries of the directory with names of ours."""
    if not self._path.is_dir():
      return []
    return [p for p in self._path.iterdir() if manifest_lib.is_ours(p.name)]

  def _complete(self):
    """Lists the directories of complete checkpoints, the oldest first."""
    steps = run_dir.checkpoint_env_steps(self._path)
    return [self._path / manifest_lib.name_of(step) for step in steps]

  def _load(self, path, parse):
    """Loads one checkpoint, after its files have been verified."""
    manifest = manifest_lib.read(path)
    manifest_lib.check_files(path, manifest)
    values = manifest_lib.read_json(path / 'state.json')
    try:
      state = parse(values, manifest.env_step)
    except ValueError as error:
      raise manifest_lib.DamagedError(
        f'state.json is not one: {error}'
      ) from error
    segments = manifest.segments
    try:
      self._buffer.restore(
        ((s['begin'], _read_rows(self._path / s['name'])) for s in segments),
        manifest.num_added,
      )
      for variables in _layouts(self._objects, manifest.format):
        status = variables.read(str(path / 'agent'))
        status.assert_existing_objects_matched()
        status.expect_partial()  # Older formats are read in pieces.
    except _MISFITS as error:
      raise manifest_lib.DamagedError(
        f'it does not fit this run ({_first_line(error)})'
      ) from error
    self._segments, self._best = segments, manifest.best
    return state

  def _remove_old(self):
    complete = self._complete()
    kept = complete[-_KEPT:]
    if self._best:
      kept.append(self._path / manifest_lib.name_of(self._best['env_step']))
    for path in complete:
      if path not in kept:
        # First, so that it counts as incomplete.
        (path / 'manifest.json').unlink()
    self._remove_unknown()

  def _remove_unknown(self):
    """Removes incomplete checkpoints and segments that none needs.

    Only files with names of ours are removed.
    """
    complete = self._complete()
    needed = set()
    for path in complete:
      with contextlib.suppress(manifest_lib.DamagedError):
        needed |= {s['name'] for s in manifest_lib.read(path).segments}
    for path in self._ours():
      if path.is_dir():
        if path not in complete and not path.name.startswith('damaged_'):
          _remove_checkpoint(path)
      elif path.name not in needed:
        path.unlink()


def _rename(temporary, target):
  """Renames a directory; the target may exist with files of others."""
  if not target.is_dir():
    temporary.rename(target)
    return
  for part in temporary.iterdir():
    part.rename(target / part.name)
  files.sync(target)
  temporary.rmdir()


def _remove_checkpoint(path):
  """Removes an incomplete checkpoint, except files of others."""
  if path.name.endswith('.tmp'):
    shutil.rmtree(path)
    return
  for part in path.iterdir():
    if manifest_lib.is_part(part.name):
      part.unlink()
  if not any(path.iterdir()):
    path.rmdir()


def load_networks(path, checkpoint, evaluations, objects):
  """Loads the networks of a run, which may be training; writes nothing.

  Args:
    path: directory of the checkpoints.
    checkpoint: 'last', 'best' (by evaluations), or an env step.
    evaluations: list of Evaluation of the run.
    objects: see Checkpoints; 'agent' at least.

  Returns:
    The env step of the checkpoint.

  Raises:
    CheckpointError: if there is no such checkpoint, or it is damaged.
    ValueError: for a path that TensorFlow cannot read.
  """
  path = pathlib.Path(path)
  files.check_for_tensorflow(path)
  for is_last_try in (False, False, True):
    env_step = _find(path, checkpoint, evaluations)
    try:
      _read_networks(path / manifest_lib.name_of(env_step), objects)
      return env_step
    except manifest_lib.DamagedError as error:
      # The run may have removed it meanwhile.
      if is_last_try:
        raise CheckpointError(
          f'{path / manifest_lib.name_of(env_step)} is damaged: {error}.'
        ) from error
  return None


def _find(path, checkpoint, evaluations):
  """Finds the env step of a checkpoint."""
  there = run_dir.checkpoint_env_steps(path)
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
  manifest = manifest_lib.read(directory)
  manifest_lib.check_files(directory, manifest, segments=False)
  try:
    for variables in _layouts(objects, manifest.format):
      variables.read(str(directory / 'agent')).expect_partial()
  except _MISFITS as error:
    raise manifest_lib.DamagedError(_first_line(error)) from error


def _first_line(error):
  """The first line of an error, or its type if it has no message."""
  return (str(error).splitlines() or [type(error).__name__])[0]


def _layouts(objects, file_format):
  """Returns the objects of a file format, in one or more pieces."""
  if file_format == manifest_lib.FORMAT:
    return [tf.train.Checkpoint(**objects)]
  inside = {
    old: objects[new] for old, new in _INSIDE_AGENT.items() if new in objects
  }
  return [
    tf.train.Checkpoint(agent=objects['agent']),
    tf.train.Checkpoint(agent=tf.train.Checkpoint(**inside)),
  ]


def _read_rows(path):
  with files.open_to_read(path) as file:
    return np.lib.format.read_array(file, allow_pickle=False)
