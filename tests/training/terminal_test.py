"""The table at the end of a run."""

import dataclasses

from tf_sparse_rl.training import terminal


def test_the_closing_table(tiny_run):
  table = terminal.closing_table(tiny_run.run_dir, *tiny_run.outcome)
  rows = [line.split() for line in table.splitlines()]
  assert ['q_network'] in rows
  assert ['hidden_0', '4', 'x', '32', '0.7344', '34', '66', '68'] in rows
  assert ['total', '0.8972', '125', '191', '250'] in rows
  results = tiny_run.run_dir.read_results()
  first, last = results[0].return_mean, results[-1].return_mean
  assert f'return before training  {first:10.1f}\n' in table
  assert f'final return            {last:10.1f} ' in table
  best = max(result.return_mean for result in results)
  assert f'best return             {best:10.1f}\n' in table
  assert f'--logdir {tiny_run.run_dir.path}' in table
  assert str(tiny_run.run_dir.path / 'policy') in table


def test_long_times_are_minutes_and_seconds(tiny_run):
  summary = dataclasses.replace(tiny_run.outcome.summary, wall_seconds=754.6)
  table = terminal.closing_table(
    tiny_run.run_dir, tiny_run.outcome.agent, summary
  )
  assert ' 12:35 ' in table
