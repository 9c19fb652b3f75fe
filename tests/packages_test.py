"""Packages that are missing, and the commands that install them."""

import ast
import pathlib

import pytest

from tf_sparse_rl import packages

_ROOT = pathlib.Path(__file__).parents[1]
_DISTRIBUTIONS = {'ale_py': 'ale-py', 'cv2': 'opencv-python-headless'}


def _extras():
  """The extras of setup.py."""
  for node in ast.parse((_ROOT / 'setup.py').read_text('utf-8')).body:
    if isinstance(node, ast.Assign) and node.targets[0].id == '_EXTRAS':
      return ast.literal_eval(node.value)
  return None


def test_every_module_is_in_its_extra():
  extras = _extras()
  for module, extra in packages.EXTRAS.items():
    name = _DISTRIBUTIONS.get(module, module)
    assert any(name in requirement for requirement in extras[extra]), module


def test_versions_of_agents_are_those_of_the_lock():
  lock = (_ROOT / 'requirements.lock').read_text('utf-8')
  for requirement in packages.AGENTS:
    assert f'\n{requirement} ' in lock


def test_what_is_there_is_not_asked_for():
  assert packages.require('Testing', 'pytest', 'numpy') is None


@pytest.mark.parametrize(
  'missing, sentence',
  [
    (
      ['tf_agents'],
      'Training needs TF-Agents, which is not installed. To install it: python '
      '-m tf_sparse_rl.install_agents',
    ),
    (
      ['ray'],
      'Training needs Ray, which is not installed. To install it: pip install '
      "'tf_sparse_rl[sweep]'",
    ),
    (
      ['cv2', 'ale_py', 'ray', 'tf_agents'],
      'Training needs OpenCV, ale-py, Ray and TF-Agents, which are not '
      'installed. To install them: python -m tf_sparse_rl.install_agents && '
      "pip install 'tf_sparse_rl[atari,sweep]'",
    ),
  ],
)
def test_what_is_missing_is_told_with_a_command(monkeypatch, missing, sentence):
  monkeypatch.setattr(packages, 'is_installed', lambda m: m not in missing)
  with pytest.raises(packages.MissingError) as error:
    packages.require('Training', 'numpy', *missing)
  assert str(error.value) == sentence
