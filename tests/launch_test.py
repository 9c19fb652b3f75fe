"""The launch scripts: shellcheck, and those of clusters with fake clusters."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import pytest
import yaml

from tf_sparse_rl import config

_ROOT = pathlib.Path(__file__).parents[1]
_TINY = (
  '--num_env_steps=300',
  '--initial_collect_env_steps=100',
  '--hidden_units=16,16',
  '--batch_size=8',
  '--num_eval_episodes=2',
)
# In the place of launch/env.sh: this interpreter instead of .venv.
_ENV_SH = """
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=%s
export PYTHONPATH=%s
die() { printf '%%s\\n' "$@" >&2; exit 1; }
ensure_environment() { :; }
ensure_cuda() { echo 'with CUDA'; }
ensure_tpu() { echo 'with TensorFlow for TPUs'; }
"""
_FAKE_SBATCH = """#!/usr/bin/env bash
printf '%s\\n' "$@" >"$(dirname -- "$0")/submitted"
"""


@pytest.fixture(name='checkout')
def checkout_fixture(tmp_path):
  """A directory with the launch scripts that uses this interpreter."""
  root = tmp_path / 'checkout'
  shutil.copytree(_ROOT / 'launch', root / 'launch')
  (root / 'launch' / 'env.sh').write_text(_ENV_SH % (sys.executable, _ROOT))
  return root


def _program(directory, name, text):
  directory.mkdir(exist_ok=True)
  path = directory / name
  path.write_text(text)
  path.chmod(path.stat().st_mode | stat.S_IXUSR)
  return directory


def _run(command, *, path=None, cwd=None, **variables):
  where = [str(path)] if path else []
  return subprocess.run(
    [str(part) for part in command],
    cwd=cwd,
    env={
      **os.environ,
      **variables,
      'PATH': os.pathsep.join([*where, os.environ['PATH']]),
    },
    capture_output=True,
    text=True,
    check=False,
  )


def _finished(path):
  """Names of the finished runs of a sweep."""
  return sorted(p.parent.name for p in path.glob('runs/*/summary.json'))


def test_the_study_of_atari_has_every_game():
  lines = (_ROOT / 'launch/paper_atari.sh').read_text().splitlines()
  parts = [line.split('=', 1)[1] for line in lines if line.startswith('games')]
  assert ''.join(parts).split(',') == list(config.ATARI_GAMES)


@pytest.mark.skipif(not shutil.which('shellcheck'), reason='no shellcheck')
def test_shellcheck_has_nothing_to_say():
  scripts = sorted((_ROOT / 'launch').glob('*.sh'))
  assert len(scripts) >= 11
  result = _run(['shellcheck', '-x', *scripts, _ROOT / '.ci/run'], cwd=_ROOT)
  assert (result.returncode, result.stdout) == (0, '')


def test_slurm_gets_an_array_of_all_lines(checkout, tmp_path):
  sweep_dir = tmp_path / 'a sweep'
  result = _run(
    [
      checkout / 'launch/slurm_array.sh',
      f'--sweep_dir={sweep_dir}',
      '--methods=dense,rigl',
      '--seeds=2',
      *_TINY,
    ],
    path=_program(tmp_path / 'bin', 'sbatch', _FAKE_SBATCH),
    MAX_TASKS='3',
  )
  assert result.returncode == 0, result.stderr
  assert (tmp_path / 'bin' / 'submitted').read_text().splitlines() == [
    '--array=0-3%3',
    f'--chdir={checkout}',
    f'--output={sweep_dir}/logs/slurm-%A_%a.log',
    str(checkout / 'launch/slurm_array.sh'),
    str(sweep_dir),
  ]
  assert len((sweep_dir / 'runs.jsonl').read_text().splitlines()) == 4
  assert not (sweep_dir / 'runs').exists()


def test_slurm_without_a_sweep_dir(checkout, tmp_path):
  bin_dir = _program(tmp_path / 'bin', 'sbatch', _FAKE_SBATCH)
  script = checkout / 'launch/slurm_array.sh'
  result = _run([script, '--seeds=2'], path=bin_dir)
  assert result.returncode == 1
  assert 'Expected --sweep_dir=SWEEP_DIR' in result.stderr
  assert [p.name for p in bin_dir.iterdir()] == ['sbatch']


def test_a_slurm_task_and_a_kubernetes_pod_do_their_line(checkout, tmp_path):
  sweep_dir = tmp_path / 'sweep'
  environment = {'PYTHONPATH': str(_ROOT)}
  python = [sys.executable, '-m', 'tf_sparse_rl.sweep']
  listed = _run(
    [
      *python,
      f'--sweep_dir={sweep_dir}',
      '--methods=dense,static,rigl',
      '--seeds=1',
      '--list_only',
      *_TINY,
    ],
    **environment,
  )
  assert listed.returncode == 0, listed.stderr
  ids = [
    json.loads(line)['id']
    for line in (sweep_dir / 'runs.jsonl').read_text().splitlines()
  ]

  # SLURM starts a copy of the script, in the repository.
  copy = tmp_path / 'slurm_script'
  shutil.copy(checkout / 'launch/slurm_array.sh', copy)
  container = _job()['spec']['template']['spec']['containers'][0]
  name = 'exec "$PYTHON" "$@"'
  bin_dir = _program(tmp_path / 'bin', 'python', f'#!/bin/sh\n{name}\n')
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    task = pool.submit(
      _run, [copy, sweep_dir], cwd=checkout, SLURM_ARRAY_TASK_ID='1'
    )
    pod = pool.submit(
      _run,
      container['command'],
      path=bin_dir,
      PYTHON=sys.executable,
      SWEEP_DIR=str(sweep_dir),
      JOB_COMPLETION_INDEX='2',
      **environment,
    )
  for ended in (task.result(), pod.result()):
    assert ended.returncode == 0, ended.stderr
    assert '1 of 1 runs are finished.\n' in ended.stdout
  assert _finished(sweep_dir) == sorted(ids[1:])


def _job():
  return yaml.safe_load((_ROOT / 'launch/gke_job.yaml').read_text('utf-8'))


def test_the_kubernetes_job_is_an_indexed_job():
  job = _job()
  assert (job['apiVersion'], job['kind']) == ('batch/v1', 'Job')
  assert set(job) == {'apiVersion', 'kind', 'metadata', 'spec'}
  spec = job['spec']
  assert set(spec) == {
    'completionMode',
    'completions',
    'parallelism',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
    'podFailurePolicy',
    'template',
  }
  assert spec['completionMode'] == 'Indexed'
  # All may fail without stopping the rest.
  assert spec['maxFailedIndexes'] == spec['completions']
  [rule] = spec['podFailurePolicy']['rules']
  assert rule == {
    'action': 'Ignore',
    'onPodConditions': [{'type': 'DisruptionTarget'}],
  }


def test_the_pods_of_the_job_hang_together():
  pod = _job()['spec']['template']['spec']
  # A podFailurePolicy needs it, and so do indices that fail by themselves.
  assert pod['restartPolicy'] == 'Never'
  assert pod['terminationGracePeriodSeconds'] > 30
  [container] = pod['containers']
  [mount] = container['volumeMounts']
  [volume] = pod['volumes']
  assert mount['name'] == volume['name']
  [variable] = container['env']
  assert variable['name'] == 'SWEEP_DIR'
  assert variable['value'].startswith(mount['mountPath'] + '/')
  # Kubernetes itself sets the other one in an indexed job.
  assert '"$JOB_COMPLETION_INDEX"' in container['command'][-1]


@pytest.mark.parametrize('words', [(), ('worker',), ('boss', 'a:1')])
def test_ray_cluster_says_what_it_expects(checkout, words):
  result = _run([checkout / 'launch/ray_cluster.sh', *words])
  assert result.returncode == 1
  assert 'Expected: ray_cluster.sh head, or' in result.stderr


@pytest.mark.parametrize(
  'words, started',
  [
    (
      ('head', '--num-cpus=8'),
      'start --head --port=6379 --include-dashboard=false --num-cpus=8 '
      'statistics 0',
    ),
    (('worker', 'a:6379'), 'start --address=a:6379 statistics 0'),
  ],
)
def test_ray_cluster_starts_a_node(checkout, tmp_path, words, started):
  _program(
    tmp_path / 'bin',
    'ray',
    '#!/bin/sh\necho "$@" statistics $RAY_USAGE_STATS_ENABLED\n',
  )
  env_sh = checkout / 'launch' / 'env.sh'
  env_sh.write_text(_ENV_SH % (tmp_path / 'bin' / 'python', _ROOT))
  result = _run([checkout / 'launch/ray_cluster.sh', *words])
  assert (result.returncode, result.stdout) == (0, started + '\n')


_ECHO = '#!/bin/sh\necho "$@"\n'


def _nvidia_smi(num_gpus):
  lines = [f'GPU {i}: NVIDIA (UUID: GPU-{i})' for i in range(num_gpus)]
  return '#!/bin/sh\n' + ''.join(f"echo '{line}'\n" for line in lines)


@pytest.mark.parametrize(
  'num_gpus, variables, flags, passed',
  [
    (1, {}, [], '--num_gpus=1 --jit_compile'),
    (2, {}, ['--agent=sac'], '--num_gpus=2 --agent=sac'),
    (4, {'CUDA_VISIBLE_DEVICES': '1,3'}, [], '--num_gpus=2'),
    (2, {}, ['--num_gpus=1'], '--num_gpus=1 --jit_compile --num_gpus=1'),
  ],
)
def test_gpu_trains_on_all_gpus_or_those_asked_for(
  checkout, tmp_path, num_gpus, variables, flags, passed
):
  bin_dir = _program(tmp_path / 'bin', 'nvidia-smi', _nvidia_smi(num_gpus))
  _program(bin_dir, 'python', _ECHO)
  env_sh = checkout / 'launch' / 'env.sh'
  env_sh.write_text(_ENV_SH % (bin_dir / 'python', _ROOT))
  variables = {'CUDA_VISIBLE_DEVICES': '', **variables}
  script = checkout / 'launch/gpu.sh'
  result = _run([script, *flags], path=bin_dir, **variables)
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout.splitlines() == [
    'with CUDA',
    f'-m tf_sparse_rl.train {passed}',
  ]


def test_gpu_without_a_driver(checkout, tmp_path):
  broken = "#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n"
  bin_dir = _program(tmp_path / 'bin', 'nvidia-smi', broken)
  result = _run([checkout / 'launch/gpu.sh'], path=bin_dir)
  assert (result.returncode, result.stdout) == (1, '')
  assert result.stderr.splitlines()[:2] == [
    'Expected an NVIDIA GPU and its driver, as nvidia-smi lists them.',
    'Received: NVIDIA-SMI has failed',
  ]


def _tpu_devices():
  root = pathlib.Path('/dev')
  return [*root.glob('accel*'), *root.glob('vfio/[0-9]*')]


@pytest.mark.skipif(bool(_tpu_devices()), reason='there may be a TPU')
def test_tpu_vm_without_a_tpu(checkout):
  result = _run([checkout / 'launch/tpu_vm.sh', '--agent=sac'])
  assert (result.returncode, result.stdout) == (1, '')
  assert result.stderr.startswith('Expected a TPU VM, with its TPU as /dev/ac')


@pytest.mark.slow
def test_the_commands_for_gpus_and_tpus_train_on_a_cpu(checkout, tmp_path):
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    ended = [
      pool.submit(
        _run,
        [
          checkout / 'launch' / script,
          flag,
          '--env_name=CartPole-v1',
          f'--root_dir={tmp_path / script}',
          *_TINY,
        ],
      )
      for script, flag in (('gpu.sh', '--num_gpus=0'), ('tpu_vm.sh', '--tpu='))
    ]
  for script, future in zip(('gpu.sh', 'tpu_vm.sh'), ended):
    result = future.result()
    assert result.returncode == 0, result.stderr
    assert 'with ' not in result.stdout.splitlines()[0]
    config = json.loads((tmp_path / script / 'config.json').read_text())
    assert config['jit_compile'] == (script == 'gpu.sh')
    assert (config['num_gpus'], config['tpu']) == (0, '')
    summary = json.loads((tmp_path / script / 'summary.json').read_text())
    assert summary['env_steps'] == 300


@pytest.mark.parametrize(
  'ensure, installed',
  [
    ('ensure_cuda', ['install .*-e {root}\\[cuda\\]']),
    (
      'ensure_tpu',
      ['uninstall --yes tensorflow', 'install .*--no-deps -r .*tpu.txt'],
    ),
  ],
)
def test_what_devices_need_is_installed_once(tmp_path, ensure, installed):
  root = tmp_path / 'checkout'
  shutil.copytree(_ROOT / 'launch', root / 'launch')
  (root / 'tf_sparse_rl').mkdir()
  for name in ('setup.py', 'tf_sparse_rl/version.py'):
    shutil.copy(_ROOT / name, root / name)
  log = tmp_path / 'log'
  (root / '.venv').mkdir()
  _program(root / '.venv/bin', 'python', f'#!/bin/sh\necho "$@" >>{log}\n')
  twice = f'set -eu; source launch/env.sh; {ensure}; {ensure}'
  result = _run(['bash', '-c', twice], cwd=root, PYTHON=sys.executable)
  assert result.returncode == 0, result.stderr
  assert len(result.stderr.splitlines()) == 1  # What is being installed.
  calls = log.read_text().splitlines()
  assert len(calls) == len(installed)
  for call, expected in zip(calls, installed):
    assert re.fullmatch(f'-m pip {expected.format(root=root)}', call)


def test_an_environment_behind_a_link_is_left_alone(tmp_path):
  """It may be that of another checkout, made by the same scripts."""
  root, other = tmp_path / 'checkout', tmp_path / 'other/.venv'
  shutil.copytree(_ROOT / 'launch', root / 'launch')
  shutil.copy(_ROOT / 'requirements.lock', root)
  other.mkdir(parents=True)
  (other / '.made_by_launch').touch()
  (other / 'package').touch()
  (root / '.venv').symlink_to(other)
  result = _run(['bash', '-c', '. launch/env.sh; ensure_environment'], cwd=root)
  assert result.returncode == 1
  assert f'{root}/.venv is a link' in result.stderr
  assert {path.name for path in other.iterdir()} == {
    '.made_by_launch',
    'package',
  }
