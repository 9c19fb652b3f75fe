"""The loop: what it writes, and runs that cannot go on."""

import os
import subprocess
import sys
import types

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

from tests import tiny
from tf_sparse_rl import callbacks, envs, flags, replay, sparsity
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.training import checkpoints, loop

_CLOCK = ('wall_seconds', 'env_steps_per_sec')


def _without_clock(results):
  return [
    {k: v for k, v in r.to_json().items() if k not in _CLOCK} for r in results
  ]


def test_results_are_one_an_evaluation(tiny_run):
  results = tiny_run.run_dir.read_results()
  assert [r.env_step for r in results] == [0, 200, 400, 600]
  assert [r.train_step for r in results] == [0, 100, 300, 500]
  for result in results:
    assert list(result.to_json()) == [
      'env_step',
      'train_step',
      'return_mean',
      'returns',
      'sparsity',
      'nonzero',
      'train_step_flops',
      *_CLOCK,
    ]
    assert len(result.returns) == 3
    assert result.return_mean == sum(result.returns) / 3
  walls = [r.wall_seconds for r in results]
  assert walls == sorted(walls) and walls[0] > 0


def test_progress_is_told_at_every_env_step(tiny_run):
  steps = [step for step, result in tiny_run.progress if result is None]
  assert steps == list(range(1, 601))
  told = [result for _, result in tiny_run.progress if result is not None]
  assert told == tiny_run.run_dir.read_results()


def test_summary_is_that_of_the_network(tiny_run):
  summary = tiny_run.outcome.summary
  network = tiny_run.outcome.agent.networks['q_network']
  ones = sum(int(x.mask.numpy().sum()) for x in sparsity.sparse_layers(network))
  assert summary.nonzero == ones
  assert summary.parameters == ones + 32 + 32 + 2  # And the biases.
  assert (summary.env_steps, summary.train_steps) == (600, 500)
  # 4 x 32, 32 x 32 and 32 x 2 kernel entries.
  assert summary.sparsity == pytest.approx(1 - ones / (128 + 1024 + 64))


def test_train_period_and_an_uneven_end(tmp_path, tiny_config):
  config = tiny_config(
    num_env_steps=252,
    initial_collect_env_steps=102,
    train_period=4,
    eval_period=100,
    method='static',
  )
  directory = run_dir.RunDir(tmp_path)
  directory.start(config)
  outcome = loop.train(config, directory)
  results = directory.read_results()
  # The last evaluation is at the end, wherever the period is.
  assert [r.env_step for r in results] == [0, 100, 200, 252]
  # Train steps at 104, 108, ..., 252.
  assert [r.train_step for r in results] == [0, 0, 25, 38]
  assert outcome.summary.train_steps == config.num_train_steps == 38


@pytest.mark.parametrize('num_envs, train_period', [(4, 8), (4, 2), (6, 4)])
def test_environments_side_by_side(
  tmp_path, tiny_config, monkeypatch, num_envs, train_period
):
  config = tiny_config(
    num_envs=num_envs,
    num_env_steps=252,
    initial_collect_env_steps=102,
    train_period=train_period,
    eval_period=100,
    checkpoint_period=120,
    method='static',
  )
  buffers, recorder = [], tiny.Recorder()
  make = replay.make
  monkeypatch.setattr(
    replay, 'make', lambda *args: buffers.append(make(*args)) or buffers[-1]
  )
  directory = run_dir.RunDir(tmp_path)
  directory.start(config)
  summary = loop.train(config, directory, [recorder]).summary
  steps = recorder.env_steps
  assert steps == list(range(num_envs, 253, num_envs))
  results = directory.read_results()
  # The first at or after 100 and 200.
  at = [next(s for s in steps if s >= due) for due in (100, 200)]
  assert [r.env_step for r in results] == [0, *at, 252]
  # As many as with one environment.
  trained = 252 // train_period - 102 // train_period
  assert summary.train_steps == config.num_train_steps == trained
  first = next(s for s in steps if s >= 120)
  names = sorted(p.name for p in directory.checkpoints.glob('env_step_*'))
  assert names[0] == f'env_step_{first:012d}'

  # Of each environment every num_envs-th transition: one follows the other.
  [buffer] = buffers
  rows = buffer.rows(0, 252)
  starts = set()
  for i in range(num_envs):
    own = rows[i::num_envs]
    follows = (own[:-1, 7:11] == own[1:, :4]).all(axis=1)
    over = own[:-1, 6] == 0
    assert (follows != over).all() and over.any()
    starts |= {tuple(row) for row in own[1:][over][:, :4]} | {tuple(own[0, :4])}
  episodes = int((rows[:, 6] == 0).sum())
  over_at_the_end = int((rows[-num_envs:, 6] == 0).sum())
  # No two episodes have the same start.
  assert len(starts) == num_envs + episodes - over_at_the_end


def test_pruning_that_ends_with_the_run_is_done(tmp_path, tiny_config):
  config = tiny_config(
    method='prune', num_env_steps=160, prune_begin_train_step=20
  )
  assert config.num_train_steps == 60
  assert config.prune_end_train_step == 59  # 0.75 of 160 is after the end.
  directory = run_dir.RunDir(tmp_path)
  directory.start(config)
  summary = loop.train(config, directory).summary
  assert summary.sparsity == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_a_diverging_run_stops_at_its_train_step(
  tmp_path, tiny_config, jit_compile
):
  config = tiny_config(
    learning_rate=1e6, jit_compile=jit_compile, checkpoint_period=20
  )
  directory = run_dir.RunDir(tmp_path)
  directory.start(config)
  recorder = tiny.Recorder()
  with pytest.raises(
    loop.TrainingError, match='not finite at train step .*--learning_rate'
  ) as error:
    loop.train(config, directory, [recorder])
  # The env step that was not completed, the 100 before training left out.
  reached = recorder.env_steps[-1]
  train_step = reached + 1 - 100
  assert 2 <= train_step < 100
  assert f'at train step {train_step} (env step' in str(error.value)
  # The checkpoints are those of before it, whole.
  last = reached // 20 * 20
  names = [f'env_step_{step:012d}' for step in (last - 40, last - 20, last)]
  assert sorted(p.name for p in directory.checkpoints.glob('*/')) == names
  for name in names:
    reader = tf.train.load_checkpoint(
      str(directory.checkpoints / name / 'agent')
    )
    for key, dtype in reader.get_variable_to_dtype_map().items():
      assert dtype != tf.float32 or np.isfinite(reader.get_tensor(key)).all()


def _content(path):
  return {p: p.read_bytes() for p in sorted(path.rglob('*')) if p.is_file()}


def test_a_stopped_run_ends_like_one_left_alone(
  tmp_path, tiny_config, tiny_run
):
  config = tiny_config()
  directory = run_dir.RunDir(tmp_path)
  directory.start(config)
  acted = []

  def train(stop=lambda reached: False):
    recorder = tiny.Recorder()
    steps = recorder.env_steps
    outcome = loop.train(
      config, directory, [recorder], lambda: stop(steps[-1] if steps else None)
    )
    return outcome, recorder.messages

  # Before it has done anything.
  with pytest.raises(callbacks.StoppedError, match='Stopped at env step 0$'):
    train(lambda reached: True)
  assert not directory.checkpoints.exists()
  assert directory.read_results() == []

  # In the evaluation at 400, which has asked three times by then.
  def in_evaluation(reached):
    if reached == 400:
      acted.append(reached)
    return len(acted) > 3

  with pytest.raises(callbacks.StoppedError, match='Stopped at env step 400$'):
    train(in_evaluation)
  assert [r.env_step for r in directory.read_results()] == [0, 200]
  assert [p.name for p in directory.checkpoints.glob('env_step_*')] == [
    'env_step_000000000400'
  ]

  # A damaged checkpoint, and no other one to fall back to.
  [state] = directory.checkpoints.glob('*/state.json')
  good = state.read_bytes()
  state.write_bytes(good.replace(b'400', b'401', 1))
  before = _content(tmp_path)
  with pytest.raises(
    checkpoints.CheckpointError, match='state.json is not as it was written'
  ):
    train()
  assert _content(tmp_path) == before
  state.write_bytes(good)

  outcome, lines = train()
  assert [line.split(':')[0] for line in lines] == [
    'dqn CartPole-v1 rigl 0.9, seed 0',
    'Backends',
    'Continuing at env step 400.',
  ]
  results, expected = directory.read_results(), tiny_run.run_dir.read_results()
  assert _without_clock(results) == _without_clock(expected)
  walls = [r.wall_seconds for r in results]
  assert walls == sorted(walls)
  for ours, theirs in zip(
    outcome.agent.tf_agent.variables, tiny_run.outcome.agent.tf_agent.variables
  ):
    np.testing.assert_array_equal(ours, theirs)


def test_diagnostics_leave_training_alone(tmp_path, tiny_config):
  results = []
  for name, kinds in (('without', ''), ('with', 'snr,rank,churn')):
    directory = run_dir.RunDir(tmp_path / name)
    directory.path.mkdir()
    config = tiny_config(
      num_env_steps=200, diagnostics=kinds, diagnostics_period=20
    )
    directory.start(config)
    loop.train(config, directory)
    results.append(_without_clock(directory.read_results()))
  assert all(result.pop('diagnosis') for result in results[1][1:])
  assert results[1][0].pop('diagnosis') == {}  # Before the first train step.
  assert results[0] == results[1]


def _stopped_run(path, config, stops):
  """The directory of a run that was stopped at some env steps in turn."""
  directory = run_dir.RunDir(path)
  directory.path.mkdir()
  directory.start(config)
  for env_step in stops:
    recorder = tiny.Recorder()
    with pytest.raises(callbacks.StoppedError, match=f'env step {env_step}$'):
      loop.train(
        config,
        directory,
        [recorder],
        lambda steps=recorder.env_steps, n=env_step: steps[-1:] == [n],
      )
  return directory


@pytest.mark.parametrize(
  'env_name, num_envs, stopped',
  [
    ('Pendulum-v1', 1, (33, 100, 150)),
    pytest.param('CartPole-v1', 4, (36, 100, 148), marks=pytest.mark.slow),
  ],
)
def test_ppo_stopped_in_a_rollout_ends_like_one_left_alone(
  tmp_path, env_name, num_envs, stopped
):
  config = flags.make_config(
    {
      'agent': 'ppo',
      'env_name': env_name,
      'num_envs': num_envs,
      'num_env_steps': 200,
      'rollout_env_steps': 64,
      'num_epochs': 2,
      'batch_size': 16,
      'hidden_units': (16, 16),
      'mask_update_period': 3,
      'eval_period': 100,
      'num_eval_episodes': 2,
      'checkpoint_period': 30,
      'diagnostics': 'snr,churn',
      'diagnostics_period': 50,
      'summary_period': 64,
      'weight_decay': 1e-3,
    }
  )
  results, variables, l2_losses = [], [], []
  for name, stops in (('alone', ()), ('stopped', stopped)):
    directory = _stopped_run(tmp_path / name, config, stops)
    agent = loop.train(config, directory).agent
    assert agent.train_step == config.num_train_steps == 24
    results.append(_without_clock(directory.read_results()))
    l2_losses.append(_points(directory.path / 'train', 'Losses/l2_loss'))
    # Scales of rewards and observations are among them.
    values = tf.train.Checkpoint(**agent.saved)
    path = values.write(str(tmp_path / f'{name}_agent'))
    variables.append(
      {
        key: tf.train.load_variable(path, key)
        for key, _ in tf.train.list_variables(path)
        if key != '_CHECKPOINTABLE_OBJECT_GRAPH' and 'save_counter' not in key
      }
    )
  assert results[0] == results[1]
  # To the last bit: a sum of squares in an order of its own.
  assert len(l2_losses[0]) == 3 and l2_losses[0] == l2_losses[1]
  assert any('normalizer/mean' in key for key in variables[0])
  assert any('reward_normalizer/variance' in key for key in variables[0])
  for key, value in variables[0].items():
    np.testing.assert_array_equal(value, variables[1][key], err_msg=key)


def _points(directory, tag):
  """{env step: value} of a scalar in event files."""
  return {
    event.step: float(tf.make_ndarray(value.tensor))
    for path in sorted(directory.iterdir())
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
    if value.tag == tag
  }


@pytest.mark.slow
def test_pong_stopped_ends_like_one_left_alone(tmp_path):
  config = flags.make_config(
    {
      'env_name': 'Pong',
      'width': 0.1,
      'num_envs': 2,
      'num_env_steps': 160,
      'initial_collect_env_steps': 60,
      'n_step': 3,
      'replay_capacity': 100,
      'mask_update_period': 8,
      'epsilon_decay_env_steps': 80,
      'eval_period': 160,
      'num_eval_episodes': 1,
      'checkpoint_period': 40,
      'mask_images': True,
    }
  )
  agents, results = [], []
  for name, stops in (('alone', ()), ('stopped', (90, 120))):
    directory = _stopped_run(tmp_path / name, config, stops)
    agents.append(loop.train(config, directory).agent.tf_agent)
    results.append(_without_clock(directory.read_results()))
  assert results[0] == results[1]
  assert int(agents[0].train_step_counter) == config.num_train_steps == 25
  for ours, theirs in zip(agents[0].variables, agents[1].variables):
    np.testing.assert_array_equal(ours, theirs)
  # The masks are enforced wherever the network is asked.
  for layer in sparsity.sparse_layers(agents[0]._q_network):
    assert not layer.kernel.numpy()[layer.mask.numpy() == 0].any()


def test_three_steps_of_cartpole_stopped_end_like_those_left_alone(
  tmp_path, tiny_config, monkeypatch
):
  config = tiny_config(
    num_envs=2,
    num_env_steps=300,
    n_step=3,
    replay_capacity=120,
    eval_period=150,
    checkpoint_period=40,
  )
  drawn = []
  sample = replay.Replay.sample
  monkeypatch.setattr(
    replay.Replay,
    'sample',
    lambda *args: drawn.append(sample(*args)) or drawn[-1],
  )
  agents, results = [], []
  for name, stops in (('alone', ()), ('stopped', (60, 150, 212))):
    directory = _stopped_run(tmp_path / name, config, stops)
    agents.append(loop.train(config, directory).agent.tf_agent)
    results.append(_without_clock(directory.read_results()))
  assert results[0] == results[1]
  assert int(agents[0].train_step_counter) == config.num_train_steps == 200
  for ours, theirs in zip(agents[0].variables, agents[1].variables):
    np.testing.assert_array_equal(ours, theirs)
  # The same batches, of rewards over one to three env steps.
  batches = np.stack(drawn)
  np.testing.assert_array_equal(*np.split(batches, 2))
  rewards = [1, 1 + config.gamma, 1 + config.gamma + config.gamma**2]
  np.testing.assert_allclose(np.unique(batches[..., 5]), rewards, rtol=1e-6)
  discounts = [0, config.gamma**2]
  np.testing.assert_allclose(np.unique(batches[..., 6]), discounts, rtol=1e-6)


def test_checkpoints_come_at_their_period_and_at_the_end(tmp_path, tiny_config):
  config = tiny_config(
    num_env_steps=250, checkpoint_period=40, eval_period=50, method='static'
  )
  directory = run_dir.RunDir(tmp_path)
  directory.start(config)
  seen = set()

  class Look(callbacks.Callback):
    def on_env_step(self, training):
      seen.update(directory.checkpoints.glob('env_step_*'))

  loop.train(config, directory, [Look()])
  steps = sorted(int(path.name.rpartition('_')[2]) for path in seen)
  assert steps == [40, 80, 120, 160, 200, 240, 250]
  # Of these, 200 and 250 were evaluated; the other one of the last three has
  # not been.
  left = {p.name for p in directory.checkpoints.glob('env_step_*')}
  assert left == {f'env_step_{n:012d}' for n in (200, 240, 250)}


_TINY_COMMAND = (
  '--num_env_steps=300',
  '--initial_collect_env_steps=100',
  '--hidden_units=32,32',
  '--batch_size=16',
  '--eval_period=100',
  '--num_eval_episodes=3',
  '--mask_update_period=20',
  '--summary_period=50',
)


def test_a_run_is_the_same_whatever_the_hash_seed(commands, tmp_path):
  first, second = (run_dir.RunDir(tmp_path / name) for name in ('1', '2'))
  flags = (*_TINY_COMMAND, '--method=set')
  other = subprocess.Popen(
    [
      *(sys.executable, '-m', 'tf_sparse_rl.train'),
      *(f'--root_dir={first.path}', *flags),
    ],
    env={**os.environ, 'PYTHONHASHSEED': '1'},
    stderr=subprocess.PIPE,
    text=True,
  )
  # That of the commands is 0.
  ended = commands.run('train', f'--root_dir={second.path}', *flags)
  assert (ended.returncode, ended.stderr) == (0, '')
  assert other.communicate(timeout=300)[1] == ''
  assert other.returncode == 0
  results = _without_clock(first.read_results())
  assert len(results) == 4
  assert results == _without_clock(second.read_results())


def test_runs_that_cannot_go_on_end_in_a_sentence(commands, tmp_path):
  diverging, full = (
    run_dir.RunDir(tmp_path / name) for name in ('nan', 'full')
  )
  status, _, stderr = commands.run(
    *('train', f'--root_dir={diverging.path}', *_TINY_COMMAND),
    '--learning_rate=1e6',
  )
  assert status == 2
  assert stderr.startswith('error: The loss is not finite at train step ')
  assert 'Loss is inf or nan' in stderr and '--learning_rate' in stderr
  assert 'Traceback' not in stderr
  assert diverging.read_summary() is None
  assert not diverging.policy_path.exists()
  assert len(diverging.read_results()) >= 2

  # The disk is full while events are written.
  status, _, stderr = commands.run(
    *('train', f'--root_dir={full.path}', *_TINY_COMMAND), max_file_bytes=3000
  )
  assert status == 2
  assert stderr.startswith(f'error: Writing to {full.path} failed: ')
  assert 'File too large' in stderr
  assert 'Traceback' not in stderr
  assert full.read_summary() is None
  # It may be started again in the same place.
  full.check_config(full.read_config())


def test_a_close_that_fails_is_told_when_all_is_done():
  class Faulty(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def close(self):
      raise SystemExit(0)

  told = []
  faulty = [
    envs.from_name(envs.name_callable(make))
    for make in (Faulty, lambda: gym.make('CartPole-v1'), Faulty)
  ]
  training = types.SimpleNamespace(
    envs=faulty[:1], eval_envs=faulty[1:], message=told.append
  )
  loop.Training.close(training)
  assert len(told) == 2
  assert all(': close raised SystemExit:\n' in text for text in told)
