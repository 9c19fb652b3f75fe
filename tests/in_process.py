"""Runs commands in the process of the tests, one after another.

A fork of its own takes seconds, most of them for what TensorFlow sets up once a
process. For many calls whose files are the matter; `forks` for all else.
"""

import importlib
import sys
import warnings
from unittest import mock

from absl import flags

from tf_sparse_rl import signals


def run(name, *words):
  """Runs a command.

  Args:
    name: of the command's module, as in 'train' or 'report.command'.
    *words: its arguments.

  Returns:
    Its exit status.
  """
  module = importlib.import_module(f'tf_sparse_rl.{name}')
  known, values = {*flags.FLAGS}, flags.FLAGS
  with (
    mock.patch.object(sys, 'argv', [name, *words]),
    mock.patch.object(signals, 'end_with_main_thread'),
    mock.patch.object(warnings, 'formatwarning', warnings.formatwarning),
  ):
    try:
      module.run()
    except SystemExit as ended:
      return ended.code or 0
    finally:
      values.unparse_flags()
      for flag in {*values} - known:
        delattr(values, flag)
  return 0
