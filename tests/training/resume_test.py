"""Runs that are killed or stopped, and then end as if nothing had been.

Real kills of real processes, most of them forks that need not import anew; a
thread for each of two cores plays the histories below.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator

from tests import tiny
from tf_sparse_rl.native import backend
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.training import loop

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
  '--hidden_units=16,16',
  '--batch_size=8',
  '--initial_collect_env_steps=100',
  '--eval_period=200',
  '--num_eval_episodes=2',
  '--mask_update_period=50',
  '--summary_period=50',
)
_DQN = (*_TINY, '--num_env_steps=900', '--checkpoint_period=70')
# An evaluation follows on every other checkpoint, and takes its time.
_SAC = (
  *_TINY,
  '--num_eval_episodes=30',
  '--agent=sac',
  '--env_name=Pendulum-v1',
  '--method=set',
  '--num_env_steps=650',
  '--checkpoint_period=100',
)
_CLOCK = ('wall_seconds', 'env_steps_per_sec', 'peak_memory_mib')


class _Training:
  """The command `train`, and what it shows."""

  def __init__(self, commands, path, *flags):
    self._checkpoints = path / 'checkpoints'
    self._process = commands.start('train', f'--root_dir={path}', *flags)
    self.wait = self._process.wait

  def until(self, condition):
    """Waits for something to be seen from outside."""
    end = time.monotonic() + 300
    while not condition():
      if self._process.poll() is not None or time.monotonic() > end:
        self._process.send_signal(signal.SIGKILL)
        raise AssertionError(f'it ended: {self.wait()}')
      time.sleep(0.0005)

  def until_checkpoint(self, env_step):
    self.until(lambda: _steps(self._checkpoints)[-1:] >= [env_step])

  def until_a_save(self):
    """Waits for a checkpoint that is being written."""

    def seen():
      with contextlib.suppress(FileNotFoundError):
        return any(p.suffix == '.tmp' for p in self._checkpoints.iterdir())
      return False

    self.until(seen)

  def end(self, number):
    """Ends it by a signal."""
    self._process.send_signal(number)
    return self.wait()


def _steps(path):
  """Env steps of the complete checkpoints in a directory."""
  found = path.glob('env_step_*/manifest.json')
  return sorted(int(p.parent.name.rsplit('_', 1)[1]) for p in found)


def _shell(*words):
  """Runs words as a shell would, where `python` is this one."""
  directory = pathlib.Path(sys.executable).parent
  return subprocess.run(
    words,
    env={
      **os.environ,
      'PYTHONPATH': str(_ROOT),
      'PATH': f'{directory}{os.pathsep}{os.environ["PATH"]}',
    },
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )


def _finish(commands, path, *flags):
  ended = commands.run('train', f'--root_dir={path}', *flags)
  assert ended.returncode == 0, ended.stderr
  return ended


def _told_to_continue(stopped):
  """The command that a stopped run has named."""
  return stopped.stderr.strip().partition('To continue: ')[2]


def _flip(file):
  content = bytearray(file.read_bytes())
  content[len(content) // 2] ^= 1
  file.write_bytes(content)


class _History(NamedTuple):
  """The history of a run; the tests check its values."""

  untouched: pathlib.Path
  path: pathlib.Path  # of the run that was not left alone
  seen: dict[str, Any]


def _history_of_dqn(root, commands):
  rng = np.random.default_rng(1)
  untouched, path = root / 'untouched', root / 'a run of dqn'
  seen = {'untouched': _finish(commands, untouched, *_DQN)}
  saved = path / 'checkpoints'

  process = _Training(commands, path, *_DQN)
  process.until(path.exists)
  time.sleep(rng.uniform(0, 0.2))  # It is built in more.
  process.end(signal.SIGKILL)
  seen['before the first'] = _steps(saved)

  process = _Training(commands, path, *_DQN)
  process.until_checkpoint(70 * int(rng.integers(3, 6)))
  process.until_a_save()
  process.end(signal.SIGKILL)
  with open(path / 'results.jsonl', 'a', encoding='utf-8') as file:
    file.write('{"env_step": 100000, "return_me')
  *_, good, newest = _steps(saved)
  _flip(saved / f'env_step_{newest:012d}' / 'agent.data-00000-of-00001')
  seen['good'], seen['damaged'] = good, newest

  process = _Training(commands, path, *_DQN)
  process.until_checkpoint(newest + 70)
  time.sleep(rng.uniform(0, 0.1))
  begin = time.monotonic()
  stopped = process.end(signal.SIGTERM)
  seen['seconds'] = time.monotonic() - begin
  seen['stopped'], seen['steps'] = stopped, _steps(saved)
  shutil.copytree(path, root / 'stopped')
  seen['continued'] = _shell('sh', '-c', _told_to_continue(stopped))
  return _History(untouched, path, seen)


def _history_of_sac(root, commands):
  rng = np.random.default_rng(2)
  untouched, path = root / 'untouched', root / 'a run of sac'
  seen = {'untouched': _finish(commands, untouched, *_SAC)}

  process = _Training(commands, path, *_SAC)
  process.until_checkpoint(100)
  time.sleep(rng.uniform(0, 0.3))
  process.end(signal.SIGKILL)

  process = _Training(commands, path, *_SAC)
  process.until_checkpoint(200)
  time.sleep(rng.uniform(0.02, 0.06))  # 30 x 200 env steps take longer.
  process.end(signal.SIGKILL)
  seen['killed'] = run_dir.RunDir(path).read_results()

  process = _Training(commands, path, *_SAC)
  process.until_checkpoint(400)
  time.sleep(rng.uniform(0.02, 0.06))
  begin = time.monotonic()
  stopped = process.end(signal.SIGINT)
  seen['seconds'] = time.monotonic() - begin
  seen['stopped'] = stopped
  seen['results'] = run_dir.RunDir(path).read_results()
  python, module, name, *flags = shlex.split(_told_to_continue(stopped))
  assert (python, module) == ('python', '-m')
  seen['continued'] = commands.run(name.rpartition('.')[2], *flags)
  return _History(untouched, path, seen)


def _mount_refusal():
  """Why a file system cannot be mounted here, or None."""
  if not shutil.which('unshare'):
    return 'there is no unshare'
  with contextlib.suppress(subprocess.SubprocessError):
    subprocess.run(
      ['unshare', '-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'],
      check=True,
      capture_output=True,
    )
    return None
  return 'unshare may not mount here'


_NEEDS_MOUNT = pytest.mark.skipif(
  _mount_refusal() is not None, reason=str(_mount_refusal())
)

# A disk that has room for two checkpoints but not for five. What is on it is
# gone with the process, so it is copied.
_ON_A_SMALL_DISK = """
mount -t tmpfs -o size=150k tmpfs "$0" || exit 99
"$@"
status=$?
umask 022
cp -a "$0" "$0.copy"
exit $status
"""
_READ_ONLY = """
mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 99
exec "$@"
"""


def _train_mounted(script, path, *flags):
  """Trains where a script has mounted the directory of the run."""
  train = (sys.executable, '-m', 'tf_sparse_rl.train', f'--root_dir={path}')
  prefix = ('unshare', '-rm', 'sh', '-c', script, str(path))
  return _shell(*prefix, *train, *flags)


def _history_of_a_full_disk(root, commands):
  if _mount_refusal():
    return None
  path = root / 'full'
  path.mkdir()
  return path, _train_mounted(_ON_A_SMALL_DISK, path, *_DQN)


@pytest.fixture(name='histories', scope='module')
def histories_fixture(tmp_path_factory, commands):
  """{name: future of what its function returns}."""
  functions = {
    'sac': _history_of_sac,
    'dqn': _history_of_dqn,
    'full': _history_of_a_full_disk,
  }
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    yield {
      name: pool.submit(function, tmp_path_factory.mktemp(name), commands)
      for name, function in functions.items()
    }


def _without_clock(values):
  return {k: v for k, v in values.items() if k not in _CLOCK}


def _lines(path):
  text = (path / 'results.jsonl').read_text('utf-8')
  return [_without_clock(json.loads(line)) for line in text.splitlines()]


def _last(path):
  [*_, env_step] = _steps(path / 'checkpoints')
  return path / 'checkpoints' / f'env_step_{env_step:012d}'


def _json(path):
  return json.loads(path.read_text('utf-8'))


def _agent(path):
  """{name: array} of all that TensorFlow keeps of the agent."""
  reader = tf.train.load_checkpoint(str(_last(path) / 'agent'))
  return {
    name: reader.get_tensor(name)
    for name, dtype in reader.get_variable_to_dtype_map().items()
    if dtype != tf.string
  }


def _replay(path):
  """The rows of the last checkpoint; none has been overwritten."""
  segments = _json(_last(path) / 'manifest.json')['segments']
  # Together they have each transition once.
  assert [s['begin'] for s in segments] == [
    0,
    *(s['end'] for s in segments[:-1]),
  ]
  return np.concatenate(
    [np.load(path / 'checkpoints' / s['name']) for s in segments]
  )


def _state(path):
  state = _without_clock(_json(_last(path) / 'state.json'))
  del state['clock']
  state['results'] = [_without_clock(result) for result in state['results']]
  return state


def _points(path):
  """{tag: [(env_step, value)]} as TensorBoard shows them."""
  everything = {plugin_event_accumulator.TENSORS: 0}
  events = plugin_event_accumulator.EventAccumulator(str(path), everything)
  events.Reload()
  return {
    tag: [
      (e.step, tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)
    ]
    for tag in events.Tags()['tensors']
    if events.SummaryMetadata(tag).plugin_data.plugin_name == 'scalars'
  }


def _history(histories, agent):
  history = histories[agent].result()
  ended = history.seen['continued']
  assert ended.returncode == 0, ended.stderr
  return history


@pytest.mark.parametrize('agent', ['dqn', 'sac'])
def test_it_ends_with_the_same_results(histories, agent):
  history = _history(histories, agent)
  expected = _lines(history.untouched)
  assert _lines(history.path) == expected
  steps = {'dqn': [0, 200, 400, 600, 800, 900], 'sac': [0, 200, 400, 600, 650]}
  assert [result['env_step'] for result in expected] == steps[agent]
  first, second = (
    _json(path / 'summary.json') for path in (history.path, history.untouched)
  )
  assert _without_clock(first) == _without_clock(second)


@pytest.mark.parametrize('agent', ['dqn', 'sac'])
def test_it_ends_with_the_same_weights_masks_and_slots(histories, agent):
  history = _history(histories, agent)
  ours, expected = _agent(history.path), _agent(history.untouched)
  assert ours.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(ours[name], value, err_msg=name)
  names = ' '.join(expected)
  for part in ('kernel', 'bias', 'mask', 'OPTIMIZER_SLOT', 'target'):
    assert part in names, part


@pytest.mark.parametrize('agent', ['dqn', 'sac'])
def test_it_ends_with_the_same_replay_and_state(histories, agent):
  history = _history(histories, agent)
  rows = _replay(history.path)
  assert len(rows) == {'dqn': 900, 'sac': 650}[agent]
  np.testing.assert_array_equal(rows, _replay(history.untouched))
  assert _state(history.path) == _state(history.untouched)


@pytest.mark.parametrize('agent', ['dqn', 'sac'])
def test_tensorboard_shows_the_same_points_once(histories, agent):
  history = _history(histories, agent)
  for name in ('train', 'eval'):
    ours, expected = (
      _points(path / name) for path in (history.path, history.untouched)
    )
    for tag, points in expected.items():
      steps = [step for step, _ in points]
      assert [step for step, _ in ours[tag]] == steps, tag
      if not tag.startswith('Speed/'):
        assert ours[tag] == points, tag
    returns = [(r['env_step'], r['return_mean']) for r in _lines(history.path)]
    if name == 'eval':
      assert ours['Metrics/AverageReturn'] == [
        (step, np.float32(value)) for step, value in returns
      ]


def test_killed_before_the_first_checkpoint_it_starts_over(histories):
  assert _history(histories, 'dqn').seen['before the first'] == []


def test_a_damaged_checkpoint_is_told_and_passed_over(histories):
  seen = _history(histories, 'dqn').seen
  stdout = seen['stopped'].stdout
  assert (
    f'A damaged checkpoint is set aside. env_step_{seen["damaged"]:012d}: '
    'agent.data-00000-of-00001 is not as it was written.\n'
    f'Continuing at env step {seen["good"]}.\n'
  ) in stdout


def test_sigterm_leaves_a_checkpoint_and_says_how_to_go_on(histories):
  history = _history(histories, 'dqn')
  seen = history.seen
  assert seen['stopped'].returncode == 128 + signal.SIGTERM
  assert seen['seconds'] < 30
  env_step = seen['steps'][-1]
  told = seen['stopped'].stderr
  assert told.startswith(f'Stopped at env step {env_step}. To continue: ')
  assert told.count('\n') == 1
  assert shlex.split(told.partition('To continue: ')[2]) == [
    *('python', '-m', 'tf_sparse_rl.train'),
    f'--config={history.path}/config.json',
    f'--root_dir={history.path}',
  ]
  assert f'Continuing at env step {env_step}.\n' in seen['continued'].stdout
  assert seen['continued'].stderr == ''


def test_killed_in_an_evaluation_it_is_made_again(histories):
  seen = _history(histories, 'sac').seen
  assert [result.env_step for result in seen['killed']] == [0]


def test_ctrl_c_in_an_evaluation_gives_it_up_until_later(histories):
  seen = _history(histories, 'sac').seen
  assert seen['stopped'].returncode == 128 + signal.SIGINT
  assert seen['seconds'] < 30
  *_, last = seen['stopped'].stderr.splitlines()
  assert last.startswith('Stopped at env step 400. To continue: ')
  assert [result.env_step for result in seen['results']] == [0, 200]
  assert 'Continuing at env step 400.\n' in seen['continued'].stdout


@_NEEDS_MOUNT
def test_a_full_disk_ends_it_with_all_checkpoints_intact(histories):
  path, ended = histories['full'].result()
  assert ended.returncode == 2
  assert ended.stderr.startswith(f'error: Writing to {path} failed: ')
  assert 'No space left on device' in ended.stderr
  assert 'What was written before stays.' in ended.stderr
  assert 'Traceback' not in ended.stderr
  directory = run_dir.RunDir(f'{path}.copy')
  assert directory.read_summary() is None
  [*_, newest] = _steps(directory.checkpoints)

  # With more space it goes on from there.
  config = directory.read_config()
  recorder = tiny.Recorder()
  backend.set_backend('auto')  # As the command does.
  loop.train(config, directory, [recorder])
  assert recorder.messages[2:] == [f'Continuing at env step {newest}.']
  assert _lines(directory.path) == _lines(histories['dqn'].result().untouched)


def _content(path):
  return {
    str(file): file.read_bytes()
    for file in sorted(path.rglob('*'))
    if file.is_file()
  }


def test_what_cannot_go_on_says_why_and_changes_nothing(histories, commands):
  stopped = _history(histories, 'dqn').path.parent / 'stopped'
  damaged = stopped.with_name('damaged')
  shutil.copytree(stopped, damaged)
  for env_step in _steps(damaged / 'checkpoints'):
    _flip(damaged / 'checkpoints' / f'env_step_{env_step:012d}' / 'state.json')
  before = _content(stopped), _content(damaged)
  of_damaged = commands.run('train', f'--root_dir={damaged}', *_DQN)

  assert of_damaged.returncode == 2
  assert of_damaged.stderr.startswith(
    f'error: None of the checkpoints in {damaged / "checkpoints"} can be used:'
  )
  assert of_damaged.stderr.count('state.json is not as it was written') == 3
  assert 'Traceback' not in of_damaged.stderr
  if not _mount_refusal():
    ended = _train_mounted(_READ_ONLY, stopped, *_DQN)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f'error: Cannot write to {stopped}: ')
    assert 'Read-only file system' in ended.stderr
    assert 'Traceback' not in ended.stderr
  assert (_content(stopped), _content(damaged)) == before
