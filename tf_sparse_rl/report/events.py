"""Reads scalars from TensorBoard's event files, without TensorFlow."""

import pathlib
import struct

import numpy as np
from google.protobuf import message
from tensorboard.compat.proto import event_pb2

from tf_sparse_rl import files, runs

# A record: its length, a checksum of that, the bytes, a checksum of these.
_LENGTH = struct.Struct('<QI')
_CHECKSUM_BYTES = 4


def scalars(directory):
  """Reads the scalars of `train/` or `eval/` of a run.

  Args:
    directory: of event files; it may be missing.

  Returns:
    `{tag: (steps, values)}`, arrays in order of the steps, without the points
    superseded by resuming from a checkpoint.

  Raises:
    RunsError: if a file cannot be read.
  """
  points = {}  # {tag: {step: value}}
  for path in sorted(pathlib.Path(directory).glob('events.out.tfevents.*')):
    for event in _events(path):
      if event.session_log.status == event.session_log.START:
        for values in points.values():
          for step in [s for s in values if s >= event.step]:
            del values[step]
      for value in event.summary.value:
        number = _number(value)
        if number is not None:
          points.setdefault(value.tag, {})[event.step] = number
  return {
    tag: tuple(np.array(x) for x in zip(*sorted(values.items())))
    for tag, values in sorted(points.items())
    if values
  }


def _events(path):
  """The events of a file, up to one that is damaged or not whole."""
  try:
    content = files.read(path)
  except OSError as error:
    raise runs.RunsError(f'Cannot read {path}: {error.strerror}.') from error
  begin = 0
  while begin + _LENGTH.size <= len(content):
    length, _ = _LENGTH.unpack_from(content, begin)
    begin += _LENGTH.size
    end = begin + length
    if end + _CHECKSUM_BYTES > len(content):
      return
    try:
      yield event_pb2.Event.FromString(content[begin:end])
    except message.DecodeError:
      return
    begin = end + _CHECKSUM_BYTES


def _number(value):
  """The float of a summary value, or None."""
  if value.WhichOneof('value') == 'simple_value':
    return value.simple_value
  tensor = value.tensor
  if value.metadata.plugin_data.plugin_name not in ('scalars', ''):
    return None
  if len(tensor.float_val) == 1:
    return tensor.float_val[0]
  if len(tensor.tensor_content) == 4:
    return float(np.frombuffer(tensor.tensor_content, '<f4')[0])
  return None
