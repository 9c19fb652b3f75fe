"""The greedy policy as a TFLite model with sparse kernels."""

import pathlib
import tempfile

import tensorflow as tf

from tf_sparse_rl import quiet
from tf_sparse_rl.exporting import dense_layers
from tf_sparse_rl.exporting import policy as policy_lib

# Inputs of one unit that TFLite's sparse kernels take at once.
BLOCK_INPUTS = 4


def save(policy, path, sparse=True):
  """Writes a policy.

  The converter stores a Dense kernel in blocks of four inputs if that is
  smaller, and is then silently wrong if its inputs are no multiple of four. So
  they are made one. A convolution's kernel it stores without blocks; TFLite
  makes it dense again when it is loaded.

  Args:
    policy: a GreedyPolicy.
    path: of the file. Its signature is that of the SavedModel.
    sparse: whether zeros are left out; if not, for comparison.
  """
  if sparse:
    policy = dense_layers.padded(policy, BLOCK_INPUTS)
  path.write_bytes(convert(policy, sparse))


def convert(policy, sparse):
  """The bytes of a GreedyPolicy as it is; `save` says what that lacks."""
  with (
    tempfile.TemporaryDirectory() as directory,
    quiet.native_stderr_held_back(),
  ):
    path = pathlib.Path(directory) / 'policy'
    policy_lib.save(policy, path)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    if sparse:
      converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    return converter.convert()


def load(path):
  """A function: observations `[batch, ...]` -> dict of action and output."""
  runner = _interpreter(path).get_signature_runner('serving_default')
  return lambda observations: runner(observation=observations)


def one_call(path, observation):
  """A function without arguments: inference of an observation `[1, ...]`."""
  interpreter = _interpreter(path)
  [inputs] = interpreter.get_input_details()
  interpreter.set_tensor(inputs['index'], observation)
  return interpreter.invoke


def interpreter_class():
  """LiteRT's interpreter if it is installed, else the one in TensorFlow.

  TensorFlow's is to go. The converter has no other home yet.
  """
  try:
    from ai_edge_litert import interpreter
  except ImportError:
    return tf.lite.Interpreter
  return interpreter.Interpreter


def _interpreter(path):
  with quiet.native_stderr_held_back():
    interpreter = interpreter_class()(str(path), num_threads=1)
    interpreter.allocate_tensors()
  return interpreter
