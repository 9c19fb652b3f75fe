"""Episodes of `Run.evaluate`: in parallel, in a window, or with noise.

Each function returns its part of the result, a dict of JSON types.
"""

from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl import sample, seeds


def play(config, act, num_episodes, seed):
  """Plays episodes in parallel environments.

  Args:
    config: the Config of the run.
    act: the policy, a function of a batch of observations.
    num_episodes: number of episodes.
    seed: random seed of the episodes.

  Returns:
    Dict with epsilon and statistics of returns and lengths.
  """
  from tf_sparse_rl import envs
  from tf_sparse_rl.training import evaluation

  epsilon = _epsilon(config)
  evaluator = evaluation.Evaluator(
    [envs.make(config) for _ in range(num_episodes)],
    epsilon,
    max_episode_env_steps=config.max_eval_episode_env_steps,
  )
  outcome = evaluator.evaluate(act, _starts(seed))
  return {'epsilon': epsilon, **_statistics(outcome)}


def show(config, act, env, num_episodes, seed):
  """Plays episodes in a window, one after another.

  Args:
    config: see `play`.
    act: see `play`.
    env: an Environment of the run.
    num_episodes: see `play`.
    seed: see `play`.

  Returns:
    See `play`.
  """
  from tf_sparse_rl.envs import showing
  from tf_sparse_rl.training import evaluation

  evaluation.check_own_process(config)
  epsilon = _epsilon(config)
  shown = showing.ShownEnvironment(config, env)
  try:
    outcome = evaluation.play_in_turn(
      *(shown, act, num_episodes, _starts(seed)),
      *(epsilon, config.max_eval_episode_env_steps),
    )
  finally:
    shown.close()
  return {'epsilon': epsilon, **_statistics(outcome)}


def play_with_noise(run_dir, config, act, spec, num_episodes, seed, stds):
  """Plays episodes at several levels of observation noise, and writes them.

  Args:
    run_dir: the RunDir, which gets noise.jsonl and noise.png.
    config: see `play`.
    act: see `play`.
    spec: the EnvSpec.
    num_episodes: at each level of noise.
    seed: see `play`.
    stds: standard deviations of the noise.

  Returns:
    Dict with epsilon, the levels and the path of the figure.
  """
  from tf_sparse_rl import envs
  from tf_sparse_rl.report import panels
  from tf_sparse_rl.training import evaluation

  epsilon = _epsilon(config)
  outcomes = evaluation.evaluate_with_noise(
    [envs.make(config) for _ in range(num_episodes)],
    *(act, stds, seed, epsilon, config.max_eval_episode_env_steps),
  )
  is_image = bool(spec.observation_shape)
  unit = 'grey levels' if is_image else "multiples of each entry's std"
  levels = [
    runs_lib.NoiseLevel(noise_std=std, **_returns(outcome))
    for std, outcome in zip(stds, outcomes)
  ]
  figure = panels.noise_of_one_policy(
    f'{config.label}, seed {config.seed}',
    config.method,
    stds,
    [outcome.returns for outcome in outcomes],
    unit,
  )
  return {
    'epsilon': epsilon,
    'noise': [level.to_json() for level in levels],
    'noise_std_in': unit,
    'figure': str(run_dir.write_noise(levels, figure)),
  }


def _epsilon(config):
  """Epsilon of evaluations; agents without the field act greedily."""
  return config.eval_epsilon or 0.0


def _starts(seed):
  """Random generator of the episodes."""
  return seeds.generator(seed, seeds.Stream.FINAL_EVALUATION)


def _statistics(outcome):
  """Statistics of returns and lengths of an evaluation."""
  returns = sample.describe(outcome.returns)
  lengths = sample.describe(outcome.lengths)
  result = {
    **_returns(outcome),
    'return_std': returns.std,
    'return_interval_95': returns.interval,
    'lengths': outcome.lengths,
    'length_mean': lengths.mean,
    'length_std': lengths.std,
  }
  if outcome.num_stopped:
    result['num_stopped_episodes'] = outcome.num_stopped
  return result


def _returns(outcome):
  returns = outcome.returns
  return {
    'return_mean': sum(returns) / len(returns),
    'return_min': min(returns),
    'return_max': max(returns),
    'returns': returns,
  }
