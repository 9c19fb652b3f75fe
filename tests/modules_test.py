"""Custom code: found, not found, and failing."""

import os
import sys

import pytest

from tf_sparse_rl import modules


@pytest.fixture(autouse=True)
def _current_directory(tmp_path, monkeypatch):
  """An empty current directory, off the path as in a console script."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', [p for p in sys.path if p])
  before = {*sys.modules}
  yield
  for name in {*sys.modules} - before:
    if name.startswith('own_'):
      del sys.modules[name]


def test_a_module_is_found_in_the_current_directory(tmp_path):
  (tmp_path / 'own_first.py').write_text('class Thing:\n  size = 3\n')
  thing = modules.load('own_first:Thing', '--method')
  assert thing.size == 3
  assert thing.__module__ == 'own_first'


def test_a_module_in_a_package_on_the_path(tmp_path, monkeypatch):
  package = tmp_path / 'lib' / 'own_package'
  package.mkdir(parents=True)
  (package / '__init__.py').write_text('')
  (package / 'parts.py').write_text('def make():\n  return 4\n')
  monkeypatch.syspath_prepend(tmp_path / 'lib')
  assert modules.load('own_package.parts:make', '--network')() == 4
  assert modules.load_module('own_package', 'x').__name__ == 'own_package'


@pytest.mark.parametrize('raised', ['OSError(2, "x")', 'ValueError("x")'])
def test_what_custom_code_raises_is_told_as_its_own(tmp_path, raised):
  text = f'def score():\n  raise {raised}\n'
  (tmp_path / 'own_score.py').write_text(text)
  score = modules.load('own_score:score', '--method')
  with (
    pytest.raises(modules.UserCodeError, match='(?s)own_score failed:.* score'),
    modules.told(['own_score']),
  ):
    score()
  for names in ([], ['own_other']):
    with pytest.raises((OSError, ValueError)), modules.told(names):
      score()


def test_the_current_directory_is_added_once():
  modules.add_current_directory()
  modules.add_current_directory()
  assert sys.path[0] == os.getcwd()
  assert sys.path.count(os.getcwd()) == 1


@pytest.mark.parametrize(
  'name, expected',
  [
    (
      'own_secnd:Thing',
      "--method: Unknown module 'own_secnd'. Did you mean 'own_second'?",
    ),
    (
      'own_second:Thng',
      "Unknown name in .*own_second.py 'Thng'. Did you mean 'Thing'?",
    ),
    ('own_second.deep:Thing', "Unknown module 'own_second.deep'"),
    ('own_second', 'Expected --method as module:name, as in .*: .own_second'),
    ('own_second:', 'Expected --method as module:name'),
    (':Thing', "Expected a module in --method, as in .* Received: ''"),
    ('own/second:Thing', "Expected a module in --method.*'own/second'"),
    ('.own_second:Thing', 'Expected a module in --method'),
  ],
)
def test_what_is_not_there_is_told_in_one_line(tmp_path, name, expected):
  (tmp_path / 'own_second.py').write_text('class Thing:\n  pass\n')
  with pytest.raises(ValueError, match=expected) as error:
    modules.load(name, '--method')
  assert '\n' not in str(error.value)


def test_a_missing_module_says_where_was_looked(tmp_path):
  with pytest.raises(ValueError) as error:
    modules.load_module('own_nothing_like_it', '--env_name')
  assert f'current directory ({tmp_path}) and on PYTHONPATH' in str(error.value)


@pytest.mark.parametrize(
  'text, last',
  [
    (
      'import own_missing',
      "ModuleNotFoundError: No module named 'own_missing'",
    ),
    ('x = 1 / 0', 'ZeroDivisionError: division by zero'),
    ('x = = 1', 'SyntaxError: invalid syntax'),
  ],
)
def test_a_module_that_fails_keeps_its_traceback(tmp_path, text, last):
  (tmp_path / 'own_third.py').write_text(f'\n{text}\n')
  with pytest.raises(modules.UserCodeError) as error:
    modules.load('own_third:Thing', '--method')
  lines = str(error.value).splitlines()
  assert lines[0] == 'Importing own_third for --method failed:'
  assert 'own_third.py", line 2' in str(error.value)
  assert lines[-1] == last
  # No frame of ours, nor of importlib.
  assert 'modules.py' not in str(error.value)
  assert 'importlib' not in str(error.value)


def test_a_traceback_begins_with_the_users_first_frame():
  def own():
    modules.load('nothing', 'x')

  try:
    own()
  except ValueError as error:
    told = str(modules.user_code_error('own() failed', error))
  lines = told.splitlines()
  assert lines[:2] == ['own() failed:', 'Traceback (most recent call last):']
  assert __file__ in lines[2]
  assert lines[-1].startswith('ValueError: Expected x as module:name')
