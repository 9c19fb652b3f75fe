"""The terminal: progress of a run, and a table at its end."""

import sys

import tqdm

from tf_sparse_rl import sparsity


class Progress:
  """A bar on a terminal; elsewhere a line for each evaluation."""

  def __init__(self, config):
    """Says what is trained, and starts the bar."""
    print(
      f'{config.label}, seed {config.seed}: {config.num_env_steps:,} env steps'
    )
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=config.num_env_steps, unit='step', dynamic_ncols=True
      )

  def __enter__(self):
    return self

  def __exit__(self, *args):
    if self._bar is not None:
      self._bar.close()

  def log(self, text):
    """Prints a line; to be given to the loop, as `log`."""
    tqdm.tqdm.write(text)

  def update(self, env_step, result):
    """Moves on; to be given to the loop, as `on_progress`."""
    if self._bar is None:
      if result is not None:
        speed = result.env_steps_per_sec
        print(
          f'env_step {env_step:>9,}  return {result.return_mean:8.1f}  '
          f'sparsity {result.sparsity:.3f}'
          + (f'  {speed:.0f} env steps/s' if speed else ''),
          flush=True,
        )
    elif result is not None:
      self._bar.set_postfix_str(f'return {result.return_mean:.1f}')
    else:
      self._bar.update(env_step - self._bar.n)


def closing_table(run_dir, agent, summary):
  """The networks, returns and paths of a finished run, in several lines."""
  results = run_dir.read_results()
  lines = []
  for name, network in agent.networks.items():
    lines += ['', name, sparsity.summary(network)]
  minutes, seconds = divmod(round(summary.wall_seconds), 60)
  lines += [
    '',
    f'return before training  {results[0].return_mean:10.1f}',
    f'best return             {summary.best_return:10.1f}',
    f'final return            {summary.final_return:10.1f}   '
    '(mean of the last 10 % of the evaluations)',
    f'time                    {minutes:7d}:{seconds:02d}   '
    f'{summary.env_steps_per_sec:.0f} env steps/s',
    '',
    f'policy       {run_dir.policy_path}',
    f'TensorBoard  tensorboard --logdir {run_dir.path}',
  ]
  return '\n'.join(lines)
