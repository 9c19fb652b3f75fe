"""The progress of a sweep: a bar on a terminal, otherwise lines."""

import sys
import time

import tqdm

from tf_sparse_rl import text_table
from tf_sparse_rl.sweeps import status as status_lib

# Reading the status of all running runs takes time.
_LOOK_SECONDS = 2.0


class Progress:
  """Prints a line for each run that ends, and a bar on a terminal."""

  def __init__(self, sweep_dir, statuses):
    """Starts the bar.

    Args:
      sweep_dir: a SweepDir.
      statuses: RunStatus of all runs, before the start.
    """
    self._sweep_dir = sweep_dir
    self._steps = {s.run.id: s.env_step for s in statuses}
    self._num_runs = len(statuses)
    self._num_finished = sum(s.state == 'finished' for s in statuses)
    self._running, self._num_failed = {}, 0
    self._looked = 0.0
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=sum(s.num_env_steps for s in statuses),
        initial=sum(self._steps.values()),
        unit='step',
        unit_scale=True,
        dynamic_ncols=True,
      )

  def __enter__(self):
    return self

  def __exit__(self, *args):
    if self._bar is not None:
      self._bar.close()

  def on_event(self, run, event, text):
    """Shows an event of the driver; see `driver.execute`."""
    if event == 'waiting':
      self._look()
      return
    if event == 'started':
      self._running[run.id] = run
      return
    del self._running[run.id]
    self._num_finished += event == 'finished'
    self._num_failed += event == 'failed'
    if event == 'finished':
      [status] = status_lib.read(self._sweep_dir, [run])
      self._steps[run.id] = status.num_env_steps
      text = (
        f'final return {status.final_return:.1f}, '
        f'{text_table.duration(status.seconds)}'
      )
    counts = f'[{self._num_finished}/{self._num_runs}]'
    told = f'{counts} {run.id} {event}'
    tqdm.tqdm.write(f'{told}: {text}' if text else told)
    sys.stdout.flush()
    self._look(at_once=True)

  def _look(self, at_once=False):
    now = time.monotonic()
    if self._bar is None or (
      not at_once and now - self._looked < _LOOK_SECONDS
    ):
      return
    self._looked = now
    statuses = status_lib.read(self._sweep_dir, self._running.values())
    for status in statuses:
      self._steps[status.run.id] = status.env_step
    num_running = sum(status.state == 'running' for status in statuses)
    self._bar.update(sum(self._steps.values()) - self._bar.n)
    # Draws it, too.
    self._bar.set_postfix_str(
      f'{self._num_finished} of {self._num_runs} runs, '
      f'{num_running} running, {self._num_failed} failed'
    )
