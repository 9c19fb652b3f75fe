"""Compiles tests of kernels with sanitizers, for each instruction set."""

import itertools
import pathlib
import platform
import subprocess

import pytest

from tf_sparse_rl.native import library

_HERE = pathlib.Path(__file__).parent
_SOURCES = pathlib.Path(library.__file__).parent
_SETS = {name: (lanes, flags) for name, lanes, flags in library.SETS}


def _cpu_has(name):
  """Whether this CPU runs an instruction set."""
  flags = pathlib.Path('/proc/cpuinfo').read_text('utf-8').split()
  needed = {
    'portable': (),
    'avx2': ('avx2', 'fma'),
    'avx512': ('avx512f', 'avx512vl', 'avx512dq', 'avx512bw', 'fma'),
  }
  return set(needed[name]) <= set(flags)


@pytest.fixture(scope='module', name='programs')
def programs_fixture(tmp_path_factory):
  """{(source, instruction set): test program}, compiled side by side."""
  try:
    compiler = library.compiler()
  except library.BuildError as error:
    pytest.skip(str(error))
  path = tmp_path_factory.mktemp('kernels')
  running = {}
  for source, name in itertools.product(library.KERNEL_SOURCES, _SETS):
    lanes, flags = _SETS[name]
    if name != 'portable' and platform.machine() != 'x86_64':
      continue
    command = [
      # Half the time of -O1 -g, and nothing is optimized away.
      *(compiler, '-std=c++17', '-O0', '-g1', '-Wall', '-Wextra', '-Wno-psabi'),
      *('-Werror', '-ffp-contract=fast', '-fno-math-errno', *flags),
      *('-fsanitize=address,undefined', '-fno-sanitize-recover=all'),
      *(f'-DTF_SPARSE_RL_CPU={name}', f'-DTF_SPARSE_RL_LANES={lanes}'),
      *('-I', str(_SOURCES), str(_SOURCES / source)),
      str(_HERE / f'{pathlib.Path(source).stem}_test.cc'),
      *('-o', str(path / f'{name}_{source}.test')),
    ]
    running[source, name] = subprocess.Popen(
      command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
  for key, process in running.items():
    output = process.communicate()[0]
    assert process.returncode == 0, f'{key}: {output}'
  return {
    (source, name): path / f'{name}_{source}.test' for source, name in running
  }


@pytest.mark.parametrize('name', _SETS)
@pytest.mark.parametrize('source', library.KERNEL_SOURCES)
def test_kernels_agree_with_plain_loops_and_stay_in_bounds(
  programs, source, name
):
  if (source, name) not in programs or not _cpu_has(name):
    pytest.skip(f'This CPU does not run {name}.')
  result = subprocess.run(
    [str(programs[source, name])], capture_output=True, text=True, check=False
  )
  assert result.returncode == 0, result.stdout + result.stderr[-3000:]
  assert result.stdout.endswith('all good\n')
