"""BUILD is the architecture diagram: it is held against the real imports."""

import ast
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = 'tf_sparse_rl'

# From the bottom up: a module imports from its own row or from those above.
_ROWS = (
  (
    'tf_sparse_rl',
    'version',
    'names',
    'quiet',
    'signals',
    'config',
    'seeds',
    'presets',
    'flags',
  ),
  ('native',),
  ('sparsity',),
  ('envs',),
  ('networks',),
  ('agents',),
  ('diagnostics',),
  ('training',),
  ('exporting',),
  ('sweeps',),
  ('benchmarks',),
  ('report',),
  ('train', 'evaluate', 'summarize', 'export', 'benchmark', 'sweep'),
)


def _targets():
  """{name: (rule, srcs, deps)} as BUILD states them."""
  targets = {}
  for node in ast.parse((_ROOT / 'BUILD').read_text('utf-8')).body:
    call = node.value
    values = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    assert values['name'] not in targets, values['name']
    targets[values['name']] = (
      call.func.id,
      values['srcs'],
      [dep.removeprefix(':') for dep in values.get('deps', [])],
    )
  return targets


def _name(path):
  """The target of a source file."""
  parts = path.relative_to(_ROOT).with_suffix('').parts
  if parts[-1] == '__init__':
    parts = parts[:-1]
  if parts[0] == _PACKAGE and len(parts) > 1:
    parts = parts[1:]
  return '/'.join(parts)


def _sources():
  files = [*_ROOT.glob('tf_sparse_rl/**/*.py'), *_ROOT.glob('tests/**/*.py')]
  return {_name(path): path for path in files}


def _imports(path):
  """The targets that a file imports, wherever in the file."""
  modules = set()
  for node in ast.walk(ast.parse(path.read_text('utf-8'))):
    if isinstance(node, ast.Import):
      modules.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        inner = f'{node.module}.{alias.name}'
        modules.add(inner if _file(inner) else node.module)
  return {
    _name(_file(module))
    for module in modules
    if module.split('.')[0] in (_PACKAGE, 'tests')
  }


def _file(module):
  """The file of a module of ours, or None."""
  base = _ROOT.joinpath(*module.split('.'))
  for path in (base.with_suffix('.py'), base / '__init__.py'):
    if path.exists():
      return path
  return None


def _row(name):
  top = name.split('/')[0]
  return next(i for i, row in enumerate(_ROWS) if top in row)


def test_every_source_is_a_target_of_its_own():
  targets, sources = _targets(), _sources()
  assert set(targets) == set(sources)
  for name, (rule, srcs, _) in targets.items():
    path = sources[name].relative_to(_ROOT)
    assert srcs == [str(path)], name
    is_test = path.name.endswith('_test.py')
    assert rule == ('py_test' if is_test else 'py_library'), name


@pytest.mark.parametrize('name', sorted(_targets()))
def test_deps_are_the_real_imports(name):
  assert _targets()[name][2] == sorted(_imports(_sources()[name]))


def test_imports_point_in_one_direction():
  upwards = [
    (name, dep)
    for name, (_, _, deps) in _targets().items()
    if not name.startswith('tests')
    for dep in deps
    if _row(dep) > _row(name)
  ]
  assert upwards == []


def test_no_module_imports_itself_through_others():
  targets = _targets()
  done = set()

  def visit(name, path):
    assert name not in path, (*path, name)
    if name not in done:
      for dep in targets[name][2]:
        visit(dep, (*path, name))
      done.add(name)

  for name in targets:
    visit(name, ())
