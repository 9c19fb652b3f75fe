"""The time of a TensorFlow call, by kind of operation."""

import collections
import pathlib
import re
import tempfile

import tensorflow as tf

# The format of the profiler; TensorFlow has no other reader of it.
from tensorflow.tsl.profiler.protobuf import xplane_pb2


def milliseconds(function, calls):
  """Time of each kind of operation, by TensorFlow's profiler.

  Operations overlap and profiling takes time, so the sum exceeds the time of a
  call: compare the fractions.

  Args:
    function: to call; it must have been traced already.
    calls: number of calls.

  Returns:
    `{kind: milliseconds per call}`, the largest first; kinds below 1 % of the
    sum are under 'other'.
  """
  with tempfile.TemporaryDirectory() as path:
    with tf.profiler.experimental.Profile(path):
      for _ in range(calls):
        function()
    [file] = pathlib.Path(path).glob('**/*.xplane.pb')
    space = xplane_pb2.XSpace.FromString(file.read_bytes())
  sums = collections.Counter()
  for kind, picoseconds in _operations(space):
    sums[kind] += picoseconds / 1e9 / calls
  small = sum(sums.values()) / 100
  result = {kind: ms for kind, ms in sums.most_common() if ms >= small}
  result['other'] = sum(sums.values()) - sum(result.values())
  return {kind: round(ms, 4) for kind, ms in result.items()}


def _operations(space):
  """Lists (kind, picoseconds) of the executed operations."""
  for plane in space.planes:
    for line in plane.lines:
      for event in line.events:
        name = plane.event_metadata[event.metadata_id].name
        # 'name:Kind' are operations; 'a::b' and the like are TensorFlow's own.
        found = re.fullmatch(r'[^:]*:(\w+)', name)
        if found and not found[1].startswith('__inference'):
          yield found[1], event.duration_ps
