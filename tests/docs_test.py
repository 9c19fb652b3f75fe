"""The pages of docs/: marked code runs, generated pages and names are there.

A block after `<!-- run -->` is executed, one after `<!-- file: NAME -->` is
written to a file; the blocks of a page share a directory, in their order.
"""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

import tf_sparse_rl

_ROOT = pathlib.Path(__file__).parents[1]
_DOCS = _ROOT / 'docs'
_BLOCK = re.compile(
  r'^<!-- (run|file: (?P<file>\S+)) -->\n```(?P<kind>\w+)\n(?P<code>.*?)^```',
  re.DOTALL | re.MULTILINE,
)
_SHORT = {
  'num_env_steps': 400,
  'initial_collect_env_steps': 200,
  'hidden_units': (16, 16),
  'eval_period': 200,
  'checkpoint_period': 200,
  'num_eval_episodes': 2,
}
_LONGER = '--num_env_steps=150000'  # Of a run that goes on.


def _tool(name):
  """A module of docs/tools."""
  path = _DOCS / 'tools' / f'{name}.py'
  spec = importlib.util.spec_from_file_location(f'docs_{name}', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _blocks():
  """{page: its marked blocks, matches of _BLOCK}."""
  pages = [_ROOT / 'README.md', *sorted(_DOCS.rglob('*.md'))]
  found = {
    str(page.relative_to(_ROOT)): [*_BLOCK.finditer(page.read_text('utf-8'))]
    for page in pages
  }
  return {page: blocks for page, blocks in found.items() if blocks}


def _pages():
  """Pages as parameters; those that train or run commands are slow."""
  for page, blocks in _blocks().items():
    is_slow = any(
      block['kind'] != 'python' or 'tf_sparse_rl.train(' in block['code']
      for block in blocks
    )
    yield pytest.param(page, marks=[pytest.mark.slow] if is_slow else [])


def _shortened(code):
  """A block of a shell with less to train."""
  flags = [
    f'--{name}={str(value).strip("()").replace(" ", "")}'
    for name, value in _SHORT.items()
  ]
  lines = []
  for line in code.replace('\\\n', ' ').splitlines():
    if _LONGER in line:
      line = line.replace(_LONGER, '--num_env_steps=600')
    elif re.search(r'tf_sparse_rl\.(train|sweep) ', line):
      line += ' ' + ' '.join(flags)
    lines.append(line)
  return '\n'.join(lines)


def _run_shell(code, directory):
  paths = [str(pathlib.Path(sys.executable).parent), os.environ['PATH']]
  return subprocess.run(
    ['bash', '-euc', _shortened(code)],
    cwd=directory,
    env={
      **os.environ,
      'PATH': os.pathsep.join(paths),
      'PYTHONPATH': f'{directory}{os.pathsep}{_ROOT}',
    },
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize('page', _pages())
def test_marked_code_runs(page, tmp_path, monkeypatch):
  train = tf_sparse_rl.train
  monkeypatch.setattr(
    *(tf_sparse_rl, 'train'), lambda *a, **k: train(*a, **{**k, **_SHORT})
  )
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  if 'my_module' in (_ROOT / page).read_text('utf-8'):
    [module] = [b for b in _blocks()[_OWN_ENVIRONMENT] if b['file']]
    (tmp_path / 'my_module.py').write_text(module['code'], 'utf-8')
  names = {}
  for block in _blocks()[page]:
    if block['file']:
      (tmp_path / block['file']).write_text(block['code'], 'utf-8')
    elif block['kind'] == 'python':
      exec(compile(block['code'], page, 'exec'), names)
    else:
      done = _run_shell(block['code'], tmp_path)
      assert done.returncode == 0, (block['code'], done.stderr)
  for left in _LEFT.get(page, ()):
    assert list(tmp_path.glob(left)), left


_OWN_ENVIRONMENT = 'docs/guides/own_environment.md'
# What the blocks of a page leave behind.
_LEFT = {
  'docs/start/from_stable_baselines3.md': (
    *('runs/report/index.html', 'runs/goal/video/*.mp4'),
    'runs/exported/*.tflite',
  ),
  'docs/start/quickstart.md': ('runs/first/summary.json', 'exported/*.npz'),
  _OWN_ENVIRONMENT: ('runs/own/summary.json',),
}


def test_pages_to_be_run_are_many():
  assert len(_blocks()) >= 11
  assert set(_LEFT) <= set(_blocks())


def test_fields_tags_and_claims_are_up_to_date():
  pages = _tool('pages')
  made = {
    **pages.fields_pages(),
    **pages.tags_page(),
    **pages.results_page(),
  }
  assert len(made) == 6
  assert pages.outdated(made) == {}, 'python docs/tools/pages.py'


def test_commands_are_up_to_date():
  done = subprocess.run(
    [sys.executable, _DOCS / 'tools' / 'pages.py', '--check', 'commands'],
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert (done.returncode, done.stderr) == (0, '')


def test_public_names_are_described():
  hooks = _tool('hooks')
  described = set()
  for page in hooks._API_PAGES:
    text = (_DOCS / 'reference' / page).read_text('utf-8')
    described |= set(re.findall(r'^::: (\S+)$', text, re.MULTILINE))
  assert hooks.problems(described) == []
  rigl = 'tf_sparse_rl.sparsity.updaters.RigL'
  assert hooks.problems(described - {rigl}) == [
    'tf_sparse_rl.sparsity.RigL is on no page of the reference.'
  ]
  unknown = 'tf_sparse_rl.sparsity.updaters.Nothing'
  assert hooks.problems({*described, unknown}) == [
    f'{unknown} is described and does not exist.'
  ]


def _docstrings():
  """Yields (place, docstring) of all Python files of the repository."""
  for folder in ('tf_sparse_rl', 'tests', 'docs', 'examples'):
    for path in (_ROOT / folder).rglob('*.py'):
      for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        text = ast.get_docstring(node) if isinstance(node, kinds) else None
        if text:
          yield f'{path}: {getattr(node, "name", "module")}', text


def test_docstrings_say_what_a_thing_is_or_does():
  found = list(_docstrings())
  assert len(found) >= 1500
  riddles = re.compile(r'(What|Of|Who|See)\b')
  assert [place for place, text in found if riddles.match(text)] == []


def test_every_picture_has_its_command():
  page = (_DOCS / 'contributing' / 'figures.md').read_text('utf-8')
  for path in (_DOCS / 'figures').iterdir():
    assert path.name in page, path.name
  named = re.findall(r'python (docs/tools/\w+\.py)', page)
  assert named and all((_ROOT / name).exists() for name in named)


def test_rows_of_tables_have_as_many_cells_as_their_heads():
  num_rows = 0
  for page in [_ROOT / 'README.md', *_DOCS.rglob('*.md')]:
    text = page.read_text('utf-8')
    for table in re.findall(r'(?:^\|.*\|$\n?)+', text, re.MULTILINE):
      rows = [re.findall(r'(?<!\\)\|', row) for row in table.splitlines()]
      assert len({len(cells) for cells in rows}) == 1, (page, table)
      num_rows += len(rows)
  assert num_rows >= 500


def test_badges_are_those_of_setup_py():
  for name, svg in _tool('badges').badges().items():
    assert (_DOCS / 'figures' / name).read_text('utf-8') == svg


def test_pages_of_the_repository_are_in_the_navigation():
  navigation = (_ROOT / 'mkdocs.yml').read_text('utf-8').split('\nnav:\n')[1]
  listed = re.findall(r'[\w/]+\.md', navigation)
  pages = {
    str(path.relative_to(_DOCS))
    for path in _DOCS.rglob('*.md')
    if path.parent.name != 'tables'
  }
  assert sorted(listed) == sorted(pages)
