"""Plays episodes with a run's policy: `python -m tf_sparse_rl.evaluate`.

For a finished run it needs only config.json and the weights of the exported
policy: it builds the network and reads the weights; no code in the directory is
executed.
"""

import json
import math
import os
import sys

import tqdm
from absl import flags

from tf_sparse_rl import api, packages, sample, text_table
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib

_HELP = run_flags.Help(
  'Plays episodes with the policy of a run and prints their returns and '
  'lengths: mean, standard deviation and 95 % confidence interval.',
  'evaluate',
  {
    '20 episodes of a run, finished or not': '--root_dir=runs/a',
    'The best checkpoint, as JSON': '--root_dir=runs/a --checkpoint=best '
    '--num_episodes=100 --json',
    'Three episodes in a window; --video films one': '--root_dir=runs/a '
    '--num_episodes=3 --render',
  },
)
_HEADER = ('', 'mean', 'std', '95 % interval of the mean', 'min', 'max')


def main(argv):
  """Plays episodes and prints their returns; films one with --video."""
  del argv
  options = flags.FLAGS
  if not options.root_dir:
    raise run_flags.UserError(
      'Expected --root_dir, the directory of a run. Received none.'
    )
  stds = _noise_stds(options.noise_std)
  try:
    run, checkpoint = api.open_run(options.root_dir), run_flags.checkpoint()
    # The policy of a finished run needs no method.
    is_exported = checkpoint == 'last' and run.is_finished
    run_flags.tell_imports(
      run.config.policy_modules if is_exported else run.config.imported_modules,
      os.path.join(options.root_dir, 'config.json'),
    )
    result = run.evaluate(
      options.num_episodes,
      seed=options.seed,
      checkpoint=checkpoint,
      noise_std=stds,
      video=options.video,
      render=options.render,
      on_frame=_Filming().on_frame,
    )
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {options.root_dir} failed: {error}.'
    ) from error
  print(json.dumps(result, indent=2) if options.json else text(run, result))


def text(run, result):
  """Formats the result of `Run.evaluate` as text.

  Args:
    run: a Run.
    result: dict.

  Returns:
    str of several lines.
  """
  config, count = run.config, result['num_episodes']
  lines = [
    f'{config.label}, seed {config.seed}, checkpoint {result["checkpoint"]}: '
    f'{count} episode{"s" * (count != 1)}',
    '',
  ]
  if 'noise' in result:
    rows = [
      _row(f'return, noise {level["noise_std"]:g}', level['returns'])
      for level in result['noise']
    ]
  else:
    rows = [
      _row('return', result['returns']),
      _row('episode length in env steps', result['lengths']),
    ]
  lines += [text_table.format_table(_HEADER, rows), '']
  if result['epsilon']:
    lines.append(
      f'epsilon  {result["epsilon"]:g}, of the epsilon-greedy policy'
    )
  if num_stopped := result.get('num_stopped_episodes'):
    lines.append(
      f'stopped  {num_stopped} of {count} episodes, at '
      f'{config.max_eval_episode_env_steps:,} env steps'
    )
  if 'noise' in result:
    lines.append(f'noise    standard deviation in {result["noise_std_in"]}')
    lines.append(f'figure   {result["figure"]}')
  if 'video' in result:
    lines.append(f'video    {result["video"]}')
  return '\n'.join(lines).rstrip()


def _row(name, values):
  """A row of the table."""
  found = sample.describe(values)
  interval = '-'
  if found.interval:
    interval = ' to '.join(f'{end:,.1f}' for end in found.interval)
  return (
    name,
    f'{found.mean:,.1f}',
    '-' if found.std is None else f'{found.std:,.1f}',
    interval,
    *(f'{end:,.1f}' for end in (found.low, found.high)),
  )


class _Filming:
  """A progress bar of frames, on a terminal."""

  _bar = None

  def on_frame(self, done, total):
    """Advances the bar and closes it at the last frame."""
    if not sys.stderr.isatty():
      return
    if self._bar is None:
      self._bar = tqdm.tqdm(
        desc='filming', total=total, unit='frame', dynamic_ncols=True
      )
    self._bar.update(done - self._bar.n)
    if done == total:
      self._bar.close()


def _noise_stds(texts):
  """Parses --noise_std."""
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
  packages.require('--noise_std', 'matplotlib', 'rliable')
  return stds


def run():
  """Entry point of the command."""
  flags.DEFINE_string('root_dir', None, 'Directory of the run.')
  run_flags.define_integer('num_episodes', 20, 'Number of episodes.', 1, 10_000)
  run_flags.define_integer('seed', 1, 'Random seed of the episodes.', 0)
  flags.DEFINE_boolean('json', False, 'Print JSON, with every return.')
  flags.DEFINE_boolean(
    'render', False, 'Show the episodes in a window (render_mode=human).'
  )
  flags.DEFINE_boolean(
    'video', False, 'Record one episode as an MP4 in video/ of the run.'
  )
  flags.DEFINE_list(
    'noise_std',
    None,
    'Standard deviations of Gaussian observation noise, each evaluated with '
    'num_episodes episodes: in grey levels for Atari, as in 0,5,10,20,30; '
    'otherwise relative to the standard deviation of each entry, as in '
    '0,0.1,0.2,0.5,1. Written to noise.jsonl and noise.png of the run.',
  )
  run_flags.show_in_help('root_dir', 'num_episodes', 'seed')
  run_flags.define_checkpoint()
  run_flags.show_in_help('json', 'render', 'video', 'noise_std')
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
