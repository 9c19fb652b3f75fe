"""Writes an HTML report on many runs; see command.py."""

import sys

from tf_sparse_rl.report import command

if __name__ == '__main__':
  sys.exit(command.run())
