"""Builds the C++ operations once for this machine, and loads them."""

import ctypes
import functools
import hashlib
import itertools
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile

import tensorflow as tf
from tensorflow.python.eager import context

from tf_sparse_rl import files, locks

_SOURCES = pathlib.Path(__file__).parent

# Compiled once for each instruction set.
KERNEL_SOURCES = ('kernels.cc', 'conv_kernels.cc')

# Name, floats of a register and compiler flags of each instruction set.
SETS = (
  ('portable', 4, ()),
  ('avx2', 8, ('-mavx2', '-mfma')),
  (
    'avx512',
    16,
    (
      *('-mavx512f', '-mavx512vl', '-mavx512dq', '-mavx512bw', '-mfma'),
      '-mprefer-vector-width=512',
    ),
  ),
)

# Products and sums may be fused; vectors are passed inside one file only.
_KERNEL_FLAGS = (
  *('-O3', '-ffp-contract=fast', '-fno-math-errno'),
  '-Wno-psabi',
)


class BuildError(Exception):
  """The operations cannot be built or loaded here; the message says why."""


def load():
  """The operations, built first if this machine has not done so yet.

  Returns:
    The module of `tf.load_op_library`, or None where they cannot be had:
    `problem()` then says why, and so has a line on stderr, once.
  """
  return _load()[0]


def problem():
  """Why the operations cannot be had, in a sentence, or None."""
  return _load()[1]


def loaded():
  """The operations if they have been loaded, else None."""
  return load() if _load.cache_info().currsize else None


@functools.cache
def _load():
  try:
    operations = tf.load_op_library(str(_cached()))
    # Variables are read by kernels of ours from now on, see resting.cc.
    context.context().clear_kernel_cache()
    return operations, None
  except (BuildError, tf.errors.NotFoundError) as error:
    line = f'No native kernels, so sparse is as slow as dense: {error}'
    print(line, file=sys.stderr)
    return None, line


def cache_dir():
  """Directory of what is built and measured for this machine.

  `$XDG_CACHE_HOME/tf_sparse_rl`, by default `~/.cache/tf_sparse_rl`, and in it
  one directory for each source, compiler, CPU and version of TensorFlow.

  Raises:
    BuildError: if there is no compiler.
  """
  base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  digest = hashlib.sha256()
  for path in sorted([*_SOURCES.glob('*.cc'), *_SOURCES.glob('*.h')]):
    digest.update(path.read_bytes())
  cxx = compiler()
  for part in (
    *(cxx, _version(cxx), _user_flags(), cpu(), platform.machine()),
    *(tf.version.VERSION, tf.version.GIT_VERSION, platform.python_version()),
    *(_KERNEL_FLAGS, SETS, tf.sysconfig.get_compile_flags()),
  ):
    digest.update(repr(part).encode())
  return pathlib.Path(base) / 'tf_sparse_rl' / digest.hexdigest()[:16]


def compiler():
  """Path of the C++ compiler of this machine; BuildError if there is none."""
  for name in (os.environ.get('CXX'), 'g++', 'clang++', 'c++'):
    if name and shutil.which(name):
      return shutil.which(name)
  raise BuildError(
    'there is no C++ compiler. Install one (Debian, Ubuntu: apt-get install '
    'g++) or name it in CXX.'
  )


def _user_flags():
  """Further flags of the compiler and of the linker, from CXXFLAGS."""
  return shlex.split(os.environ.get('CXXFLAGS', ''))


def instruction_set():
  """The name in SETS of what the kernels use here; None if there are none."""
  if load() is None:
    return None
  name = ctypes.CDLL(str(_cached())).tf_sparse_rl_instruction_set
  name.restype = ctypes.c_char_p
  return name().decode()


def set_mask_choice(choice):
  """Sets who chooses masks in the train steps of this thread; see fused.cc.

  Args:
    choice: reference to a structure of ctypes, or None.
  """
  load()
  ctypes.CDLL(str(_cached())).tf_sparse_rl_set_mask_choice(choice)


def hide_resting(are_hidden):
  """Sets whether variables that rest seem not initialized to this thread."""
  ctypes.CDLL(str(_cached())).tf_sparse_rl_hide_resting(are_hidden)


@functools.cache
def _version(cxx):
  return _output_of([cxx, '-dumpfullversion', '-dumpversion'])


def cpu():
  """The model of the CPU, by which what was measured is known."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text('utf-8').splitlines()
  except OSError:
    return platform.processor()
  found = [x for x in lines if x.startswith('model name')]
  return found[0].partition(':')[2].strip() if found else ''


def _cached():
  """Path of the library, built if need be."""
  directory = cache_dir()
  path = directory / 'libtf_sparse_rl.so'
  if _is_whole(path):
    return path
  try:
    files.make_directory(directory)
    # Of several processes that come first together, one builds.
    with locks.held(directory / 'lock'):
      if not _is_whole(path):
        _build(path)
  except OSError as error:
    raise BuildError(f'they cannot be written: {error}.') from error
  return path


def _is_whole(path):
  """Whether a library is as it was built: a torn one ends its process."""
  try:
    return _digest(path) == files.read(_digest_path(path))
  except OSError:
    return False


def _digest_path(path):
  return path.with_suffix('.sha256')


def _digest(path):
  return hashlib.sha256(files.read(path)).hexdigest().encode()


def _build(path):
  """Compiles the sources side by side; writes the library whole or not."""
  cxx = compiler()
  line = 'Building the native kernels, once for this machine: about 15 s.'
  print(line, file=sys.stderr)
  cxx = [cxx, *_user_flags()]
  common = [*cxx, '-std=c++17', '-fPIC', '-c']
  sets = SETS if platform.machine() == 'x86_64' else SETS[:1]
  tensorflow_flags = [*tf.sysconfig.get_compile_flags(), '-O2', '-w']
  commands = {
    **{
      name: [*common, *tensorflow_flags, f'{name}.cc']
      for name in ('ops', 'conv_ops', 'resting', 'fused')
    },
    'cpu': [*common, '-O2', 'cpu.cc'],
  }
  for (name, lanes, flags), source in itertools.product(sets, KERNEL_SOURCES):
    commands[f'{name}_{source}'] = [
      *(*common, *_KERNEL_FLAGS, *flags, source),
      *(f'-DTF_SPARSE_RL_CPU={name}', f'-DTF_SPARSE_RL_LANES={lanes}'),
    ]
  with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
    objects = {name: os.path.join(temporary, f'{name}.o') for name in commands}
    _run_all([[*c, '-o', objects[n]] for n, c in commands.items()])
    made = os.path.join(temporary, path.name)
    link = [*cxx, '-shared', *objects.values(), '-o', made]
    _run_all([[*link, *tf.sysconfig.get_link_flags()]])
    digest = pathlib.Path(temporary, 'digest')
    digest.write_bytes(_digest(made))
    files.move_over(digest, _digest_path(path))
    files.move_over(made, path)


def _run_all(commands):
  """Runs compilers side by side; complains of the first that fails."""
  running = [
    subprocess.Popen(
      command,
      cwd=_SOURCES,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for command in commands
  ]
  outputs = [process.communicate()[0] for process in running]
  for process, command, output in zip(running, commands, outputs):
    if process.returncode:
      lines = [x for x in output.splitlines() if 'error: ' in x] or [output]
      raise BuildError(
        f'{command[0]} failed ({process.returncode}): {lines[0].strip()}'
      )


def _output_of(command):
  try:
    return subprocess.run(
      command, check=True, capture_output=True, text=True
    ).stdout.strip()
  except (OSError, subprocess.CalledProcessError) as error:
    raise BuildError(f'{command[0]} does not run: {error}.') from error
