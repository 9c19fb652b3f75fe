"""Evaluates a finished run: `python -m tf_sparse_rl.evaluate --root_dir=DIR`.

It needs the exported policy and config.json only, not the trained agent.
"""

import json
import sys

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import quiet


def main(argv):
  """Plays episodes, prints their returns and, if asked, films some."""
  del argv
  options = flags.FLAGS
  if not options.root_dir:
    raise run_flags.UserError(
      'Expected --root_dir, the directory of a finished run. Received none.'
    )
  from tf_sparse_rl.training import run_dir as run_dir_lib

  run_dir = run_dir_lib.RunDir(options.root_dir)
  try:
    values = run_dir.read_finished_config()
    # Imported late: a wrong directory is told at once.
    quiet.silence()
    from tf_sparse_rl.exporting import policy
    from tf_sparse_rl.training import evaluation

    act = policy.load(run_dir.policy_path)
    evaluator = evaluation.Evaluator(
      values['env_name'], options.num_episodes, options.seed
    )
    returns, lengths = evaluator.evaluate(act, index=0)
    if options.video_dir:
      evaluation.film(values['env_name'], act, options.video_dir, options.seed)
  except (ValueError, run_dir_lib.RunDirError) as error:
    raise run_flags.UserError(str(error)) from error
  print(
    json.dumps(
      {
        'env_name': values['env_name'],
        'num_episodes': len(returns),
        'return_mean': sum(returns) / len(returns),
        'return_min': min(returns),
        'return_max': max(returns),
        'returns': returns,
        'lengths': lengths,
      },
      indent=2,
    )
  )


def run():
  """Entry point of the command."""
  flags.DEFINE_string('root_dir', None, 'Directory of a finished run.')
  flags.DEFINE_integer(
    'num_episodes', 20, 'Episodes, with greedy actions.', lower_bound=1
  )
  flags.DEFINE_integer('seed', 1, 'Of the starts of the episodes.', 0)
  flags.DEFINE_string(
    'video_dir', None, 'Film one episode as MP4 into this directory.'
  )
  run_flags.show_in_help('root_dir', 'num_episodes', 'seed', 'video_dir')
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
