"""Ray for real, in a network of its own where nothing else can be reached."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from tests.sweeps import processes

_ROOT = pathlib.Path(__file__).parents[2]
_RUNS = tuple(f'CartPole-v1-rigl-0.9-seed{seed}' for seed in range(3))
# All that is started in it ends with it.
_NAMESPACE = ('unshare', '-rnpf', '--kill-child', '--mount-proc')
_ALONE = 'ip link set lo up && exec "$@"'
_CLUSTER = """
ip link set lo up
"$LAUNCH/ray_cluster.sh" head --num-cpus=1 --node-name=the_head >&2
"$LAUNCH/ray_cluster.sh" worker 127.0.0.1:6379 --num-cpus=1 \
  --node-name=the_worker >&2
"$@"
"""
# In the place of launch/env.sh: this interpreter instead of .venv.
_ENV_SH = """
python=%s
die() { printf '%%s\\n' "$@" >&2; exit 1; }
ensure_environment() { :; }
"""


def _refusal():
  """Why there can be no private network here, or None."""
  if not shutil.which('unshare') or not shutil.which('ip'):
    return 'there is no unshare or no ip'
  with contextlib.suppress(subprocess.SubprocessError):
    command = [*_NAMESPACE, 'ip', 'link', 'set', 'lo', 'up']
    subprocess.run(command, check=True, capture_output=True)
    return None
  return 'unshare may not make a network here'


pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(_refusal() is not None, reason=str(_refusal())),
]


@pytest.fixture(name='expected', scope='module')
def expected_fixture(tmp_path_factory):
  """The results of the first run, alone."""
  pytest.importorskip('ray')
  path = tmp_path_factory.mktemp('alone')
  process = processes.start(
    'train', f'--root_dir={path}', '--method=rigl', *_flags()
  )
  process.communicate(timeout=400)
  assert process.returncode == 0
  return processes.results(path)


@pytest.fixture(name='ray_dir')
def ray_dir_fixture():
  # Ray's sockets are below it, and their names may not be long.
  with tempfile.TemporaryDirectory(dir='/tmp', prefix='ray') as path:
    yield path


def _flags():
  return processes.flags(num_env_steps=4000, eval_period=1000)


def _start(script, sweep_dir, ray_dir, *flags, **variables):
  launch = pathlib.Path(ray_dir) / 'launch'
  shutil.copytree(_ROOT / 'launch', launch)
  (launch / 'env.sh').write_text(_ENV_SH % sys.executable)
  return processes.start(
    'sweep',
    f'--sweep_dir={sweep_dir.path}',
    *('--engine=ray', '--methods=rigl', f'--seeds={len(_RUNS)}'),
    *_flags(),
    *flags,
    prefix=(*_NAMESPACE, 'bash', '-ec', script, 'bash'),
    RAY_TMPDIR=ray_dir,
    HOME=ray_dir,
    LAUNCH=str(launch),
    **variables,
  )


def _command_line(pid):
  with contextlib.suppress(OSError):
    return pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().decode()
  return ''


def test_a_killed_worker_process(sweep_dir, ray_dir, expected):
  process = _start(_ALONE, sweep_dir, ray_dir, '--max_parallel=2')
  run = processes.process_of(process, sweep_dir, _RUNS[0])
  worker = processes.parent(processes.parent(run))
  assert 'ray::' in _command_line(worker)
  os.kill(worker, signal.SIGKILL)
  stdout, stderr = process.communicate(timeout=400)
  assert process.returncode == 0, stderr
  assert f'] {_RUNS[0]} retried: lost its worker or node: ' in stdout
  assert stdout.count(' retried: ') == 1
  assert '3 of 3 runs are finished.\n' in stdout
  assert processes.results(sweep_dir.path / 'runs' / _RUNS[0]) == expected


def test_sigterm_reaches_the_runs(sweep_dir, ray_dir):
  pytest.importorskip('ray')
  # So long that none ends by itself before it is stopped.
  flags = '--max_parallel=2', '--num_env_steps=200000'
  process = _start(_ALONE, sweep_dir, ray_dir, *flags)
  processes.process_of(process, sweep_dir, _RUNS[0])
  [sweep] = [
    int(entry.name)
    for entry in pathlib.Path('/proc').iterdir()
    if entry.name.isdigit()
    and _command_line(entry.name).startswith(sys.executable)
    and str(sweep_dir.path) in _command_line(entry.name)
  ]
  os.kill(sweep, signal.SIGTERM)
  _, stderr = process.communicate(timeout=400)
  assert process.returncode == 128 + signal.SIGTERM, stderr
  assert 'To continue: python -m tf_sparse_rl.sweep --sweep_dir=' in stderr
  log = sweep_dir.path / 'logs' / f'{_RUNS[0]}.log'
  assert 'Stopped at env step ' in log.read_text('utf-8')


def test_a_killed_node(sweep_dir, ray_dir, expected):
  process = _start(
    _CLUSTER,
    sweep_dir,
    ray_dir,
    '--ray_address=127.0.0.1:6379',
    RAY_AUTH_MODE='token',
  )
  # One run on each node.
  runs = [processes.process_of(process, sweep_dir, run) for run in _RUNS[:2]]
  workers = [processes.parent(processes.parent(run)) for run in runs]
  nodes = [processes.parent(worker) for worker in workers]
  assert all('raylet' in _command_line(node) for node in nodes)
  [lost] = [i for i in range(2) if 'the_worker' in _command_line(nodes[i])]
  # The power is cut: nothing of the node is left to save anything.
  for pid in (nodes[lost], workers[lost], runs[lost]):
    os.kill(pid, signal.SIGKILL)
  stdout, stderr = process.communicate(timeout=500)
  assert process.returncode == 0, stderr
  assert f'] {_RUNS[lost]} retried: lost its worker or node: ' in stdout
  assert '3 of 3 runs are finished.\n' in stdout
  assert processes.results(sweep_dir.path / 'runs' / _RUNS[0]) == expected


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--ray_address=127.0.0.1:6379', 'a Ray cluster at 127.0.0.1:6379'),
    (
      '--gpus_per_run=0.5',
      'a node with the resources of a run: cpus_per_run=1',
    ),
  ],
)
def test_what_ray_does_not_have_is_told(sweep_dir, ray_dir, flag, message):
  pytest.importorskip('ray')
  process = _start(_ALONE, sweep_dir, ray_dir, flag)
  _, stderr = process.communicate(timeout=400)
  assert process.returncode == 2
  assert f'Expected {message}' in stderr
