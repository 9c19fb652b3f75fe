"""The table at the end of a run."""

from tf_sparse_rl import sparsity


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
