"""A run that goes on: for longer than it was to, or with other periods.

The backend of a run is its own: it goes on with it unless another one is asked
for by its name. What follows from the length of a run, such as the end of mask
updates, stays as it was unless it is given. PPO's learning rate, which falls to
0 by the end of the run, turns where the run was made longer and falls to 0 by
the new end. So a run made longer is the run that its config.json describes: one
that is started with that config does the same.
"""

from tf_sparse_rl import config as config_lib

_PERIODS = ('eval_period', 'checkpoint_period', 'summary_period')
_TURNS = 'learning_rate_turns'


def config_for(run_dir, values):
  """The config of a new run, or of the run in a directory that goes on.

  Args:
    run_dir: a RunDir.
    values: `{field name: value}` that are given, as `make_config` takes them.

  Returns:
    A Config; whether the run may go on with it says `RunDir.check_config`.

  Raises:
    ValueError: for a value that does not fit.
    RunsError: if the run there cannot be read.
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
  """Fields that differ between a run and what is asked of it.

  Args:
    there: the Config of the run.
    asked: another.

  Returns:
    `{field name: [its value there, the value asked for]}`, of JSON types.
  """
  before, after = config_lib.to_dict(there), config_lib.to_dict(asked)
  return {
    name: [before[name], value]
    for name, value in after.items()
    if before[name] != value
  }


def may_change(there, asked, finished):
  """Names of the fields in which a run may differ from what is asked of it.

  Args:
    there: the Config of the run.
    asked: another, of the same run.
    finished: whether the run is finished.

  Returns:
    Tuple of str.
  """
  # One that is asked for by its name; for 'auto' it keeps what it has.
  changeable = _PERIODS if asked.backend == 'auto' else (*_PERIODS, 'backend')
  if asked.num_env_steps > there.num_env_steps:
    lengths = config_lib.length_fields(there.agent)
    return ('num_env_steps', _TURNS, *lengths, *changeable)
  return () if finished else changeable


def sentence(env_step, changed):
  """A line for a person.

  Args:
    env_step: where the run stands.
    changed: see `changes`.

  Returns:
    str.
  """
  words = (f'{name} {a} -> {b}' for name, (a, b) in changed.items())
  return f'From env step {env_step:,} on: {", ".join(words)}.'
