"""Arrays in memory that TensorFlow takes as it is."""

import numpy as np
import pytest

from tf_sparse_rl import aligned


def _is_aligned(array):
  return array.ctypes.data % 64 == 0


@pytest.mark.parametrize('dtype', ['float32', 'int64', 'uint8'])
def test_arrays_are_aligned_and_as_asked_for(dtype):
  for shape in ((), (1,), (3, 5), (7, 11, 13)):
    found = aligned.empty(shape, dtype)
    assert (found.shape, found.dtype) == (shape, dtype)
    assert _is_aligned(found)
    assert found.flags.carray


def test_what_is_aligned_is_not_copied():
  array = aligned.empty((4, 5))
  assert aligned.of(array) is array


@pytest.mark.parametrize('how', ['shifted', 'strided', 'read-only'])
def test_the_rest_is_copied(how):
  array = aligned.empty((6, 16))
  array[...] = np.arange(96).reshape(6, 16)
  if how == 'shifted':
    array = array.ravel()[1:]
  elif how == 'strided':
    array = array.T
  else:
    array.flags.writeable = False
  copy = aligned.of(array)
  np.testing.assert_array_equal(copy, array)
  assert _is_aligned(copy)
  assert copy.flags.carray
  assert not np.shares_memory(copy, array)
