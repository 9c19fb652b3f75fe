"""Times RLtools' SAC at our benchmark's work; prints a line of JSON.

A script for an interpreter that has RLtools: it imports neither TensorFlow nor
us. RLtools compiles itself for the work first, once for each set of sizes.
"""

import argparse
import contextlib
import fcntl
import importlib
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile
import time

_INSTALL = '"rltools[mkl]==2.2.*" "gymnasium[mujoco]"'
_LEARNING_STARTS = 256  # Env steps; RLtools wants a whole batch at least.
_TEMPORARY = pathlib.Path(tempfile.gettempdir())


def parse_args(argv=None) -> argparse.Namespace:
  """Returns the flags; `hidden` as a list of units."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--peer', choices=['rltools'], default='rltools')
  parser.add_argument('--agent', choices=['sac'], default='sac')
  parser.add_argument('--env_name', default='HalfCheetah-v5')
  parser.add_argument('--num_env_steps', type=int, default=4000)
  parser.add_argument('--warmup_env_steps', type=int, default=1000)
  parser.add_argument('--hidden', default='256,256', help='units a layer')
  parser.add_argument('--network', choices=['mlp'], default='mlp')
  parser.add_argument('--batch_size', type=int, default=256)
  parser.add_argument('--train_period', type=int, default=1)
  parser.add_argument('--threads', type=int, default=1)
  args = parser.parse_args(argv)
  args.hidden = [int(units) for units in args.hidden.split(',')]
  least = max(_LEARNING_STARTS, args.batch_size)
  if args.num_env_steps < 1 or args.warmup_env_steps <= least:
    parser.error(
      f'num_env_steps >= 1 and warmup_env_steps > {least} expected. '
      f'Received: {args.num_env_steps}, {args.warmup_env_steps}'
    )
  if len(set(args.hidden)) > 1:
    parser.error(f'layers of one width expected. Received: {args.hidden}')
  return args


def import_rltools(threads: int):
  """Returns the package; its BLAS uses `threads` threads."""
  for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ[name] = str(threads)
  try:
    return importlib.import_module('rltools')
  except ImportError as error:
    raise SystemExit(
      f'rltools is needed in this interpreter ({error}). Make it its own: '
      f'python -m venv ENV && ENV/bin/pip install {_INSTALL}'
    ) from error


def make_env(env_name: str):
  """Returns an environment with actions in [-1, 1], as RLtools wants them."""
  gym = importlib.import_module('gymnasium')
  env = gym.wrappers.RescaleAction(gym.make(env_name), -1.0, 1.0)
  env.reset(seed=0)
  return env


def make_loop(package, args: argparse.Namespace):
  """Returns RLtools' training loop with our presets, compiled if need be."""
  both = {
    'BATCH_SIZE': args.batch_size,
    'HIDDEN_DIM': args.hidden[0],
    'NUM_LAYERS': len(args.hidden) + 1,  # The last one is the output.
    'TRAINING_INTERVAL': args.train_period,
  }
  options = {
    f'{network}_{name}': value
    for network in ('ACTOR', 'CRITIC')
    for name, value in both.items()
  }
  # Two that start together would compile into each other's files.
  with open(_TEMPORARY / 'tf_sparse_rl_rltools.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    module = package.SAC(
      lambda: make_env(args.env_name),
      enable_evaluation=False,
      interface_name='tf_sparse_rl',
      STEP_LIMIT=args.warmup_env_steps + args.num_env_steps + 1,
      REPLAY_BUFFER_CAP=1_000_000,
      N_WARMUP_STEPS=max(_LEARNING_STARTS, args.batch_size),
      OPTIMIZER_ALPHA=3e-4,
      **options,
    )
  return module.State(0)


def time_loop(loop, args: argparse.Namespace) -> tuple[float, float]:
  """Times `num_env_steps` env steps after the warm-up.

  Returns:
    (seconds, CPU seconds of all threads).
  """
  for _ in range(args.warmup_env_steps):
    loop.step()
  begin, begin_cpu = time.perf_counter(), time.process_time()
  for _ in range(args.num_env_steps):
    loop.step()
  return time.perf_counter() - begin, time.process_time() - begin_cpu


def blas() -> str:
  """Returns the name of the BLAS that was loaded; 'none' is plain C++."""
  loaded = pathlib.Path('/proc/self/maps').read_text('utf-8')
  names = ('mkl', 'openblas', 'blas')
  return next((name for name in names if f'/lib{name}' in loaded), 'none')


@contextlib.contextmanager
def stdout_alone():
  """Yields stdout; what else is printed, from C++ too, goes to stderr."""
  sys.stdout.flush()
  with os.fdopen(os.dup(1), 'w', encoding='utf-8') as stdout:
    os.dup2(2, 1)
    yield stdout


def main(argv=None) -> None:
  """Times RLtools and prints the figures."""
  args = parse_args(argv)
  package = import_rltools(args.threads)
  os.chdir(_TEMPORARY)  # MuJoCo logs its warnings where it is.
  with stdout_alone() as stdout:
    seconds, cpu_seconds = time_loop(make_loop(package, args), args)
    result = {
      'peer': args.peer,
      'version': importlib.metadata.version('rltools'),
      'blas': blas(),
      'env_steps': args.num_env_steps,
      'env_steps_per_sec': round(args.num_env_steps / seconds, 1),
      'env_steps_per_cpu_sec': round(args.num_env_steps / cpu_seconds, 1),
      'seconds': round(seconds, 3),
    }
    print(json.dumps(result), file=stdout)


if __name__ == '__main__':
  main()
