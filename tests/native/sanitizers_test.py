"""Tests of the operations again, with sanitizers, compilers and CPUs in turn.

Buffers of TensorFlow's tensors are the sanitizer's, so it sees whoever reads
or writes beyond them.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tf_sparse_rl.native import library

_HERE = pathlib.Path(__file__).parent
_TESTS = ('fused', 'fused_images', 'fused_ppo', 'conv', 'stacks', 'updates')
_SANITIZE = '-fsanitize=address,undefined -fno-sanitize-recover=all -g1'
# Flags, and the libraries that come first in the process, of each compiler.
_COMPILERS = {
  # With checks of null pointers GCC 12 refuses Abseil's constant expressions.
  'g++': (
    '-fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute,alignment',
    ('libasan.so', 'libubsan.so'),
  ),
  'clang++': ('-shared-libasan', ('libclang_rt.asan-x86_64.so',)),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name, _, _ in library.SETS])
@pytest.mark.parametrize('compiler', _COMPILERS)
def test_operations_pass_their_tests_with_sanitizers(
  compiler, name, tmp_path_factory
):
  if shutil.which(compiler) is None:
    pytest.skip(f'There is no {compiler}.')
  flags, names = _COMPILERS[compiler]
  libraries = [
    subprocess.check_output(
      [compiler, f'-print-file-name={n}'], text=True
    ).strip()
    for n in names
  ]
  # Built once for all instruction sets.
  cache = tmp_path_factory.getbasetemp() / f'cache_{compiler}'
  environment = {
    **os.environ,
    'XDG_CACHE_HOME': str(cache),
    'CXX': compiler,
    'CXXFLAGS': f'{_SANITIZE} {flags}',
    'TF_SPARSE_RL_CPU': name,
    'LD_PRELOAD': ' '.join(libraries),
    'ASAN_OPTIONS': 'detect_leaks=0',  # CPython and TensorFlow have some.
  }
  which = 'from tf_sparse_rl.native import library as l; '
  used = subprocess.run(
    [sys.executable, '-c', f'{which}print(l.instruction_set(), l.problem())'],
    env=environment,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split(maxsplit=1)
  assert used[1] == 'None\n', used
  if used[0] != name:
    pytest.skip(f'This CPU does not run {name}.')
  result = subprocess.run(
    [
      *(sys.executable, '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider'),
      # Sanitizers make kernels slow.
      *('-k', 'not what_is_measured_is_true'),
      *(str(_HERE / f'{test}_test.py') for test in _TESTS),
    ],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
  assert ' passed' in result.stdout and ' skipped' not in result.stdout
