"""Callbacks, whose methods are called during training."""

import sys
import time
from typing import Any

import tqdm

from tf_sparse_rl import output, signals, text_table
from tf_sparse_rl.runs import Evaluation

# Without a terminal, the longest time between two lines.
_SILENCE_SECONDS = 600.0


class StoppedError(Exception):
  """Training was stopped and can be continued; its state has been saved."""

  def __init__(self, env_step: int):
    """Takes the env step; the handler of a signal sets `signal`."""
    super().__init__(f'Stopped at env step {env_step:,}')
    self.signal: int | None = None


class Callback:
  """Base class of callbacks; see `tf_sparse_rl.train`.

  Override the methods that you need; the others are never called. `training`
  is the current state of the run:

    training.config       the resolved config
    training.run_dir      the RunDir; its `path` is the directory
    training.agent        the agent: `agent.networks`, `agent.tf_agent`
    training.env_step     env steps so far
    training.train_step   train steps so far
    training.stop()       saves a checkpoint and stops training

  A callback may change the agent. Resuming is exact only if callbacks have no
  state of their own and depend on `training` alone.
  """

  def on_message(self, training: Any, text: str) -> None:
    """Called with a message for the user, such as where training resumes."""

  def on_evaluation(self, training: Any, evaluation: Evaluation) -> None:
    """Called after an evaluation, with its line of results.jsonl."""

  def on_env_step(self, training: Any) -> None:
    """Called after a step of each environment and the training due."""

  def on_mask_update(self, training: Any) -> None:
    """Called after train steps that may have updated masks."""

  def on_end(self, training: Any) -> None:
    """Called once at the end, whether training is finished or stopped."""


def methods(callbacks, event):
  """Returns the methods of the callbacks that override an event.

  Args:
    callbacks: Callbacks, or objects with some methods of Callback.
    event: name of a method of Callback.

  Returns:
    List of bound methods, in order.
  """
  unused = getattr(Callback, event)
  found = (getattr(callback, event, None) for callback in callbacks)
  return [
    method
    for method in found
    if method is not None and getattr(method, '__func__', None) is not unused
  ]


class EarlyStopping(Callback):
  """Stops training once an evaluation reaches a mean return."""

  def __init__(self, return_mean: float):
    """Takes the mean return at which training stops."""
    self._return_mean = return_mean

  def on_evaluation(self, training: Any, evaluation: Evaluation) -> None:
    """Stops if the return is reached."""
    if evaluation.return_mean >= self._return_mean:
      training.stop()


class ProgressBar(Callback):
  """Prints a line for each evaluation, on a terminal above a progress bar.

  Without a terminal the lines tell the time left, and a further line tells it
  every ten minutes without an evaluation.
  """

  def __init__(self):
    """Creates the callback; the bar starts with training."""
    self._bar = None
    # (seconds, env step) when the pace was last measured, and of the last line.
    self._mark, self._said = None, 0.0

  def on_message(self, training: Any, text: str) -> None:
    """Prints the line; starts the bar at the first one."""
    _print(text)
    if self._bar is None and sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=training.config.num_env_steps, unit='step', dynamic_ncols=True
      )

  def on_evaluation(self, training: Any, evaluation: Evaluation) -> None:
    """Prints the return, above the bar if there is one."""
    speed = evaluation.env_steps_per_sec
    parts = [
      f'env_step {evaluation.env_step:>9,}',
      f'return {evaluation.return_mean:8.1f}',
      f'sparsity {evaluation.sparsity:.3f}',
    ]
    if speed:
      parts.append(f'{speed:.0f} env steps/s')
    if self._bar is None and (left := self._left(training)):
      parts.append(f'{left} left')
    _print('  '.join(parts) + _stopped(training.config, evaluation))
    if self._bar is not None:
      self._bar.set_postfix_str(f'return {evaluation.return_mean:.1f}')

  def on_env_step(self, training: Any) -> None:
    """Advances the bar; without one, prints the time left now and then."""
    if self._bar is not None:
      self._bar.update(training.env_step - self._bar.n)
    elif time.monotonic() - self._said > _SILENCE_SECONDS:
      if left := self._left(training):
        _print(f'env_step {training.env_step:>9,}  {left} left')

  def on_end(self, training: Any) -> None:
    """Closes the bar."""
    if self._bar is not None:
      self._bar.close()

  def _left(self, training):
    """The time left at the pace since the last call, in words; '' if none."""
    now, env_step = time.monotonic(), training.env_step
    left = training.config.num_env_steps - env_step
    before, self._mark, self._said = self._mark, (now, env_step), now
    if before is None or env_step == before[1] or not left:
      return ''
    pace = (now - before[0]) / (env_step - before[1])
    return text_table.duration(left * pace)


def _print(text):
  """Prints a line, above the bar if there is one.

  Training continues where the output is closed.
  """
  if sys.stdout is None:
    return
  try:
    tqdm.tqdm.write(text)
    sys.stdout.flush()
  except (OSError, output.OutputError):  # A closed pipe, a full disk.
    signals.leave([1])


def _stopped(config, evaluation):
  """Tells how many episodes of an evaluation were stopped."""
  count = evaluation.num_stopped_episodes
  if not count:
    return ''
  return (
    f'  ({count} of {len(evaluation.returns)} episodes stopped at '
    f'{config.max_eval_episode_env_steps:,} env steps)'
  )
