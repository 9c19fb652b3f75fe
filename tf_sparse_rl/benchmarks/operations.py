"""Where the time of a TensorFlow call goes, by kind of operation."""

import collections
import pathlib
import re
import tempfile

import tensorflow as tf

# What the profiler writes; it has no other reader in TensorFlow itself.
from tensorflow.tsl.profiler.protobuf import xplane_pb2


def milliseconds(function, calls):
  """Time of each kind of operation, from TensorFlow's own profiler.

  Operations run side by side and being profiled costs time, so the sum is
  more than a call takes: read the shares.

  Args:
    function: what to call; it has been called before, so nothing is traced.
    calls: how often.

  Returns:
    `{kind: milliseconds a call}`, the largest first; kinds below 1 % of the
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
  """Pairs of (kind, picoseconds), one for each operation that ran."""
  for plane in space.planes:
    for line in plane.lines:
      for event in line.events:
        name = plane.event_metadata[event.metadata_id].name
        # 'name:Kind' are operations; 'a::b' and the like are TensorFlow's own.
        found = re.fullmatch(r'[^:]*:(\w+)', name)
        if found and not found[1].startswith('__inference'):
          yield found[1], event.duration_ps
