"""The commands as a user runs them, and all of their output."""

import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest

import tf_sparse_rl
from tf_sparse_rl.exporting import policy

_ROOT = pathlib.Path(__file__).parents[1]
_TINY_RUN = (
  '--num_env_steps=600',
  '--initial_collect_env_steps=100',
  '--hidden_units=32,32',
  '--batch_size=16',
  '--eval_period=200',
  '--num_eval_episodes=3',
  '--mask_update_period=50',
  '--summary_period=100',
)
_TINY_SAC_RUN = (
  '--agent=sac',
  '--env_name=Pendulum-v1',
  '--num_env_steps=300',
  '--initial_collect_env_steps=100',
  '--hidden_units=16,16',
  '--batch_size=8',
  '--eval_period=150',
  '--num_eval_episodes=2',
  '--mask_update_period=50',
  '--summary_period=100',
)
# A Pendulum upside down, as fast as it gets, at full torque, for 200 env steps.
_PENDULUM_WORST = -200 * (np.pi**2 + 0.1 * 8**2 + 0.001 * 2**2)


def _command(name, *flags):
  return [sys.executable, '-m', f'tf_sparse_rl.{name}', *flags]


def _environment():
  """The environment of a user's shell, without what conftest.py set."""
  quieting = ('TF_USE_LEGACY_KERAS', 'TF_CPP_MIN_LOG_LEVEL')
  kept = {k: v for k, v in os.environ.items() if k not in quieting}
  return {**kept, 'PYTHONPATH': str(_ROOT)}


def _run(name, *flags):
  return subprocess.run(
    _command(name, *flags),
    env=_environment(),
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """(directory, process) of a finished run, as from a shell."""
  path = tmp_path_factory.mktemp('finished') / 'run'
  return path, _run('train', f'--root_dir={path}', *_TINY_RUN)


def test_train_writes_what_it_promises(finished):
  path, process = finished
  assert process.returncode == 0, process.stderr
  assert {entry.name for entry in path.iterdir()} == {
    '.lock',
    'checkpoints',
    'config.json',
    'eval',
    'policy',
    'results.jsonl',
    'summary.json',
    'train',
  }
  lines = (path / 'results.jsonl').read_text('utf-8').splitlines()
  results = [json.loads(line) for line in lines]
  assert [r['env_step'] for r in results] == [0, 200, 400, 600]
  assert [r['train_step'] for r in results] == [0, 100, 300, 500]
  assert all(len(r['returns']) == 3 for r in results)
  assert all(abs(r['sparsity'] - 0.9) < 0.01 for r in results)
  summary = json.loads((path / 'summary.json').read_text('utf-8'))
  assert summary['final_return'] == results[-1]['return_mean']
  assert summary['train_steps'] == 500


def test_train_prints_no_noise(finished):
  _, process = finished
  assert process.stderr == ''
  first, *_, last = process.stdout.splitlines()
  assert first == 'dqn CartPole-v1 rigl 0.9, seed 0: 600 env steps'
  assert last.startswith('TensorBoard  tensorboard --logdir ')


def test_train_says_where_it_writes_and_the_time_left(finished):
  path, process = finished
  _, directory, tensorboard, backends, *lines = process.stdout.splitlines()
  assert directory == f'Directory: {path}'
  assert tensorboard == f'TensorBoard: tensorboard --logdir {path}'
  assert backends.startswith('Backends: q_network ')
  first, second, third, last = lines[:4]
  for line, left in ((first, ''), (second, ' left'), (third, ' left')):
    assert line.startswith('env_step ') and line.endswith(left)
  assert 'left' not in first + last


@pytest.fixture(scope='module')
def finished_sac(commands, tmp_path_factory):
  """(directory, process) of a finished run of SAC."""
  path = tmp_path_factory.mktemp('finished_sac') / 'run'
  return path, commands.run('train', f'--root_dir={path}', *_TINY_SAC_RUN)


def test_train_sac_prints_no_noise(finished_sac):
  _, process = finished_sac
  assert process.returncode == 0
  # Networks this small have their zeros rounded down, each its own.
  for line in process.stderr.splitlines():
    assert line.startswith('warning: Rounded down to whole zeros')
  first, *rest = process.stdout.splitlines()
  assert first == 'sac Pendulum-v1 rigl 0.9, seed 0: 300 env steps'
  assert {'actor', 'critic_1', 'critic_2'} < set(rest)


def test_train_sac_writes_what_it_promises(finished_sac):
  path, _ = finished_sac
  lines = (path / 'results.jsonl').read_text('utf-8').splitlines()
  results = [json.loads(line) for line in lines]
  assert [r['env_step'] for r in results] == [0, 150, 300]
  assert [r['train_step'] for r in results] == [0, 50, 200]
  for result in results:
    assert len(result['returns']) == 2
    assert all(_PENDULUM_WORST <= r <= 0 for r in result['returns'])
    # 10 + 17 + 10 of the actor's 336 weights, 11 + 17 + 9 of each critic's.
    assert result['nonzero'] == 111
    assert result['sparsity'] == pytest.approx(1 - 111 / 1008)
  summary = json.loads((path / 'summary.json').read_text('utf-8'))
  assert summary['final_return'] == results[-1]['return_mean']
  assert (summary['env_steps'], summary['train_steps']) == (300, 200)
  # 34 biases of the actor, 33 of each critic.
  assert (summary['nonzero'], summary['parameters']) == (111, 211)
  config = json.loads((path / 'config.json').read_text('utf-8'))
  assert (config['agent'], config['epsilon']) == ('sac', None)
  assert (config['actor_sparsity'], config['critic_sparsity']) == (0.9, 0.9)


def test_policy_of_sac_stays_within_the_bounds(finished_sac):
  path, _ = finished_sac
  rng = np.random.default_rng(0)
  observations = rng.normal(scale=100, size=(50, 3)).astype(np.float32)
  actions = policy.load(path / 'policy')(observations)
  assert (actions.shape, actions.dtype) == ((50, 1), np.float32)
  assert np.all(np.abs(actions) <= 2)
  assert np.ptp(actions) > 0


def test_evaluate_plays_a_policy_of_sac(commands, finished_sac):
  path, _ = finished_sac
  flags = ('--num_episodes=3', '--json')
  process = commands.run('evaluate', f'--root_dir={path}', *flags)
  assert (process.returncode, process.stderr) == (0, '')
  told = json.loads(process.stdout)
  assert told['env_name'] == 'Pendulum-v1'
  assert told['lengths'] == [200, 200, 200]
  assert all(_PENDULUM_WORST <= r <= 0 for r in told['returns'])
  assert told['return_mean'] == pytest.approx(sum(told['returns']) / 3)


def test_finished_run_says_so(commands, finished):
  path, _ = finished
  process = commands.run('train', f'--root_dir={path}', *_TINY_RUN)
  assert process.returncode == 0
  assert 'is finished' in process.stdout


def test_config_of_a_run_repeats_it(commands, finished, tmp_path):
  path, _ = finished
  config = f'--config={path}/config.json'
  process = commands.run('train', f'--root_dir={tmp_path}/again', config)
  assert process.returncode == 0, process.stderr

  def results(directory):
    lines = (directory / 'results.jsonl').read_text('utf-8').splitlines()
    clock = ('wall_seconds', 'env_steps_per_sec')
    return [
      {k: v for k, v in json.loads(line).items() if k not in clock}
      for line in lines
    ]

  assert results(tmp_path / 'again') == results(path)


def test_other_config_is_refused_with_its_fields(commands, finished):
  path, _ = finished
  before = (path / 'config.json').read_bytes()
  process = commands.run(
    'train', f'--root_dir={path}', *_TINY_RUN, '--method=set'
  )
  assert process.returncode == 2
  assert "method: 'rigl' there, 'set' asked for" in process.stderr
  assert 'seed' not in process.stderr
  assert (path / 'config.json').read_bytes() == before


@pytest.mark.parametrize(
  'flags, message',
  [
    (('--method=rigll',), "Did you mean 'rigl'?"),
    (('--env_name=CartPole',), "Did you mean 'CartPole-v1'?"),
    (('--agent=dqm',), "Did you mean 'dqn'?"),
    (('--agent=sca',), "Did you mean 'sac'?"),
    (('--agent=sac', '--epsilon=0.1'), 'epsilon with agent=dqn only'),
    (('--sparsity=1.0',), 'Received: sparsity=1.0'),
    (('--method=set', '--drop_fraction=0'), '--method=static'),
    (('--sparsty=0.5',), "flag '--sparsty'. Did you mean '--sparsity'?"),
    (('--num_env_steps=many',), 'Expected a whole number, as in 100000 or 1e5'),
    (('--config=nowhere.json',), 'Cannot read the config nowhere.json'),
    (
      ('rigl',),
      "Expected flags only, as in --env_name=CartPole-v1. Received: ['",
    ),
  ],
)
def test_mistakes_are_told_and_leave_nothing(
  commands, flags, message, tmp_path
):
  process = commands.run('train', f'--root_dir={tmp_path}/run', *flags)
  assert (process.returncode, process.stdout) == (2, '')
  assert message in process.stderr
  assert process.stderr.startswith('error: ')
  assert process.stderr.count('\n') == 1
  assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_goes_on_is_not_disturbed(tmp_path):
  path = tmp_path / 'run'
  flags = (
    *(f'--root_dir={path}', *_TINY_RUN),
    *('--num_env_steps=1000000', '--checkpoint_period=100'),
  )
  with subprocess.Popen(
    _command('train', *flags), env=_environment(), stdout=subprocess.PIPE
  ) as process:
    while not list(path.glob('checkpoints/env_step_*/manifest.json')):
      assert process.poll() is None
      time.sleep(0.1)
    second = _run('train', *flags)
    assert second.returncode == 2
    assert 'Another process is training in' in second.stderr
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
  flags = ('--num_episodes=2', '--json')
  again = _run('evaluate', f'--root_dir={path}', *flags)
  assert (again.returncode, again.stderr) == (0, '')
  assert json.loads(again.stdout)['checkpoint'] == 'last'
  never = _run('evaluate', f'--root_dir={path}', '--checkpoint=7')
  assert never.returncode == 2
  assert never.stderr.startswith("error: Expected checkpoint='last', 'best' ")


def test_terminal_gets_a_progress_bar(commands, tmp_path):
  ours, theirs = pty.openpty()
  # A terminal has a size; the bar is as wide as it is.
  size = struct.pack('HHHH', 24, 100, 0, 0)
  fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
  root_dir, terminal = f'--root_dir={tmp_path}/run', os.ttyname(theirs)
  process = commands.start('train', root_dir, *_TINY_RUN, terminal=terminal)
  shown, end = b'', time.monotonic() + 120
  while process.poll() is None or select.select([ours], [], [], 0)[0]:
    assert time.monotonic() < end, shown
    if select.select([ours], [], [], 0.1)[0]:
      shown += os.read(ours, 4096)
  os.close(theirs)
  os.close(ours)
  assert process.poll() == 0
  text = shown.decode()
  assert '600/600' in text and 'step/s' in text and 'return ' in text
  # A line for each evaluation above the bar, which is drawn anew below it.
  lines = [line.split('\r')[-1] for line in text.split('\r\n')]
  shown = [
    line for line in lines if line.lstrip('\x1b[A').startswith('env_ste')
  ]
  assert len(shown) == 4


def test_evaluate_plays_and_films(commands, finished):
  path, _ = finished
  flags = (f'--root_dir={path}', '--num_episodes=4', '--seed=3', '--json')
  process = commands.run('evaluate', *flags, '--video')
  assert process.returncode == 0, process.stderr
  told = json.loads(process.stdout)
  assert told['env_name'] == 'CartPole-v1'
  assert told['returns'] == [float(n) for n in told['lengths']]
  assert len(told['returns']) == 4
  assert told['return_mean'] == sum(told['returns']) / 4
  low, high = told['return_interval_95']
  assert low < told['return_mean'] < high
  assert told['video'] == str(path / 'video' / 'last_seed3.mp4')
  [video] = (path / 'video').iterdir()
  assert str(video) == told['video'] and video.stat().st_size > 1000


def test_evaluate_prints_a_table(commands, finished):
  path, _ = finished
  flags = (f'--root_dir={path}', '--num_episodes=4', '--seed=3')
  process = commands.run('evaluate', *flags, '--json')
  told = json.loads(process.stdout)
  process = commands.run('evaluate', *flags)
  assert (process.returncode, process.stderr) == (0, '')
  title, _, header, _, *rows = process.stdout.splitlines()
  assert title == (
    'dqn CartPole-v1 rigl 0.9, seed 0, checkpoint last: 4 episodes'
  )
  assert header.split()[:2] == ['mean', 'std']
  name, mean, std, low, to, high, least, most = rows[0].split()
  assert (name, to) == ('return', 'to')
  expected = (
    *(told['return_mean'], told['return_std'], *told['return_interval_95']),
    *(told['return_min'], told['return_max']),
  )
  numbers = [float(text) for text in (mean, std, low, high, least, most)]
  assert numbers == [round(number, 1) for number in expected]
  assert rows[1].startswith('episode length in env steps ')
  assert all(len(line) <= 80 for line in process.stdout.splitlines())


def test_evaluate_shows_the_same_episodes_in_a_window(commands, finished):
  path, _ = finished
  flags = (f'--root_dir={path}', '--num_episodes=2')
  process = commands.run(
    'evaluate', *flags, '--render', '--json', SDL_VIDEODRIVER='dummy'
  )
  assert (process.returncode, process.stderr) == (0, '')
  shown = json.loads(process.stdout)
  run = tf_sparse_rl.open_run(path)
  assert shown == json.loads(json.dumps(run.evaluate(2)))


@pytest.mark.slow
def test_evaluate_with_noise_is_told_written_and_drawn(commands, finished):
  path, _ = finished
  flags = (f'--root_dir={path}', '--num_episodes=6', '--seed=3', '--json')
  [plain] = [json.loads(commands.run('evaluate', *flags).stdout)]
  process = commands.run('evaluate', *flags, '--noise_std=3,0,0.5,3')
  assert (process.returncode, process.stderr) == (0, '')
  told = json.loads(process.stdout)
  assert [level['noise_std'] for level in told['noise']] == [0, 0.5, 3]
  assert told['noise'][0]['returns'] == plain['returns']
  assert told['noise'][2]['returns'] != plain['returns']
  assert told['noise_std_in'] == "multiples of each entry's std"
  lines = (path / 'noise.jsonl').read_text().splitlines()
  assert [json.loads(line) for line in lines] == told['noise']
  assert told['figure'] == str(path / 'noise.png')
  assert (path / 'noise.png').read_bytes()[:4] == b'\x89PNG'


@pytest.mark.parametrize('given', ['', '-1', '0,x', 'nan', 'inf', '0,,5'])
def test_levels_of_noise_are_checked_first(commands, given, tmp_path):
  process = commands.run(
    'evaluate', f'--root_dir={tmp_path}', f'--noise_std={given}'
  )
  assert process.returncode == 2
  assert f'numbers of at least 0. Received: {given!r}' in process.stderr
  assert not list(tmp_path.iterdir())


def test_a_warning_is_one_line(commands):
  process = commands.run(
    'summarize', '--env_name=CartPole-v1', '--hidden_units=8,8'
  )
  assert process.returncode == 0
  assert process.stderr == (
    'warning: Rounded down to whole zeros in each weight, the network has '
    'sparsity 0.866 instead of 0.9.\n'
  )


def test_summarize_says_what_it_ignores(commands):
  flags = ('--method=dense', '--sparsity=0.9', '--drop_fraction=0.5')
  process = commands.run('summarize', *flags)
  assert process.returncode == 0
  assert process.stderr == (
    'note: --method=dense ignores --sparsity=0.9, --drop_fraction=0.5. '
    '--match_sparsity=0.9 makes a dense network with as many parameters as a '
    'sparse one.\n'
  )


def test_summarize_prints_the_budgets(commands):
  process = commands.run('summarize', '--method=static')
  assert process.returncode == 0, process.stderr
  rows = [line.split() for line in process.stdout.splitlines()]
  assert ['hidden_1', '512', 'x', '512', '0.9105', '23,451'] in [
    row[:6] for row in rows
  ]
  assert rows[-1][:3] == ['total', '0.9000', '26,523']


@pytest.mark.slow
def test_networks_that_cannot_be_built_leave_no_config(commands, tmp_path):
  path = tmp_path / 'run'
  process = commands.run(
    'train', f'--root_dir={path}', '--custom_sparsity=none=0.5'
  )
  assert process.returncode == 2
  assert process.stderr.startswith('error: Expected the names of custom')
  # Blocks of five do not divide 512 units, which ERK does not leave dense.
  process = commands.run('train', f'--root_dir={path}', '--block_shape=5,1')
  assert process.returncode == 2
  assert "'hidden_1' of shape (512, 512)" in process.stderr
  assert [entry.name for entry in path.iterdir()] == ['.lock']


def test_summarize_prints_each_network_of_sac(commands, tmp_path):
  flags = ('--agent=sac', '--env_name=HalfCheetah-v5')
  process = commands.run('summarize', *flags, cwd=tmp_path)
  assert (process.returncode, process.stderr) == (0, '')
  rows = [line.split() for line in process.stdout.splitlines()]
  networks = [row for row in rows if len(row) == 1 and row[0][0] != '-']
  assert networks == [['actor'], ['critic_1'], ['critic_2']]
  # Layers of the paper's HalfCheetah at 0.9: .5652 .9459 .3954 of the actor,
  # .5859 .9317 0 of a critic; 4352 - floor(.5652 * 4352) = 1893 are left.
  kernels = [row[1:6] for row in rows if 'x' in row]
  critic = [
    ['23', 'x', '256', '0.5858', '2,439'],
    ['256', 'x', '256', '0.9317', '4,475'],
    ['256', 'x', '1', '0.0000', '256'],
  ]
  assert kernels == [
    ['17', 'x', '256', '0.5650', '1,893'],
    ['256', 'x', '256', '0.9458', '3,549'],
    ['256', 'x', '12', '0.3952', '1,858'],
    *critic,
    *critic,
  ]
  assert list(tmp_path.iterdir()) == []  # MuJoCo left no log.


@pytest.mark.slow
def test_benchmark_prints_json():
  process = _run(
    'benchmark',
    *_TINY_RUN,
    '--num_env_steps=300',
    '--warmup_env_steps=150',
  )
  assert process.returncode == 0, process.stderr
  told = json.loads(process.stdout)
  assert told['method'] == 'rigl'
  assert told['env_steps_per_sec'] > 0
  assert told['env_steps_per_cpu_sec'] > 0
  assert told['peak_memory_mib'] > 100
  assert set(told['milliseconds']) == {
    'act',
    'environment',
    'sample',
    'train_and_act',
    'train',
  }


@pytest.mark.slow
def test_benchmark_in_turn_on_a_core_to_figures(tmp_path):
  core = min(os.sched_getaffinity(0))
  results = f'--results={tmp_path / "speed.json"}'
  short = ('--num_env_steps=300', '--warmup_env_steps=150', '--rounds=1')
  process = _run(
    *('benchmark', *_TINY_RUN, *short, results),
    *('--methods=rigl,dense', f'--pin={core}'),
  )
  assert process.returncode == 0, process.stderr
  told = json.loads(process.stdout)
  assert list(told['candidates']) == ['rigl', 'dense']
  assert told['pinned_cores'] == [core]
  assert 0 <= told['others_share'] <= 1
  process = _run('benchmark', *_TINY_RUN, '--what=sparsity', *short, results)
  assert process.returncode == 0, process.stderr
  directory = f'--figures_dir={tmp_path}'
  process = _run('benchmark', '--what=figures', results, directory)
  assert process.returncode == 0, process.stderr
  names = [pathlib.Path(p).name for p in json.loads(process.stdout)['written']]
  assert names == ['speed.png', 'speed.md', 'speed_dqn_32-32.png']
  assert all((tmp_path / name).stat().st_size > 100 for name in names)


@pytest.mark.slow
def test_benchmark_of_diagnostics():
  process = _run(
    'benchmark',
    '--what=diagnostics',
    '--agent=sac',
    '--env_name=HalfCheetah-v5',
    '--hidden_units=16,16',
    '--batch_size=16',
    '--num_env_steps=300',
    '--warmup_env_steps=150',
    '--rounds=2',
  )
  assert process.returncode == 0, process.stderr
  told = json.loads(process.stdout)
  kinds = ['snr', 'dormant', 'rank', 'norms', 'churn']
  assert set(told['milliseconds']) == {*kinds, ','.join(kinds)}
  for name, milliseconds in told['milliseconds'].items():
    share = milliseconds / 1000 * told['env_steps_per_sec'] / 5000
    assert 0 < told['share_of_training_time'][name] < 1
    assert told['share_of_training_time'][name] == pytest.approx(
      share, abs=1e-3
    )


@pytest.mark.parametrize(
  'flags, message',
  [
    (['--method=dense', '--what=sparsity'], 'a sparse --method'),
    (['--results=speed.json'], 'with --methods or --peers'),
    (['--what=sparsity', '--results=none/speed.json'], 'none/speed.json'),
    (['--methods=rigl', '--pin=0,99'], 'Received: 0,99'),
    (['--what=figures', '--results=speed.json'], '--figures_dir=DIR'),
  ],
)
def test_benchmark_refuses_before_it_measures(
  commands, flags, message, tmp_path
):
  process = commands.run('benchmark', *flags, cwd=tmp_path)
  assert process.returncode == 2
  assert message in process.stderr
  assert 'Traceback' not in process.stderr
