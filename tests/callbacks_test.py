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
