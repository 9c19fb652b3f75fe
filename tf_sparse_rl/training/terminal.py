"""The lines that are printed at the start and at the end of a run."""

import shlex

from tf_sparse_rl import sparsity


def opening(config, run_dir):
  """Formats three lines: the run, its directory, its TensorBoard command.

  Args:
    config: a Config.
    run_dir: a RunDir.
  """
  length = f'{config.num_env_steps:,} env steps'
  return '\n'.join(
    [
      f'{config.label}, seed {config.seed}: {length}',
      f'Directory: {run_dir.path}',
      f'TensorBoard: {_tensorboard(run_dir)}',
    ]
  )


def closing_table(run_dir, agent, summary):
  """Formats networks, returns and paths of a finished run, in several lines."""
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
    f'TensorBoard  {_tensorboard(run_dir)}',
  ]
  return '\n'.join(lines)


def _tensorboard(run_dir):
  """The command that shows the run."""
  return f'tensorboard --logdir {shlex.quote(str(run_dir.path))}'
