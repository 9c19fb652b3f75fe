"""The absl flags of a run: one for each field of Config, declared once."""

import sys

from absl import app, flags

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import names, presets

_CONFIG = 'config'


class UserError(Exception):
  """A mistake of the user's; commands print it without a traceback."""


def define_run_flags():
  """Declares `--config` and a flag for each field of Config."""
  flags.DEFINE_string(
    _CONFIG, None, 'Repeat the run of this config.json; other flags override.'
  )
  define = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
    tuple: flags.DEFINE_list,
  }
  for field in config_lib.fields():
    kind, optional = config_lib.field_kind(field)
    text = field.metadata['meaning']
    text = text[0].upper() + text[1:] + '.'
    agents = field.metadata['agents']
    if agents != config_lib.AGENTS:
      text += f' For {" and ".join(agents)}.'
    if optional:
      text += ' Default: by preset.'
    define[kind](field.name, field.default, text)
  show_in_help(_CONFIG, *(field.name for field in config_lib.fields()))


def show_in_help(*names):
  """Lists flags in the command's `--help`.

  Args:
    *names: names of declared flags.
  """
  for name in names:
    # absl knows the main module by this name, and shows its key flags only.
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def config_from_flags(**defaults):
  """Makes the resolved, checked Config that the command line asks for.

  Args:
    **defaults: values of this command, where no flag is given.

  Returns:
    A Config: flags, over the defaults, over the values of `--config`, over
    presets.

  Raises:
    UserError: for anything that does not hold, with the nearest valid name.
  """
  try:
    return make_config(values_from_flags(**defaults))
  except ValueError as error:
    raise UserError(str(error)) from error


def values_from_flags(**defaults):
  """The fields that the command line gives, before presets fill in the rest.

  Args:
    **defaults: see `config_from_flags`.

  Returns:
    `{field name: value}`.

  Raises:
    ValueError: for a value of the wrong kind, or a file that cannot be read.
  """
  values, given = {}, _given_flags()
  if flags.FLAGS[_CONFIG].value is not None:
    loaded = config_lib.load_values(flags.FLAGS[_CONFIG].value)
    values = presets.without_copies(loaded, given)
  return {**values, **defaults, **given}


def make_config(values):
  """A resolved and checked Config.

  Args:
    values: `{field name: value}`; the rest is filled in from presets.

  Returns:
    A Config.

  Raises:
    ValueError: for a value that does not fit.
  """
  config = config_lib.Config(**values)
  for field in config_lib.fields():
    value, valid = getattr(config, field.name), config_lib.CHOICES
    if field.name in valid and (value, field.default) != (None, None):
      _check_name(field.name, value, valid[field.name])
  if not isinstance(config.env_name, str | None):
    raise ValueError(
      f'Expected env_name to be of type str. Received: {config.env_name!r}.'
    )
  _check_arithmetic_fields(config)
  config = presets.resolve(config)
  config_lib.check(config)
  return config


def _check_arithmetic_fields(config):
  """What presets compute with must be whole numbers before they do."""
  for name in (
    'num_env_steps',
    'train_period',
    'initial_collect_env_steps',
    'rollout_env_steps',
    'num_epochs',
    'batch_size',
  ):
    value = getattr(config, name)
    if value is not None and (type(value) is not int or value < 1):
      raise ValueError(
        f'Expected a whole number of at least 1. Received: {name}={value!r}.'
      )


def _given_flags():
  given = {}
  for field in config_lib.fields():
    flag = flags.FLAGS[field.name]
    if not flag.present:
      continue
    value = flag.value
    if config_lib.field_kind(field)[0] is tuple:
      try:
        value = tuple(int(v) for v in value)
      except ValueError:
        raise ValueError(
          'Expected whole numbers with commas, as in 512,512. Received: '
          f'--{field.name}={",".join(value)}.'
        ) from None
    given[field.name] = value
  return given


def _check_name(kind, name, valid):
  if name not in valid:
    raise ValueError(names.unknown(kind, name, valid))


def run_command(main):
  """Runs a command: absl's `app.run`, with mistakes told in one line.

  Args:
    main: function of argv.
  """

  def guarded(argv):
    if len(argv) > 1:
      raise UserError(
        f'Expected flags only, as in --env_name=CartPole-v1. '
        f'Received: {argv[1:]}.'
      )
    return main(argv)

  try:
    app.run(guarded)
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(2)
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(130)
