"""Evaluates a finished run: `python -m tf_sparse_rl.evaluate --root_dir=DIR`.

It needs the exported policy and config.json only, not the trained agent.
"""

import importlib.util
import json
import math
import sys

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import quiet
from tf_sparse_rl import runs as runs_lib


def main(argv):
  """Plays episodes, prints their returns and, if asked, films one."""
  del argv
  options = flags.FLAGS
  if not options.root_dir:
    raise run_flags.UserError(
      'Expected --root_dir, the directory of a finished run. Received none.'
    )
  stds = _noise_stds(options.noise_std)
  from tf_sparse_rl import envs

  run_dir = runs_lib.RunDir(options.root_dir)
  try:
    config = run_dir.read_finished_config()
    config_path = run_dir.path / 'config.json'
    run_flags.tell_imports(config.env_modules, config_path)
    quiet.filter_warnings()
    envs.try_out(config)
    # Imported late: a wrong directory is told at once.
    quiet.silence()
    result = _evaluate(config, run_dir, stds, options)
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {options.root_dir} failed: {error}.'
    ) from error
  print(json.dumps(result, indent=2))


def _noise_stds(texts):
  """The levels of --noise_std, in order, each once."""
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
  return sorted(set(stds))


def _evaluate(config, run_dir, stds, options):
  """What is printed, a dict of JSON types."""
  from tf_sparse_rl import envs, seeds
  from tf_sparse_rl.exporting import policy
  from tf_sparse_rl.training import evaluation

  act = policy.load(run_dir.policy_path)
  environments = [envs.make(config) for _ in range(options.num_episodes)]
  limit = config.max_eval_episode_env_steps
  # As while it trained; agents without the field act greedily.
  epsilon = config.eval_epsilon or 0.0
  result = {
    'env_name': config.env_name,
    'num_episodes': options.num_episodes,
    'epsilon': epsilon,
  }
  if stds:
    from tf_sparse_rl.report import panels

    outcomes = evaluation.evaluate_with_noise(
      environments, act, stds, options.seed, epsilon, limit
    )
    is_image = environments[0].spec.observation_shape
    unit = 'levels of grey' if is_image else "multiples of each entry's own"
    levels = [
      runs_lib.NoiseLevel(noise_std=std, **_statistics(outcome))
      for std, outcome in zip(stds, outcomes)
    ]
    figure = panels.noise_of_one_policy(
      f'{config.label}, seed {config.seed}',
      config.method,
      stds,
      [outcome.returns for outcome in outcomes],
      unit,
    )
    path = str(run_dir.write_noise(levels, figure))
    shown = [level.to_json() for level in levels]
    result.update(noise=shown, noise_std_in=unit, figure=path)
  else:
    evaluator = evaluation.Evaluator(
      environments, epsilon, max_episode_env_steps=limit
    )
    outcome = evaluator.evaluate(
      act, seeds.generator(options.seed, seeds.Stream.FINAL_EVALUATION)
    )
    result.update(_statistics(outcome), lengths=outcome.lengths)
    if outcome.num_stopped:
      result['num_stopped_episodes'] = outcome.num_stopped
  if options.video:
    directory = run_dir.path / 'video'
    evaluation.film(config, act, directory, options.seed)
    result['video'] = str(directory)
  return result


def _statistics(outcome):
  returns = outcome.returns
  return {
    'return_mean': sum(returns) / len(returns),
    'return_min': min(returns),
    'return_max': max(returns),
    'returns': returns,
  }


def run():
  """Entry point of the command."""
  flags.DEFINE_string('root_dir', None, 'Directory of a finished run.')
  flags.DEFINE_integer(
    'num_episodes', 20, 'Episodes, with greedy actions.', lower_bound=1
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
  run_flags.show_in_help(
    'root_dir', 'num_episodes', 'seed', 'noise_std', 'video'
  )
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
