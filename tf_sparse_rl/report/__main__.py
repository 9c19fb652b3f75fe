"""Makes `python -m tf_sparse_rl.report` a command."""

import sys

from tf_sparse_rl.report import command

if __name__ == '__main__':
  sys.exit(command.run())
