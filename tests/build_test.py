"""BUILD, which shows the architecture, agrees with the imports.

A target is a folder, or some modules of one role. Its deps are what it may
import, and no more than what it does import. Nobody edits BUILD for a new file.
"""

import ast
import functools
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_OURS = ('tf_sparse_rl', 'tests')
_MAX_LINES = 250


class _Target:
  """A py_library or py_test of BUILD."""

  def __init__(self, rule, values):
    self.is_test = {'py_library': False, 'py_test': True}[rule]
    self.name = ast.literal_eval(values['name'])
    self.deps = ast.literal_eval(values.get('deps', ast.List([])))
    self.data = _files(values.get('data', ast.List([])))
    self.files = _files(values['srcs'])


def _files(node):
  """The files of a list, of a glob, or of a sum of them."""
  if isinstance(node, ast.BinOp):
    return [*_files(node.left), *_files(node.right)]
  if isinstance(node, ast.List):
    return [_ROOT / name for name in ast.literal_eval(node)]
  assert node.func.id == 'glob', ast.unparse(node)
  excluded = {
    path
    for keyword in node.keywords
    for pattern in ast.literal_eval(keyword.value)
    for path in _ROOT.glob(pattern)
  }
  found = []
  for pattern in ast.literal_eval(node.args[0]):
    matches = sorted(set(_ROOT.glob(pattern)) - excluded)
    assert matches, f'No file in BUILD is {pattern}.'
    found += matches
  return found


@functools.cache
def _targets():
  """{name: target}, in the order of BUILD."""
  targets = {}
  for node in ast.parse((_ROOT / 'BUILD').read_text('utf-8')).body:
    call = node.value
    target = _Target(call.func.id, {k.arg: k.value for k in call.keywords})
    assert target.name not in targets, target.name
    targets[target.name] = target
  return targets


def _sources():
  return {path for top in _OURS for path in (_ROOT / top).rglob('*.py')}


def _owners(targets):
  """{file: name of its target}."""
  return {
    path: name for name, target in targets.items() for path in target.files
  }


@functools.cache
def _imports(path):
  """The files of ours that a file imports, wherever in it."""
  modules = set()
  for node in ast.walk(ast.parse(path.read_text('utf-8'))):
    if isinstance(node, ast.Import):
      modules.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, f'{path}: expected an absolute import.'
      for alias in node.names:
        inner = f'{node.module}.{alias.name}'
        modules.add(inner if _file(inner) else node.module)
  return {_file(module) for module in modules if module.split('.')[0] in _OURS}


def _file(module):
  """The file of a module of ours, or None."""
  base = _ROOT.joinpath(*module.split('.'))
  for path in (base.with_suffix('.py'), base / '__init__.py'):
    if path.exists():
      return path
  return None


def _expected_deps(target, targets):
  """The deps of a target by its imports, from the bottom up."""
  owners = _owners(targets)
  imported = {owners[path] for file in target.files for path in _imports(file)}
  return [f':{name}' for name in targets if name in imported - {target.name}]


def test_a_page_to_read():
  lines = (_ROOT / 'BUILD').read_text('utf-8').splitlines()
  assert len(lines) < _MAX_LINES


def _libraries_of_the_page():
  """{library: whether it has TensorFlow} by the page for contributors."""
  page = (_ROOT / 'docs/contributing/architecture.md').read_text('utf-8')
  rows = [line.split('|') for line in page.splitlines() if line[:1] == '|']
  return {
    name: row[3].strip() for row in rows[2:] for name in row[1].split('`')[1::2]
  }


def test_the_page_for_contributors_names_every_library():
  libraries = [n for n, target in _targets().items() if not target.is_test]
  libraries.remove('test_support')
  assert list(_libraries_of_the_page()) == libraries


def test_what_has_no_tensorflow_does_not_import_it():
  libraries = _libraries_of_the_page()
  modules = [
    '.'.join(path.relative_to(_ROOT).with_suffix('').parts)
    for name, target in _targets().items()
    if libraries.get(name) == 'no'
    for path in target.files
    if path.name != '__main__.py'
  ]
  code = (
    'import importlib, sys\n'
    f'for name in {modules}:\n'
    '  importlib.import_module(name)\n'
    "  assert 'tensorflow' not in sys.modules, name\n"
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=_ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr


def test_every_file_is_in_one_target():
  files = [path for target in _targets().values() for path in target.files]
  assert len(files) == len(set(files)), sorted(
    str(path) for path in set(files) if files.count(path) > 1
  )
  assert set(files) == _sources(), sorted(
    str(path) for path in set(files) ^ _sources()
  )


def test_test_files_are_in_py_tests():
  for target in _targets().values():
    for path in target.files:
      assert path.is_relative_to(_ROOT / 'tests') or not target.is_test, path
      assert target.is_test or not path.name.endswith('_test.py'), path


@pytest.mark.parametrize('name', sorted(_targets()))
def test_deps_are_the_real_imports(name):
  targets = _targets()
  target = targets[name]
  expected = _expected_deps(target, targets)
  missing = [dep for dep in expected if dep not in target.deps]
  unused = [dep for dep in target.deps if dep not in expected]
  assert target.deps == expected, (
    f'BUILD, {name}: missing {missing}, not imported {unused}. By the imports '
    f'it should say, from the bottom up: deps = {expected}'
  )


def test_imports_point_in_one_direction():
  targets = _targets()
  order = {name: i for i, name in enumerate(targets)}
  owners = _owners(targets)
  upwards = [
    f'{path.relative_to(_ROOT)} imports {imported.relative_to(_ROOT)}'
    for path, name in owners.items()
    for imported in _imports(path)
    if order[owners[imported]] > order[name]
  ]
  assert upwards == []


def test_the_package_does_not_import_tests():
  for path in _sources():
    if path.is_relative_to(_ROOT / 'tf_sparse_rl'):
      assert not [p for p in _imports(path) if 'tests' in p.parts], path


def test_no_module_imports_itself_through_others():
  imports = {path: _imports(path) for path in _sources()}
  done = set()

  def visit(path, way):
    assert path not in way, [str(p) for p in (*way, path)]
    if path not in done:
      for imported in imports[path]:
        visit(imported, (*way, path))
      done.add(path)

  for path in imports:
    visit(path, ())
