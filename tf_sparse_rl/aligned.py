"""Arrays in memory that TensorFlow takes as it is."""

import math

import numpy as np

ALIGNMENT = 64  # Bytes: that of Eigen for AVX-512.


def empty(shape, dtype=np.float32):
  """An aligned array, not initialized.

  Args:
    shape: a tuple.
    dtype: of its entries.
  """
  dtype = np.dtype(dtype)
  size = dtype.itemsize * math.prod(shape)
  memory = np.empty(size + ALIGNMENT, np.uint8)
  first = -memory.ctypes.data % ALIGNMENT
  return memory[first : first + size].view(dtype).reshape(shape)


def of(array):
  """An array, or a copy of it that is contiguous, aligned and writable."""
  if array.flags.carray and not array.ctypes.data % ALIGNMENT:
    return array
  copy = empty(array.shape, array.dtype)
  copy[...] = array
  return copy
