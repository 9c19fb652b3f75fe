"""README.md is short and says only what is true."""

import ast
import pathlib
import re
import subprocess

import pytest

from tf_sparse_rl import config, methods
from tf_sparse_rl.version import __version__

_ROOT = pathlib.Path(__file__).parents[1]
_README = (_ROOT / 'README.md').read_text('utf-8')
# Of pip, TensorBoard and absl.
_FOREIGN_FLAGS = {'config', 'help', 'version', 'dry-run', 'logdir'}
_TINY_RUN = (
  '--num_env_steps=300',
  '--initial_collect_env_steps=100',
  '--hidden_units=16,16',
  '--batch_size=8',
  '--num_eval_episodes=2',
)


def _pages():
  """{path: text} of README, CONTRIBUTING and the pages of docs/."""
  paths = [_ROOT / 'README.md', _ROOT / 'CONTRIBUTING.md']
  paths += (_ROOT / 'docs').rglob('*.md')
  found = {path: path.read_text('utf-8') for path in paths}
  return {p: text for p, text in found.items() if p.parent.name != 'tables'}


def _launch(*command):
  """Runs a launch script as a user would, in the environment it made."""
  if not (_ROOT / '.venv' / '.package').exists():
    pytest.skip('launch/test.sh has not made .venv here')
  return subprocess.run(
    command, cwd=_ROOT, capture_output=True, text=True, check=False
  )


def test_it_is_read_in_a_minute():
  assert len(_README) <= 12_000


def _anchors(text):
  """Anchors of the headings of a page."""
  text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
  headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
  words = [re.sub(r'[^\w\s-]', '', heading.lower()) for heading in headings]
  return {re.sub(r'[\s-]+', '-', word.strip()) for word in words}


def test_links_lead_somewhere():
  num_links = 0
  for path, text in _pages().items():
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
      if link.startswith('http'):
        continue
      target, _, anchor = link.partition('#')
      target = (path.parent / target).resolve() if target else path
      assert target.exists(), f'{path}: {link}'
      if anchor:
        assert anchor in _anchors(target.read_text('utf-8')), f'{path}: {link}'
      num_links += 1
  assert num_links >= 100


def test_every_script_and_module_named_is_there():
  for path, text in _pages().items():
    for name in set(re.findall(r'(?:launch|examples)/\w+\.\w+', text)):
      assert (_ROOT / name).exists(), (path, name)
    for name in set(re.findall(r'python -m tf_sparse_rl\.([a-z]\w*)', text)):
      places = [f'{name}.py', f'{name}/__main__.py', f'{name}/__init__.py']
      assert any((_ROOT / 'tf_sparse_rl' / p).exists() for p in places), name


def _declared_flags():
  """Names of the flags of all commands."""
  found = {field.name for field in config.fields()}
  for path in (_ROOT / 'tf_sparse_rl').glob('**/*.py'):
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
      is_call = isinstance(node, ast.Call) and isinstance(
        node.func, ast.Attribute
      )
      if is_call and node.func.attr.lower().startswith('define_'):
        if node.args and isinstance(node.args[0], ast.Constant):
          found.add(node.args[0].value)
  return found


def test_every_flag_in_a_command_exists():
  known = _declared_flags() | _FOREIGN_FLAGS
  for path, text in _pages().items():
    for command in re.findall(r'tf_sparse_rl\.\w+ (--[^`\n]*)', text):
      for name in re.findall(r'(?<!\S)--([a-z][\w-]*)', command):
        assert name in known, (path, name)


def test_every_method_and_agent_is_listed():
  for name in (*methods.METHODS, *config.AGENTS):
    assert f'`{name}`' in _README, name


def test_the_citation_is_of_this_version():
  text = (_ROOT / 'CITATION.cff').read_text('utf-8')
  assert f'\nversion: {__version__}\n' in text
  assert '\ncff-version: 1.2.0\n' in f'\n{text}'


def test_first_command_trains(tmp_path):
  result = _launch('launch/local.sh', f'--root_dir={tmp_path}/run', *_TINY_RUN)
  assert result.returncode == 0, result.stderr
  assert 'final return' in result.stdout
  assert (tmp_path / 'run' / 'summary.json').exists()
  assert result.stderr == ''


def test_second_command_tests():
  result = _launch('launch/test.sh', '-q', 'tests/text_table_test.py')
  assert result.returncode == 0, result.stdout
  assert ' passed' in result.stdout
