"""Lists the commands, or executes one: `python -m tf_sparse_rl NAME`."""

import importlib
import sys

from tf_sparse_rl import names
from tf_sparse_rl.version import __version__

# In the order in which most people need them.
COMMANDS = {
  'train': 'trains one agent',
  'evaluate': 'plays episodes with the policy of a run',
  'sweep': 'trains many runs in parallel',
  'report': 'writes an HTML report on many runs',
  'export': 'exports a policy as SavedModel, TFLite, NPZ or ONNX',
  'summarize': 'prints a summary of the networks without training',
  'benchmark': 'measures training speed on this machine',
  'install_agents': 'installs TF-Agents, which training needs',
}


def text():
  """The list of commands and a first one to try."""
  width = max(map(len, COMMANDS))
  lines = [
    f'tf_sparse_rl {__version__}: sparse training of deep-RL agents in '
    'TensorFlow',
    '',
    'Usage: python -m tf_sparse_rl.COMMAND [--flag=value ...]',
    '',
    'Commands:',
    *(f'  {name.ljust(width)}  {does}' for name, does in COMMANDS.items()),
    '',
    'To begin:',
    '  python -m tf_sparse_rl.train          DQN with RigL on CartPole-v1',
    '  python -m tf_sparse_rl.train --help   its examples and flags',
  ]
  return '\n'.join(lines)


def run():
  """Entry point of the command."""
  word = sys.argv[1] if len(sys.argv) > 1 else '--help'
  if word in COMMANDS:  # As with a dot: python -m tf_sparse_rl.train
    del sys.argv[1]
    importlib.import_module(f'tf_sparse_rl.{word}').run()
  elif word in ('--help', '-h', '--helpshort', '--helpfull'):
    print(text())
  elif word == '--version':
    print(f'tf_sparse_rl {__version__}')
  else:
    print(f'error: {names.unknown("command", word, COMMANDS)}', file=sys.stderr)
    sys.exit(2)


if __name__ == '__main__':
  sys.exit(run())
