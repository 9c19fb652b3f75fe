"""The greedy policy as a TFLite model with sparse kernels."""

import pathlib
import tempfile

import tensorflow as tf

from tf_sparse_rl import quiet
from tf_sparse_rl.exporting import dense_layers
from tf_sparse_rl.exporting import policy as policy_lib

# Block size of TFLite's sparse kernels, in inputs of one unit.
BLOCK_INPUTS = 4


def save(policy, path, sparse=True):
  """Writes a policy.

  The converter stores a Dense kernel in blocks of four inputs if that is
  smaller, and is then silently wrong unless its inputs are a multiple of four,
  so they are padded. Convolution kernels are stored without blocks; TFLite
  converts them to dense ones at loading.

  Args:
    policy: a GreedyPolicy.
    path: of the file. Its signature is that of the SavedModel.
    sparse: whether to store sparse kernels; if false, for comparison.
  """
  if sparse:
    policy = dense_layers.padded(policy, BLOCK_INPUTS)
  path.write_bytes(convert(policy, sparse))


def convert(policy, sparse):
  """Converts a GreedyPolicy without padding; see `save`."""
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
  """Loads a function: observations `[batch, ...]` -> dict of action, output."""
  runner = _interpreter(path).get_signature_runner('serving_default')
  return lambda observations: runner(observation=observations)


def one_call(path, observation):
  """Makes a function of one inference of an observation `[1, ...]`."""
  interpreter = _interpreter(path)
  [inputs] = interpreter.get_input_details()
  interpreter.set_tensor(inputs['index'], observation)
  return interpreter.invoke


def interpreter_class():
  """The interpreter of LiteRT if it is installed, otherwise TensorFlow's.

  TensorFlow's is deprecated; the converter has no replacement yet.
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
