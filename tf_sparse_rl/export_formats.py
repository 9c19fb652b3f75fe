"""Formats of an exported policy, by name. No TensorFlow."""

from tf_sparse_rl import names, packages

NAMES = ('saved_model', 'tflite', 'npz', 'onnx')
DEFAULT = NAMES[:3]


def check(formats):
  """Refuses unknown formats and those whose packages are not installed.

  Args:
    formats: list of names.

  Raises:
    ValueError: for an unknown format.
    MissingError: if a package is not installed.
  """
  for name in formats:
    if name not in NAMES:
      raise ValueError(names.unknown('format', name, NAMES))
  if 'onnx' in formats:
    packages.require("The format 'onnx'", 'onnx', 'onnxruntime')
