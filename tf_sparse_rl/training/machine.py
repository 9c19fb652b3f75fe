"""Sets TensorFlow up for this machine."""

import tensorflow as tf

from tf_sparse_rl.native import backend


def configure(config):
  """Sets threads and determinism, before TensorFlow runs anything.

  Args:
    config: a Config.

  Raises:
    ValueError: if it wants native kernels, and there are none.
  """
  if config.intra_op_threads:
    tf.config.threading.set_intra_op_parallelism_threads(
      config.intra_op_threads
    )
  if config.inter_op_threads:
    tf.config.threading.set_inter_op_parallelism_threads(
      config.inter_op_threads
    )
  for gpu in tf.config.list_physical_devices('GPU'):
    # Several runs share a GPU in a sweep.
    tf.config.experimental.set_memory_growth(gpu, True)
  # XLA cannot compile them.
  backend.set_backend('masked' if config.jit_compile else config.backend)
