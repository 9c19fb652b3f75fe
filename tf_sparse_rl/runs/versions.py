"""Versions of the software that a run is trained with."""

import importlib.metadata
import pathlib
import subprocess

from tf_sparse_rl.version import __version__

_PACKAGES = (
  'tensorflow',
  'tf-keras',
  'tf-agents',
  'tensorflow-model-optimization',
  'gymnasium',
  'numpy',
)


def installed():
  """Versions of this package, its commit and the packages it uses."""
  found = {'tf_sparse_rl': __version__, 'git_commit': _git_commit()}
  for package in _PACKAGES:
    found[package] = version(package)
  return found


def version(package):
  """Version of an installed package."""
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    # On a TPU VM TensorFlow is a package of another name.
    return importlib.metadata.version(f'{package}-tpu')


def _git_commit():
  """Commit of the source tree, or None outside of one."""
  try:
    result = subprocess.run(
      ['git', 'rev-parse', 'HEAD'],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      check=True,
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return result.stdout.strip()
