"""Memory that was freed, and may be given back to the system."""

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def give_back():
  """From here on what is freed goes back to the system at once.

  Networks are made, and their masks are updated, with dense tensors that are
  gone soon after. TensorFlow would keep their memory for others, of which fused
  train steps have none. To be called before TensorFlow allocates anything.
  """
  os.environ.setdefault('TF_ONEDNN_USE_SYSTEM_ALLOCATOR', '1')
  _set(_M_MMAP_THRESHOLD, 1 << 20)


def keep():
  """Undoes `give_back`, for train steps that make new tensors all the time."""
  _set(_M_MMAP_THRESHOLD, 32 << 20)
  _set(_M_TRIM_THRESHOLD, 512 << 20)


def _set(option, value):
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is not None:  # Not every C library has it.
    mallopt(option, value)
