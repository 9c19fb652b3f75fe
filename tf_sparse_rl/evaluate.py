"""Evaluates a run: `python -m tf_sparse_rl.evaluate --root_dir=DIR`.

Of a finished run it needs the exported policy and config.json only.
"""

import importlib.util
import json
import math
import sys

from absl import flags

from tf_sparse_rl import api
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib


def main(argv):
  """Plays episodes, prints their returns and, if asked, films one."""
  del argv
  options = flags.FLAGS
  if not options.root_dir:
    raise run_flags.UserError(
      'Expected --root_dir, the directory of a run. Received none.'
    )
  stds = _noise_stds(options.noise_std)
  try:
    run, checkpoint = api.open_run(options.root_dir), run_flags.checkpoint()
    needs_agent = checkpoint != 'last' or not run.is_finished
    run_flags.tell_imports(
      run.config.imported_modules if needs_agent else run.config.env_modules,
      run.path / 'config.json',
    )
    result = run.evaluate(
      options.num_episodes,
      seed=options.seed,
      checkpoint=checkpoint,
      noise_std=stds,
      video=options.video,
    )
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {options.root_dir} failed: {error}.'
    ) from error
  print(json.dumps(result, indent=2))


def _noise_stds(texts):
  """The levels of --noise_std."""
  if texts is None:
    return []
  try:
    stds = [float(text) for text in texts]
  except ValueError:
    stds = []
  if not stds or not all(0 <= std < math.inf for std in stds):
    raise run_flags.UserError(
      'Expected --noise_std=0,5,10 or the like: numbers of at least 0. '
      f'Received: {",".join(texts)!r}.'
    )
  for name in ('matplotlib', 'rliable'):
    if importlib.util.find_spec(name) is None:
      raise run_flags.UserError(
        f'--noise_std draws a figure and needs {name}: pip install '
        '"tf_sparse_rl[report]".'
      )
  return stds


def run():
  """Entry point of the command."""
  flags.DEFINE_string('root_dir', None, 'Directory of a run.')
  flags.DEFINE_integer(
    'num_episodes', 20, 'Episodes, with greedy actions.', 1, 10_000
  )
  flags.DEFINE_integer('seed', 1, 'Of the starts of the episodes.', 0)
  flags.DEFINE_list(
    'noise_std',
    None,
    'Standard deviations of Gaussian noise in observations, each with '
    'num_episodes episodes: of Atari in levels of grey, as in 0,5,10,20,30; '
    "else as multiples of each entry's own, as in 0,0.1,0.2,0.5,1. Written to "
    'noise.jsonl and noise.png of the run, in the place of earlier ones.',
  )
  flags.DEFINE_boolean(
    'video', False, 'Film one episode as MP4 into video/ of the run.'
  )
  run_flags.define_checkpoint()
  run_flags.show_in_help(
    'root_dir', 'num_episodes', 'seed', 'noise_std', 'video'
  )
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
