"""The absl flags of a run: one for each field of Config, declared once."""

import pathlib
import sys
import warnings

from absl import app, flags

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import modules

make_config = config_lib.make_config
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
    text = field.meaning[0].upper() + field.meaning[1:] + '.'
    if len(field.agents) < len(config_lib.AGENTS):
      text += f' For {" and ".join(field.agents)}.'
    if field.optional:
      text += ' Default: by preset.'
    define[field.kind](field.name, field.default, text)
  show_in_help(_CONFIG, *(field.name for field in config_lib.fields()))


def define_checkpoint():
  """Declares `--checkpoint`."""
  flags.DEFINE_string(
    'checkpoint',
    'last',
    "'last', 'best' (of the checkpoints that were evaluated), or an env step. "
    'A run that trains, or was stopped, has them too.',
  )
  show_in_help('checkpoint')


def checkpoint():
  """The value of `--checkpoint`: a str, or an int for an env step."""
  value = flags.FLAGS.checkpoint
  return int(value) if value.isdecimal() else value


def show_in_help(*names):
  """Lists declared flags in the command's `--help`."""
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

  Returns:
    `{field name: value}`; see `config_from_flags`.

  Raises:
    ValueError: for a value of the wrong kind, or a file that cannot be read.
  """
  values, given = {}, _given_flags()
  if flags.FLAGS[_CONFIG].value is not None:
    loaded = config_lib.load_values(flags.FLAGS[_CONFIG].value)
    values = config_lib.without_copies(loaded, given)
  return {**values, **defaults, **given}


def tell_imports(imported, path):
  """Says which modules are imported because a config.json names them.

  Args:
    imported: names of modules; if there are none nothing is said.
    path: of the config.json.
  """
  if imported:
    print(
      f'{path} names modules that are imported now: {", ".join(imported)}',
      file=sys.stderr,
    )


def _given_flags():
  """`{field name: value}` of the flags on the command line."""
  given = {}
  for field in config_lib.fields():
    flag = flags.FLAGS[field.name]
    if not flag.present:
      continue
    value = flag.value
    if field.kind is tuple:
      try:
        value = tuple(int(v) for v in value)
      except ValueError:
        raise ValueError(
          'Expected whole numbers with commas, as in 512,512. Received: '
          f'--{field.name}={",".join(value)}.'
        ) from None
    given[field.name] = value
  return given


_PACKAGE = pathlib.Path(__file__).parent
_usual_format = warnings.formatwarning


def _format_warning(message, category, filename, *rest):
  """A warning of ours as a line; one of the user's code says where it is."""
  if pathlib.Path(filename).is_relative_to(_PACKAGE):
    return f'warning: {message}\n'
  return _usual_format(message, category, filename, *rest)


def run_command(main):
  """Runs `main(argv)` by absl's `app.run`, with mistakes told in one line."""

  def guarded(argv):
    if len(argv) > 1:
      raise UserError(
        f'Expected flags only, as in --env_name=CartPole-v1. '
        f'Received: {argv[1:]}.'
      )
    return main(argv)

  warnings.formatwarning = _format_warning
  try:
    app.run(guarded)
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(2)
  except modules.UserCodeError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(130)
