"""One env step of every environment: all of them, or none."""

from tf_sparse_rl import envs
from tf_sparse_rl.training import state


def take(environments, config, now):
  """Takes a step in each environment, and resets those whose episode is over.

  Args:
    environments: list of Environments.
    config: a Config.
    now: a State, with the actions to take.

  Returns:
    List of (Step, observation to go on from), one an environment.

  Raises:
    EnvError: if one of them fails; then all are back at the position that they
      had before, and a checkpoint can be saved.
  """
  marks = [env.mark() for env in environments]
  count, taken = now.episodes.count, []
  try:
    for env, action in zip(environments, now.actions):
      step = env.step(action)
      observation = step.observation
      if step.terminated or step.truncated:
        count += 1
        index = count + config.num_envs - 1
        observation = env.reset(state.episode_seed(config, index))
      taken.append((step, observation))
  except envs.EnvError:
    for env, mark in zip(environments, marks):
      env.rewind(mark)
    raise
  return taken


def no_time_limit(config, spec):
  """What to tell of an environment whose episodes may not end; '' if they do.

  Args:
    config: a Config.
    spec: the EnvSpec.

  Returns:
    str.
  """
  if spec.max_episode_steps:
    return ''
  return (
    f'{spec.name} has no time limit. If an episode does not end by itself, '
    f'evaluations stop it after {config.max_eval_episode_env_steps:,} env '
    'steps (--max_eval_episode_env_steps); collection does not. '
    'gymnasium.register(..., max_episode_steps=...) sets a limit.'
  )


def save_after(error, keeper, now, environments):
  """Saves a checkpoint of the time before an environment failed.

  Args:
    error: the EnvError; it is told where the run was.
    keeper: the Checkpoints.
    now: a State.
    environments: list of Environments, as `take` leaves them.

  Returns:
    The error.
  """
  error.context = f' (after env step {now.env_step:,})'
  if now.env_step:
    keeper.save(now.env_step, now.to_json(environments))
    error.context += '. A checkpoint was saved'
  return error
