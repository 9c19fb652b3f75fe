"""Installs TF-Agents, which plain pip cannot install beside TensorFlow 2.21."""

import importlib.metadata
import importlib.util
import shlex
import subprocess
import sys

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import packages

_HELP = run_flags.Help(
  'Installs TF-Agents into the environment of this Python.\n\n'
  'TF-Agents 0.19.0 runs with TensorFlow 2.21 but pins older versions of other '
  'packages, so it is installed without its requirements. They are installed '
  'already; `pip check` will list the pins.',
  'install_agents',
  {'Install TF-Agents': ''},
)


def main(argv):
  """Calls pip, unless everything is installed already."""
  del argv
  missing = [
    requirement for requirement in packages.AGENTS if not _is_there(requirement)
  ]
  if not missing:
    print(f'Installed already: {", ".join(packages.AGENTS)}.')
    return
  # No requirements: those that it states do not fit, others are there.
  arguments = ['install', '--no-deps', *missing]
  if not packages.is_installed('pip'):
    raise run_flags.UserError(
      f'This environment ({sys.prefix}) has no pip. With uv: '
      f'{shlex.join(["uv", "pip", *arguments])}'
    )
  command = [sys.executable, '-m', 'pip', *arguments]
  print(shlex.join(command), flush=True)
  if status := subprocess.run(command, check=False).returncode:
    raise run_flags.UserError(f'pip failed with exit code {status}.')
  print('Installed. To try it: python -m tf_sparse_rl.train')


def _is_there(requirement):
  """Whether a requirement 'name==version' is installed in that version."""
  name, _, version = requirement.partition('==')
  try:
    return importlib.metadata.version(name) == version
  except importlib.metadata.PackageNotFoundError:
    return False


def run():
  """Entry point of the command."""
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
