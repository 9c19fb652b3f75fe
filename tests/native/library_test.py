"""Building the native kernels: once, whole or not at all, or not here."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.native import backend, library


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
  """A cache directory of the test's own, and nothing loaded yet."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.delenv('CXX', raising=False)
  library._load.cache_clear()
  yield
  library._load.cache_clear()


def _compiler(tmp_path, text):
  """A compiler that is a shell script; only `-dumpversion` works."""
  path = tmp_path / 'cxx'
  path.write_text(
    f'#!/bin/sh\ncase "$*" in *dumpversion*) echo 1; exit;; esac\n{text}\n'
  )
  path.chmod(0o755)
  return str(path)


def test_without_a_compiler_sparse_layers_are_masked(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setenv('PATH', str(tmp_path))
  assert library.load() is None
  assert 'no C++ compiler. Install one' in library.problem()
  assert capsys.readouterr().err.count('no C++ compiler') == 1
  with pytest.raises(
    ValueError, match="apt-get install g.*'auto' goes without"
  ):
    backend.set_backend('native')
  model = sparsity.sparsify(networks.dense_network(), 'rigl', 0.6)
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.legacy.Adam(), networks.updater('rigl'), model
  )
  step = tf.function(networks.train_step(model, optimizer), autograph=False)
  step(*networks.batch(model))
  assert int(optimizer.iterations) == 1
  kinds = {
    op.type
    for op in step.get_concrete_function(
      *networks.batch(model)
    ).graph.get_operations()
  }
  assert not any(kind.startswith('TfSparseRl') for kind in kinds)


@pytest.mark.parametrize(
  ('script', 'reason'),
  [
    ('echo "x.cc:1: error: no such thing" >&2; exit 1', 'error: no such thing'),
    ('exit 3', 'failed \\(3\\)'),
    # Killed while it writes its output.
    ('for out; do :; done; echo half > "$out"; kill -9 $$', 'failed \\(-9\\)'),
  ],
)
def test_a_compiler_that_fails_leaves_no_library(
  tmp_path, monkeypatch, script, reason
):
  monkeypatch.setenv('CXX', _compiler(tmp_path, script))
  assert library.load() is None
  assert re.search(reason, library.problem())
  left = [p.name for p in library.cache_dir().iterdir()]
  assert left == ['lock']


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
  (tmp_path / 'cache').write_text('in the way')
  assert library.load() is None
  assert 'they cannot be written' in library.problem()


_WRITES = (
  'while [ "$1" != -o ]; do shift; done; echo no library > "$2"; echo >> {}'
)


def test_a_library_that_cannot_be_loaded_is_said(tmp_path, monkeypatch):
  script = _WRITES.format(tmp_path / 'calls')
  monkeypatch.setenv('CXX', _compiler(tmp_path, script))
  assert library.load() is None
  assert 'libtf_sparse_rl.so: file too short' in library.problem()


def _truncated(path):
  os.truncate(path, 3)


def _flipped(path):
  path.write_bytes(path.read_bytes().replace(b'n', b'N'))


def _a_directory(path):
  path.unlink()
  path.mkdir()


@pytest.mark.parametrize(
  'name', ['libtf_sparse_rl.so', 'libtf_sparse_rl.sha256']
)
@pytest.mark.parametrize(
  'damage', [_truncated, _flipped, pathlib.Path.unlink, _a_directory]
)
def test_a_damaged_library_is_built_anew(tmp_path, monkeypatch, name, damage):
  script = _WRITES.format(tmp_path / 'calls')
  monkeypatch.setenv('CXX', _compiler(tmp_path, script))
  path = library._cached()
  content = path.read_bytes()
  count = len((tmp_path / 'calls').read_text())
  assert library._cached() == path
  if name.endswith('256') and damage is _flipped:
    damage = _truncated
  damage(path.with_name(name))
  assert library._cached() == path
  assert path.read_bytes() == content == b'no library\n'
  assert len((tmp_path / 'calls').read_text()) == 2 * count


def test_another_source_is_built_elsewhere(tmp_path, monkeypatch):
  try:
    before = library.cache_dir()
  except library.BuildError as error:
    pytest.skip(str(error))
  copy = tmp_path / 'native'
  shutil.copytree(library._SOURCES, copy)
  monkeypatch.setattr(library, '_SOURCES', copy)
  assert library.cache_dir() == before
  with open(copy / 'kernels.cc', 'a', encoding='utf-8') as file:
    file.write('\n')
  assert library.cache_dir() != before


@pytest.mark.slow
def test_two_processes_at_once_build_once(tmp_path):
  code = (
    'import tf_sparse_rl\n'
    'from tf_sparse_rl.native import library\n'
    'print(library.load() is not None, library.problem())\n'
  )
  root = str(pathlib.Path(library.__file__).parents[2])
  running = [
    subprocess.Popen(
      [sys.executable, '-c', code],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env={**os.environ, 'PYTHONPATH': root},
    )
    for _ in range(2)
  ]
  outputs = [process.communicate() for process in running]
  try:
    library.compiler()
  except library.BuildError as error:
    pytest.skip(str(error))
  assert [out for out, _ in outputs] == ['True None\n'] * 2, outputs
  assert sum(err.count('Building the native') for _, err in outputs) == 1
  # What is there now is found without building.
  [path] = (tmp_path / 'cache' / 'tf_sparse_rl').iterdir()
  assert {p.name for p in path.iterdir()} == {
    *('lock', 'libtf_sparse_rl.so', 'libtf_sparse_rl.sha256')
  }


@pytest.mark.parametrize('name', ['portable', 'avx2'])
def test_the_instruction_set_is_what_the_kernels_use(monkeypatch, name):
  monkeypatch.undo()  # What is built already serves.
  cpu = pathlib.Path('/proc/cpuinfo')
  if name != 'portable' and not (cpu.exists() and name in cpu.read_text()):
    pytest.skip(f'The CPU has no {name}.')
  if library.load() is None:
    pytest.skip(library.problem())
  code = (
    'import tf_sparse_rl\n'
    'from tf_sparse_rl.native import library\n'
    'print(library.instruction_set())\n'
  )
  result = subprocess.run(
    [sys.executable, '-c', code],
    cwd=pathlib.Path(library.__file__).parents[2],
    env={**os.environ, 'TF_SPARSE_RL_CPU': name},
    capture_output=True,
    text=True,
    check=True,
  )
  assert result.stdout == f'{name}\n'
  assert library.instruction_set() in [name for name, *_ in library.SETS]
