"""README.md says only what is true."""

import ast
import pathlib
import re
import subprocess

import numpy as np
import pytest

from tf_sparse_rl import config
from tf_sparse_rl.config import reference
from tf_sparse_rl.training import summaries

_ROOT = pathlib.Path(__file__).parents[1]
_README = (_ROOT / 'README.md').read_text('utf-8')
_TINY_RUN = (
  '--num_env_steps=300',
  '--initial_collect_env_steps=100',
  '--hidden_units=16,16',
  '--batch_size=8',
  '--num_eval_episodes=2',
)


def _section(title):
  return _README.split(f'\n## {title}\n')[1].split('\n## ')[0]


def _launch(*command):
  """Runs a launch script as a user would, in the environment it made."""
  if not (_ROOT / '.venv' / '.package').exists():
    pytest.skip('launch/test.sh has not made .venv here')
  return subprocess.run(
    command, cwd=_ROOT, capture_output=True, text=True, check=False
  )


def test_the_page_of_flags_is_as_the_fields_are():
  page = (_ROOT / 'docs' / 'flags.md').read_text('utf-8')
  assert page == reference.page(), 'python -m tf_sparse_rl.config.reference'


def test_every_tag_is_listed():
  pages = _README + (_ROOT / 'docs' / 'adaptive_sparsity.md').read_text('utf-8')
  for tag in summaries.TAGS:
    assert f'| `{tag}` |' in pages, tag


def test_pages_that_are_linked_are_there():
  links = re.findall(r'\]\((docs/[\w./]+\.md)\)', _README)
  assert len(links) >= 3
  for link in links:
    assert (_ROOT / link).exists(), link


def test_every_script_picture_and_module_named_is_there():
  for name in set(re.findall(r'launch/[\w.]+', _README)):
    assert (_ROOT / name).exists(), name
  for name in set(re.findall(r'\]\((testdata/[\w./]+)\)', _README)):
    assert (_ROOT / name).exists(), name
  for name in set(re.findall(r'python -m tf_sparse_rl\.(\w+)', _README)):
    places = [f'{name}.py', f'{name}/__main__.py']
    assert any((_ROOT / 'tf_sparse_rl' / p).exists() for p in places), name


def test_every_flag_in_a_command_exists():
  declared = set()
  for path in (_ROOT / 'tf_sparse_rl').glob('**/*.py'):
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
      is_call = isinstance(node, ast.Call) and isinstance(
        node.func, ast.Attribute
      )
      if is_call and node.func.attr.lower().startswith('define_'):
        if node.args and isinstance(node.args[0], ast.Constant):
          declared.add(node.args[0].value)
  declared |= {field.name for field in config.fields()}
  # `config` is declared by a constant; the last are those of pip and others.
  known = declared | {'config', 'help', 'version', 'dry-run', 'logdir'}
  assert set(re.findall(r'--([a-z][\w-]*)', _README)) <= known


def test_keras_example_runs():
  import tensorflow as tf

  [code] = re.findall(
    r'```python\n(.*?)```',
    _section('The sparse Keras layers, without RL'),
    re.S,
  )
  names = {
    'dense_model': tf.keras.Sequential(
      [
        tf.keras.layers.Dense(32, 'relu', input_shape=(8,)),
        tf.keras.layers.Dense(4, 'softmax'),
      ]
    ),
    'images': np.ones((16, 8), np.float32),
    'labels': np.arange(16) % 4,
  }
  exec(code.replace('epochs=10', 'epochs=2, verbose=0'), names)
  kernels = [w for w in names['small'].get_weights() if w.ndim == 2]
  active = sum(np.count_nonzero(kernel) for kernel in kernels)
  assert active <= 0.1 * sum(kernel.size for kernel in kernels) + 2


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
