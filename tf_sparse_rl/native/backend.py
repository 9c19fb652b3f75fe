"""Decides between native kernels and masked dense matrices.

Native kernels are for graphs on the CPU. Everything else takes the masked
path: eager execution, other devices, XLA, what is being saved.
"""

import fcntl
import functools
import json
import sys

import tensorflow as tf
from tensorflow.python.ops import control_flow_util
from tensorflow.python.saved_model import save_context

from tf_sparse_rl.native import library, measure

BACKENDS = ('auto', 'masked', 'native')

_backend = 'auto'


def set_backend(name):
  """Chooses how sparse layers are computed in graphs traced from now on.

  Args:
    name: 'masked': dense matrices with zeros in them. 'native': C++ kernels
      that skip the zeros, wherever there are some. 'auto': whichever was
      faster on this machine for layers of these sizes and sparsities.

  Raises:
    ValueError: for another name, or 'native' where that cannot be had.
  """
  if name not in BACKENDS:
    raise ValueError(
      f'Expected one of {", ".join(BACKENDS)}. Received: {name!r}.'
    )
  if name == 'native' and library.load() is None:
    raise ValueError(
      f"{library.problem()} Received: 'native'; 'auto' goes without."
    )
  global _backend
  _backend = name


def current_backend():
  """The name given to `set_backend` last, at first 'auto'."""
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


@functools.cache
def _accelerators():
  """Devices to which a CPU kernel would make tensors travel."""
  return [d for d in tf.config.list_logical_devices() if d.device_type != 'CPU']


def is_native(batch, sizes, sparsities):
  """Whether native kernels are to be used for a run of layers.

  Args:
    batch: examples, or None if not known.
    sizes: units of the input and of each layer.
    sparsities: fraction of zeros of each layer.

  Returns:
    A bool; once it has been measured, the same from then on.
  """
  if _backend == 'native':
    return True
  # A network acts, with a batch that is not known, as it trains.
  return _faster(batch or _USUAL_BATCH, tuple(sizes), tuple(sparsities))


_USUAL_BATCH = 128


@functools.cache
def _faster(batch, sizes, sparsities):
  """Whether the native kernels were faster, from a file if it is known.

  Where nothing can be written, every process measures anew.
  """
  key = json.dumps([batch, sizes, [round(s, 4) for s in sparsities]])
  path = library.cache_dir() / 'faster.json'
  known = _read(path)
  if key in known:
    return known[key]
  try:
    with open(path.with_name('lock'), 'w', encoding='utf-8') as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      known = _read(path)
      if key not in known:
        known[key] = _measure(batch, sizes, sparsities)
        temporary = path.with_suffix('.tmp')
        temporary.write_text(json.dumps(known), 'utf-8')
        temporary.replace(path)
  except OSError as error:
    print(f'Which backend is faster cannot be kept: {error}', file=sys.stderr)
    if key not in known:
      known[key] = _measure(batch, sizes, sparsities)
  return known[key]


def _measure(batch, sizes, sparsities):
  with tf.init_scope():
    return measure.native_is_faster(batch, sizes, sparsities)


def _read(path):
  try:
    return json.loads(path.read_text('utf-8'))
  except FileNotFoundError:
    return {}
