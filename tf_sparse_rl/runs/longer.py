"""Resumed runs with another config: extended, or with other periods.

A resumed run keeps its backend unless another one is named. Fields that depend
on the length of the run, such as the end of mask updates, keep their values
unless they are given. PPO's learning rate decays from its current value to 0 at
the new end. An extended run equals a new run with its final config.json.
"""

from tf_sparse_rl import config as config_lib

_PERIODS = ('eval_period', 'checkpoint_period', 'summary_period')
_TURNS = 'learning_rate_turns'


def config_for(run_dir, values):
  """Makes the config of a new run, or of one that is resumed.

  Args:
    run_dir: a RunDir.
    values: `{field name: value}` of the fields that are given.

  Returns:
    A Config. `RunDir.check_config` checks whether the run may have it.

  Raises:
    ValueError: for an invalid value.
    RunsError: if the existing run cannot be read.
  """
  there = run_dir.read_config()
  if there is not None and values.get('backend') is None:
    values = {**values, 'backend': there.backend}
  asked = config_lib.make_config(values)
  if there is None or there.agent != asked.agent:
    return asked
  is_longer = asked.num_env_steps > there.num_env_steps
  if not (is_longer or run_dir.read_history()):
    return asked
  kept = {
    name: getattr(there, name)
    for name in config_lib.length_fields(there.agent)
    if values.get(name) is None
  }
  kept[_TURNS] = getattr(there, _TURNS)
  env_step = run_dir.checkpoint_env_step()
  if is_longer and env_step and there.agent == 'ppo':
    kept[_TURNS] += (env_step, there.num_env_steps)
  return config_lib.make_config({**values, **kept})


def changes(there, asked):
  """Compares the config of a run with the one requested.

  Args:
    there: the Config of the run.
    asked: the Config requested.

  Returns:
    `{field name: [value of the run, value requested]}`, of JSON types.
  """
  before, after = config_lib.to_dict(there), config_lib.to_dict(asked)
  return {
    name: [before[name], value]
    for name, value in after.items()
    if before[name] != value
  }


def may_change(there, asked, finished):
  """Names the fields that a resumed run may change.

  Args:
    there: the Config of the run.
    asked: the Config requested.
    finished: whether the run is finished.

  Returns:
    Tuple of str.
  """
  # 'auto' keeps the backend of the run.
  changeable = _PERIODS if asked.backend == 'auto' else (*_PERIODS, 'backend')
  if asked.num_env_steps > there.num_env_steps:
    lengths = config_lib.length_fields(there.agent)
    return ('num_env_steps', _TURNS, *lengths, *changeable)
  return () if finished else changeable


def sentence(env_step, changed):
  """Describes changes in one line.

  Args:
    env_step: env steps of the run so far.
    changed: see `changes`.

  Returns:
    str.
  """
  words = (f'{name} {a} -> {b}' for name, (a, b) in changed.items())
  return f'From env step {env_step:,} on: {", ".join(words)}.'
