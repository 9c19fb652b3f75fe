"""Chooses between native kernels and masked dense matrices.

Native kernels work in graphs on the CPU. Eager execution, other devices, XLA
and SavedModels use masked matrices.
"""

import functools
import json
import math
import sys
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.ops import control_flow_util
from tensorflow.python.saved_model import save_context

from tf_sparse_rl import files, locks
from tf_sparse_rl.native import library, measure

BACKENDS = ('auto', 'masked', 'native', 'fused')

_backend = 'masked'


class Choice(NamedTuple):
  """The backend chosen for a stack of layers, and why."""

  is_native: bool
  # Of a train step of these layers; None: nothing was measured.
  masked_ms: float | None = None
  native_ms: float | None = None
  fused_ms: float | None = None


# {(sizes, sparsities): Choice}, of what was traced since `set_backend`.
_choices = {}
# Ways to compute a stack that are measured.
_WAYS = ('masked_ms', 'native_ms', 'fused_ms')
# {key of `_key`: milliseconds of these}, what choices were made by.
_measurements = {}


def set_backend(name, measurements=()):
  """Chooses how sparse layers are computed in graphs traced from now on.

  Args:
    name: 'masked': dense matrices with zeros. 'native': C++ kernels that skip
      zeros, for sparse layers. 'fused': the same, and whole train steps of our
      agents as one operation, see `fused`. 'auto': 'fused' or 'masked',
      whichever is faster on this machine for layers of these sizes and
      sparsities.
    measurements: result of `measurements` of an earlier run, whose choices are
      repeated without measuring.

  Raises:
    ValueError: for another name, or if 'native' or 'fused' is not available.
  """
  if name not in BACKENDS:
    raise ValueError(
      f'Expected one of {", ".join(BACKENDS)}. Received: {name!r}.'
    )
  if name in ('native', 'fused') and library.load() is None:
    raise ValueError(
      f"{library.problem()} Received: {name!r}; 'auto' goes without."
    )
  global _backend
  _backend = name
  _choices.clear()
  _measurements.clear()
  for each in measurements:
    key = _key(each['batch'], each['sizes'], each['sparsities'])
    _measurements[key] = [each[name] for name in _WAYS]


def current_backend():
  """The name given to `set_backend` last, at first 'masked'."""
  return _backend


def may_be_native():
  """Whether the graph that is being traced may have native kernels in it."""
  if _backend == 'masked' or not tf.inside_function():
    return False
  graph = tf.compat.v1.get_default_graph()
  return (
    graph.name != 'keras_graph'  # Where Keras finds out shapes only.
    and not tf.distribute.has_strategy()  # Variables of it have no handle.
    and not save_context.in_save_context()
    and not control_flow_util.GraphOrParentsInXlaContext(graph)
    and not _accelerators()
    and library.load() is not None
  )


def prepare():
  """Loads the kernels if they may be used; call it before creating variables.

  A TensorFlow function reads variables with the kernels that are registered
  when it runs for the first time.
  """
  if _backend != 'masked':
    library.load()


def may_be_fused():
  """Whether a train step that is made now may be one native operation."""
  return (
    _backend in ('auto', 'fused')
    and not tf.distribute.has_strategy()
    and not _accelerators()
    and library.load() is not None
  )


@functools.cache
def _accelerators():
  """Devices that would copy tensors to the CPU and back for a CPU kernel."""
  return [d for d in tf.config.list_logical_devices() if d.device_type != 'CPU']


def is_native(batch, sizes, sparsities):
  """Whether native kernels are to be used for a stack of layers.

  Args:
    batch: examples, or None if not known.
    sizes: units of the input and of each layer; of convolutions what
      `conv_sizes.sizes_of` returns.
    sparsities: fraction of zeros of each layer.

  Returns:
    A bool; once it has been measured, the same from then on.
  """
  key = tuple(sizes), tuple(sparsities)
  choice = Choice(True)
  if _backend == 'auto':
    # A network acts, with a batch that is not known, as it trains.
    masked_ms, native_ms, fused_ms = _measured(batch or _USUAL_BATCH, *key)
    choice = Choice(native_ms < masked_ms, masked_ms, native_ms, fused_ms)
  if batch or key not in _choices:
    _choices[key] = choice
  return choice.is_native


def are_fused(batch, networks):
  """Whether one operation is to compute a train step, where `may_be_fused`.

  Args:
    batch: examples.
    networks: pairs of sizes and sparsities, see `is_native`.
  """
  if _backend != 'auto':
    return _backend == 'fused'
  for network in networks:
    is_native(batch, *network)
  choices = [choice(*network) for network in networks]
  return sum(c.fused_ms for c in choices) < sum(c.masked_ms for c in choices)


def choice(sizes, sparsities):
  """The last Choice for a stack of layers since `set_backend`.

  Args:
    sizes: see `is_native`.
    sparsities: see `is_native`.

  Returns:
    A Choice; masked if such a stack was never asked for.
  """
  return _choices.get((tuple(sizes), tuple(sparsities)), Choice(False))


def measurements():
  """The timings behind the choices of 'auto' since `set_backend`, as dicts."""
  found = []
  for key, milliseconds in _measurements.items():
    batch, sizes, sparsities = json.loads(key)
    found.append(
      {
        **{'batch': batch, 'sizes': sizes, 'sparsities': sparsities},
        **dict(zip(_WAYS, milliseconds)),
      }
    )
  return found


_USUAL_BATCH = 128


def _measured(batch, sizes, sparsities):
  """[masked, native, fused] milliseconds, of this run or of this machine."""
  key = _key(batch, sizes, sparsities)
  if key not in _measurements:
    _measurements[key] = _of_machine(batch, sizes, sparsities)
  return _measurements[key]


def _key(batch, sizes, sparsities):
  return json.dumps([batch, [*sizes], [round(s, 4) for s in sparsities]])


@functools.cache
def _of_machine(batch, sizes, sparsities):
  """[masked, native, fused] milliseconds, from a file if they are known.

  If the file cannot be read or written, every process measures again.
  """
  key = _key(batch, sizes, sparsities)
  path = library.cache_dir() / 'milliseconds.json'
  known = _read(path)
  if key in known:
    return known[key]
  try:
    with locks.held(path.with_name('lock')):
      known = _read(path)
      if key not in known:
        known[key] = _measure(batch, sizes, sparsities)
        files.write_json(path, known)
  except OSError as error:
    print(f'Timings of backends cannot be saved: {error}', file=sys.stderr)
    if key not in known:
      known[key] = _measure(batch, sizes, sparsities)
  return known[key]


def _measure(batch, sizes, sparsities):
  with tf.init_scope():
    seconds = measure.seconds(batch, sizes, sparsities)
  return [round(1000 * each, 4) for each in seconds]


def _read(path):
  """Reads the timings, `{key: milliseconds}`, without damaged ones."""
  try:
    values = json.loads(files.read(path))
  except (OSError, ValueError, RecursionError):
    return {}
  if not isinstance(values, dict):
    return {}
  return {key: ms for key, ms in values.items() if _are_milliseconds(ms)}


def _are_milliseconds(values):
  return (
    isinstance(values, list)
    and len(values) == len(_WAYS)
    and all(type(each) is float and 0 < each < math.inf for each in values)
  )
