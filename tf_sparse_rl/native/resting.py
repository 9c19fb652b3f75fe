"""Values and checkpoints of variables that rest, without their tensors.

Between fused train steps kernels, masks and moments rest: see resting.cc. What
reads such a variable gives it its tensor again until the next train step. Here
each is written out alone, and rests on.
"""

import contextlib

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.python.ops import resource_variable_ops

from tf_sparse_rl import files
from tf_sparse_rl.native import library


def value(variable):
  """The value of a variable, a NumPy array that may be read-only.

  Args:
    variable: a variable of any kind.
  """
  if not _may_rest(variable):
    return variable.numpy()
  # Without another copy, which `numpy()` makes.
  value = library.loaded().tf_sparse_rl_peek(variable.handle)
  return np.asarray(memoryview(value))


def active(variable):
  """The entries of a variable that may be other than 0, a NumPy array.

  Args:
    variable: a variable of any kind. If it rests, the array is flat and has its
      active entries alone; else it is all of them.
  """
  if not _may_rest(variable):
    return variable.numpy()
  entries = library.loaded().tf_sparse_rl_peek_active(variable.handle)
  return np.asarray(memoryview(entries))


def bits(mask):
  """The ones of a mask as `np.packbits` of it has them, a uint8 array.

  Args:
    mask: a variable of any kind.
  """
  if not _may_rest(mask):
    return np.packbits(mask.numpy() != 0)
  return library.loaded().tf_sparse_rl_peek_bits(mask.handle).numpy()


def _may_rest(variable):
  return (
    library.loaded() is not None
    and isinstance(variable, resource_variable_ops.BaseResourceVariable)
    and variable.dtype == tf.float32
    and 'CPU' in variable.device
  )


def rest(kernels, masks):
  """Lets kernels and their masks rest, before there is a fused train step.

  What writes to them without reading them first needs `wake` before.

  Args:
    kernels: list of variables `[inputs, outputs]` on the CPU.
    masks: list of their masks.
  """
  if kernels:
    library.load().tf_sparse_rl_rest_kernels(
      [kernel.handle for kernel in kernels], [mask.handle for mask in masks]
    )


def wake(variables):
  """Gives variables their tensors, if they rest."""
  for variable in variables:
    variable.read_value()


def write(checkpoint, prefix):
  """Does what `checkpoint.write` does, with few dense rows at a time.

  If it fails, it may leave a directory `{prefix}_temp`, as TensorFlow does.

  Args:
    checkpoint: a `tf.train.Checkpoint`.
    prefix: path of the checkpoint, a str.
  """
  with _hidden():
    # TensorFlow knows all variables, and leaves out what has no value.
    awake = checkpoint.write(f'{prefix}_temp/awake')
    resting = {
      key: variable
      for key, variable in _variables(checkpoint, awake)
      if not variable.is_initialized()
    }
  library.load().tf_sparse_rl_save_resting(
    prefix,
    awake,
    [variable.handle for variable in resting.values()],
    keys=list(resting),
  )
  files.remove_directory(f'{prefix}_temp')


@contextlib.contextmanager
def _hidden():
  """Variables that rest have no value within the block."""
  library.hide_resting(True)
  try:
    yield
  finally:
    library.hide_resting(False)


def _variables(checkpoint, prefix):
  """Pairs of a key of a checkpoint and the variable that it stands for."""
  reader = tf.train.load_checkpoint(prefix)
  graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
    reader.get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH')
  )
  objects = dict(enumerate(tf.train.TrackableView(checkpoint).descendants()))
  for number, node in enumerate(graph.nodes):
    for slot in node.slot_variables:
      objects[slot.slot_variable_node_id] = objects[number].get_slot(
        objects[slot.original_variable_node_id], slot.slot_name
      )
  for number, node in enumerate(graph.nodes):
    for attribute in node.attributes:
      if not reader.has_tensor(attribute.checkpoint_key):
        yield attribute.checkpoint_key, objects[number]
