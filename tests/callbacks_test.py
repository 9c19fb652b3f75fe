"""Callbacks: what is shown, what stops, what is never called."""

import types

import pytest

from tests import tiny
from tf_sparse_rl import callbacks, config

_TRAINING = types.SimpleNamespace(
  config=config.make_config({}), env_step=3, stopped=0
)


def test_only_what_is_defined_is_called():
  class Mine(callbacks.Callback):
    def on_end(self, training):
      return 'end'

  mine, other = Mine(), types.SimpleNamespace(on_env_step=lambda training: 7)
  every = [mine, other, callbacks.Callback()]
  assert callbacks.methods(every, 'on_evaluation') == []
  assert callbacks.methods(every, 'on_end') == [mine.on_end]
  [on_env_step] = callbacks.methods(every, 'on_env_step')
  assert on_env_step(None) == 7


@pytest.mark.parametrize('enough, stops', [(12.0, True), (12.5, False)])
def test_early_stopping_at_a_return(enough, stops):
  asked = []
  training = types.SimpleNamespace(stop=lambda: asked.append(True))
  stopping = callbacks.EarlyStopping(enough)
  stopping.on_evaluation(training, tiny.evaluation(100, 12.0))
  assert asked == [True] * stops


def test_without_a_terminal_a_line_for_each_evaluation(capsys):
  bar = callbacks.ProgressBar()
  bar.on_message(_TRAINING, 'what is trained')
  bar.on_env_step(_TRAINING)
  bar.on_evaluation(
    _TRAINING,
    tiny.evaluation(1200, 12.34, sparsity=0.8972, env_steps_per_sec=56.7),
  )
  bar.on_end(_TRAINING)
  shown = capsys.readouterr()
  first, second = shown.out.splitlines()
  assert first == 'what is trained'
  for part in ('1,200', '12.3', '0.897', '57 env steps/s'):
    assert part in second
  assert shown.err == ''


@pytest.fixture(name='clock')
def clock_fixture(monkeypatch):
  """A list whose number is the time."""
  now = [1000.0]
  monkeypatch.setattr('time.monotonic', lambda: now[0])
  return now


def test_the_time_left_follows_from_the_latest_pace(capsys, clock):
  bar = callbacks.ProgressBar()
  training = types.SimpleNamespace(config=_TRAINING.config, env_step=0)

  def evaluate(env_step, seconds):
    training.env_step, clock[0] = env_step, clock[0] + seconds
    bar.on_evaluation(training, tiny.evaluation(env_step, 1.0))
    return capsys.readouterr().out

  assert 'left' not in evaluate(0, 0)
  # 98,000 of 100,000 env steps are left, a second for 100.
  assert evaluate(2000, 20).endswith('  16 min left\n')
  assert evaluate(4000, 200).endswith('  2 h 40 min left\n')
  assert 'left' not in evaluate(100_000, 10)


def test_a_long_silence_is_broken(capsys, clock):
  bar = callbacks.ProgressBar()
  training = types.SimpleNamespace(config=_TRAINING.config, env_step=0)
  bar.on_evaluation(training, tiny.evaluation(0, 1.0))
  capsys.readouterr()
  lines = []
  for _ in range(14):
    training.env_step += 1000
    clock[0] += 100
    bar.on_env_step(training)
    lines.append(capsys.readouterr().out)
  assert [i for i, line in enumerate(lines) if line] == [6, 13]
  assert lines[6] == 'env_step     7,000  2 h 35 min left\n'
