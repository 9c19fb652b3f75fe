"""Extended runs: schedules, learning rates, and equality with longer runs."""

import json

import numpy as np
import pytest

from tests import tiny
from tf_sparse_rl import callbacks, runs
from tf_sparse_rl import config as config_lib
from tf_sparse_rl.agents import falling
from tf_sparse_rl.training import loop

_TINY = {**tiny.RUN, 'num_env_steps': 300, 'checkpoint_period': 100}
_PPO = {
  **_TINY,
  'agent': 'ppo',
  'env_name': 'Pendulum-v1',
  'initial_collect_env_steps': None,
  'rollout_env_steps': 64,
  'num_epochs': 1,
}
_CLOCK = ('wall_seconds', 'env_steps_per_sec')


class _Watching(callbacks.Callback):
  """Keeps messages; stops at an env step."""

  def __init__(self, stop_at):
    self.messages, self._stop_at = [], stop_at

  def on_message(self, training, text):
    self.messages.append(text)

  def on_env_step(self, training):
    if self._stop_at and training.env_step >= self._stop_at:
      training.stop()


def _train(path, values, stop_at=None):
  """One attempt of a run, as the command makes it; what it logs."""
  run_dir, watching = runs.RunDir(path), _Watching(stop_at)
  config = runs.config_for(run_dir, values)
  run_dir.check_config(config)
  with run_dir.locked():
    outcome = loop.train(config, run_dir, [watching])
    run_dir.finish(outcome.summary)
  return outcome, watching.messages


def _results(path):
  return [
    {k: v for k, v in result.to_json().items() if k not in _CLOCK}
    for result in runs.RunDir(path).read_results()
  ]


def _assert_same_end(one, other):
  """Two agents with the same weights, masks and optimizer slots."""
  a, b = (outcome.agent for outcome in (one, other))
  assert a.train_step == b.train_step > 0
  for name, network in a.networks.items():
    for x, y in zip(network.variables, b.networks[name].variables, strict=True):
      np.testing.assert_array_equal(x.numpy(), y.numpy())
  for name, optimizer in a.optimizers.items():
    pairs = zip(optimizer.variables, b.optimizers[name].variables, strict=True)
    for x, y in pairs:
      np.testing.assert_array_equal(x.numpy(), y.numpy())


@pytest.mark.parametrize(
  'values',
  [
    pytest.param(_TINY, marks=pytest.mark.slow, id='dqn'),
    pytest.param(_PPO, id='ppo'),
  ],
)
def test_a_run_made_longer_is_the_run_of_its_config(tmp_path, values):
  longer = {**values, 'num_env_steps': 600}
  _train(tmp_path / 'twice', values)
  first = runs.RunDir(tmp_path / 'twice')
  assert first.read_summary().env_steps == 300
  short = _results(first.path)
  outcome, logged = _train(first.path, longer)
  assert any(x.startswith('From env step 300 on: num_env') for x in logged)
  assert 'Continuing at env step 300.' in logged
  # The evaluation at the end of the shorter run stays, as do those before it.
  assert _results(first.path)[: len(short)] == short
  assert first.read_summary().env_steps == 600
  assert first.read_summary().num_evaluations == len(_results(first.path))

  resolved = config_lib.load_values(first.path / 'config.json')
  at_once, _ = _train(tmp_path / 'once', resolved)
  _assert_same_end(outcome, at_once)
  once = _results(tmp_path / 'once')
  extra = [r for r in _results(first.path) if r not in once]
  assert [r['env_step'] for r in extra] == [300]  # Of 0, 200, 400, 600.
  [entry] = first.read_history()
  assert entry['env_step'] == 300
  assert entry['changed']['num_env_steps'] == [300, 600]
  assert not runs.RunDir(tmp_path / 'once').read_history()


@pytest.mark.slow
def test_it_goes_on_where_it_was_killed_and_is_finished_at_the_end(tmp_path):
  longer = {**_TINY, 'num_env_steps': 600, 'eval_period': 100}
  _train(tmp_path, _TINY)
  run_dir = runs.RunDir(tmp_path)
  before = (tmp_path / 'summary.json').read_bytes()
  for stop_at in (301, 450):
    with pytest.raises(callbacks.StoppedError):
      _train(tmp_path, longer, stop_at)
    # The summary is there, but of a shorter run.
    assert (tmp_path / 'summary.json').read_bytes() == before
    assert run_dir.read_summary() is None
    [run] = runs.read(tmp_path)
    assert run.status == runs.UNFINISHED
  # Asked once more: nothing of it is news.
  outcome, logged = _train(tmp_path, longer)
  assert not any('From env step' in line for line in logged)
  assert len(run_dir.read_history()) == 1
  assert run_dir.read_summary().env_steps == 600
  assert [r['env_step'] for r in _results(tmp_path)] == [
    *(0, 200, 300, 400, 500, 600)
  ]
  at_once, _ = _train(
    tmp_path / 'once', config_lib.load_values(tmp_path / 'config.json')
  )
  _assert_same_end(outcome, at_once)


def test_an_unfinished_run_may_be_made_longer(tmp_path):
  with pytest.raises(callbacks.StoppedError):
    _train(tmp_path, _PPO, 150)
  longer = {**_PPO, 'num_env_steps': 600}
  _train(tmp_path, longer)
  values = json.loads((tmp_path / 'config.json').read_text('utf-8'))
  assert values['learning_rate_turns'] == [150, 300]
  assert values['history'][0]['changed'] == {
    'num_env_steps': [300, 600],
    'learning_rate_turns': [[], [150, 300]],
  }


def _rates(**values):
  """The learning rate in each rollout, as shares of the first."""
  config = config_lib.make_config({**_PPO, 'learning_rate': 1.0, **values})
  schedule = falling.Falling(config)
  batches = config.num_train_steps // (config.num_env_steps // 64)
  rollouts = range(config.num_env_steps // 64)
  return [float(schedule(i * batches)) for i in rollouts]


def test_the_learning_rate_turns_without_a_jump():
  assert _rates(num_env_steps=256) == [1, 0.75, 0.5, 0.25]
  # From the last rate before, 1 / 4 in rollout 3, to 0 in rollout 8.
  np.testing.assert_allclose(
    _rates(num_env_steps=512, learning_rate_turns=(256, 256)),
    [1, 0.75, 0.5, *(0.25 * np.array([1, 0.8, 0.6, 0.4, 0.2]))],
    rtol=1e-6,
  )
  # An unfinished one, twice.
  turns = (128, 256, 320, 512)
  np.testing.assert_allclose(
    _rates(num_env_steps=640, learning_rate_turns=turns),
    [
      *(1, 0.75),
      *(0.75 * np.array([6, 5, 4]) / 7),
      *(0.75 * 4 / 7 * np.array([5, 4, 3, 2, 1]) / 6),
    ],
    rtol=1e-6,
  )


@pytest.mark.parametrize(
  'turns', [(256,), (256, 512), (0, 256), (300, 256), (256, 256, 128, 256)]
)
def test_turns_that_are_none(turns):
  with pytest.raises(ValueError, match='learning_rate_turns as pairs'):
    _rates(num_env_steps=500, learning_rate_turns=turns)
