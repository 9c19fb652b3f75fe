"""The examples run, are short, and end with sparse networks."""

import ast
import json
import logging
import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest

from tf_sparse_rl import sparsity

_ROOT = pathlib.Path(__file__).parents[1]
_NETWORKS = {
  'keras_fit': {'model': 0.9},
  'custom_loop': {'model': 0.8},
  'tf_agents_dqn': {'layers': 0.8},
  'tf_agents_sac': {'actor': 0.8, 'critics': 0.8},
  'tf_agents_ppo': {'networks': 0.5},
  'prune_dense_checkpoint': {'model': 0.9},
  'custom_sparsities': {'blocks': 0.9, 'two_of_four': 0.5},
}


def test_every_example_has_a_line():
  there = {path.stem for path in (_ROOT / 'examples').glob('*.py')}
  assert there == set(_NETWORKS)


@pytest.mark.parametrize('name', _NETWORKS)
def test_example_runs(name, capsys):
  path = _ROOT / 'examples' / f'{name}.py'
  lines = path.read_text('utf-8').splitlines()
  assert len(lines) <= 65
  # Without the one TensorFlow chatters, without the other its Keras is 3.
  [quiet] = [i for i, line in enumerate(lines) if 'TF_CPP_MIN_LOG' in line]
  assert lines[quiet + 1].startswith('from tf_sparse_rl import sparsity')
  assert not any('tensorflow' in line for line in lines[:quiet])
  logger = logging.getLogger('tensorflow')
  level = logger.level
  values = runpy.run_path(str(path))
  logger.setLevel(level)  # Some silence it.
  out, errors = capsys.readouterr()
  assert 'FLOPs' in out
  assert 'WARNING' not in errors
  for network, target in _NETWORKS[name].items():
    size = zeros = 0
    for layer in sparsity.sparse_layers(values[network]):
      mask, kernel = layer.mask.numpy(), layer.kernel.numpy()
      assert not kernel[mask == 0].any()
      size, zeros = size + mask.size, zeros + np.sum(mask == 0)
    assert zeros / size == pytest.approx(target, abs=0.005)


def _code_cells(path='launch/colab.ipynb'):
  """(source, tags) of a notebook's code cells, in order."""
  text = (_ROOT / path).read_text('utf-8')
  return [
    (''.join(cell['source']), cell['metadata'].get('tags', []))
    for cell in json.loads(text)['cells']
    if cell['cell_type'] == 'code'
  ]


def _execute(code, cwd):
  return subprocess.run(
    [sys.executable, '-c', code],
    cwd=cwd,
    capture_output=True,
    text=True,
    check=False,
  )


def test_notebook_runs_up_to_its_install_cell(tmp_path):
  cells = _code_cells()
  [install] = [i for i, (_, tags) in enumerate(cells) if 'install' in tags]
  before = '\n'.join(source for source, _ in cells[:install])
  result = _execute(before, _ROOT / 'launch')
  assert result.returncode == 0, result.stderr
  assert result.stdout == f'repository: {_ROOT}\n'
  result = _execute(before, tmp_path)
  assert 'The repository is not here' in result.stderr


def test_the_rest_of_the_notebook():
  """Installed packages exist, its Keras cell runs, and flags are real."""
  cells = _code_cells()
  for source, _ in cells:
    ast.parse(source)
  sources = [source for source, _ in cells]
  for name in ('requirements.lock', 'setup.py'):
    assert (_ROOT / name).exists() and any(name in s for s in sources)
  names = {}
  exec(sources[-1].replace('verbose=2', 'verbose=0'), names)
  [first, last] = sparsity.sparse_layers(names['model'])
  assert first.mask.numpy().mean() < 0.2 and last.target_sparsity > 0


def test_the_notebook_from_python_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('MPLBACKEND', 'Agg')
  names, fewer = {}, 'num_eval_episodes=2, hidden_units=[32, 32]'
  for source, _ in _code_cells('examples/from_python.ipynb'):
    short = source.replace('6_000', '600')
    exec(short.replace('sparsity=0.9,', f'sparsity=0.9, {fewer},'), names)
  assert names['run'].config.hidden_units == (32, 32)
  assert len(names['results']) == 7 and len(names['watch'].returns) == 6
  assert names['run'].config.num_env_steps == 1200 and names['run'].is_finished
  assert -2000 < names['total'] < 0
