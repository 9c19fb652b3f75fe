"""Callbacks: code of yours that is called while a run trains."""

import sys
import time
from typing import Any

import tqdm

from tf_sparse_rl import output, signals, text_table
from tf_sparse_rl.runs import Evaluation

# Without a terminal, after so long without a line there is one.
_SILENCE_SECONDS = 600.0


class StoppedError(Exception):
  """Training was stopped and can be continued; its state has been saved."""

  def __init__(self, env_step: int):
    """Names the env step; whoever caught a signal says which one."""
    super().__init__(f'Stopped at env step {env_step:,}')
    self.signal: int | None = None


class Callback:
  """Is called while a run trains; see `tf_sparse_rl.train`.

  Override the methods that you need: one that is not overridden is never
  called and costs nothing. `training` is the run as it is at that moment:

    training.config       the resolved config
    training.run_dir      the RunDir; its `path` is the directory
    training.agent        the agent: `agent.networks`, `agent.tf_agent`
    training.env_step     env steps so far
    training.train_step   train steps so far
    training.stop()       ends training after a checkpoint, to be continued

  What a callback changes in the agent is part of the run; a run that is
  continued is exact only if its callbacks are functions of `training`.
  """

  def on_message(self, training: Any, text: str) -> None:
    """Is told a line for a person, such as where a run continues."""

  def on_evaluation(self, training: Any, evaluation: Evaluation) -> None:
    """Is called after an evaluation, with its line of results.jsonl."""

  def on_env_step(self, training: Any) -> None:
    """Is called after an env step of each environment, and its training."""

  def on_mask_update(self, training: Any) -> None:
    """Is called after training in which masks may have changed."""

  def on_end(self, training: Any) -> None:
    """Is called once at the end, whether training is finished or stopped."""


def methods(callbacks, event):
  """The methods for an event of those callbacks that define it.

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
  """Stops training once an evaluation reaches a return."""

  def __init__(self, return_mean: float):
    """Takes the mean return of an evaluation that is enough."""
    self._return_mean = return_mean

  def on_evaluation(self, training: Any, evaluation: Evaluation) -> None:
    """Stops if the return is reached."""
    if evaluation.return_mean >= self._return_mean:
      training.stop()


class ProgressBar(Callback):
  """Prints a line for each evaluation; on a terminal below them is a bar.

  Elsewhere the lines say how much time is left, and where there is none for a
  long time a line says that.
  """

  def __init__(self):
    """The bar begins with training."""
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
    """Moves the bar; without one, breaks a long silence."""
    if self._bar is not None:
      self._bar.update(training.env_step - self._bar.n)
    elif time.monotonic() - self._said > _SILENCE_SECONDS:
      if left := self._left(training):
        _print(f'env_step {training.env_step:>9,}  {left} left')

  def on_end(self, training: Any) -> None:
    """Ends the bar."""
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
  """Prints a line, above a bar if there is one.

  Training goes on where no one can read it any more.
  """
  try:
    tqdm.tqdm.write(text)
    sys.stdout.flush()
  except (OSError, output.OutputError):  # A closed pipe, a full disk.
    signals.leave([1])


def _stopped(config, evaluation):
  """Says how many episodes of an evaluation did not end by themselves."""
  count = evaluation.num_stopped_episodes
  if not count:
    return ''
  return (
    f'  ({count} of {len(evaluation.returns)} episodes stopped at '
    f'{config.max_eval_episode_env_steps:,} env steps)'
  )
