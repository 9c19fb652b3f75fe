"""The absl flags of a run, one for each field of Config."""

import gc
import os
import pathlib
import signal
import sys
import warnings

from absl import app, flags

from tf_sparse_rl import (
  command_help,
  integer_flags,
  methods,
  modules,
  names,
  output,
  packages,
  signals,
)
from tf_sparse_rl import config as config_lib
from tf_sparse_rl.version import __version__

Help = command_help.Help
show_in_help = command_help.show
define_integer = integer_flags.define_integer
make_config = config_lib.make_config
_CONFIG = 'config'
_HELP_FLAGS = ('help', 'helpshort', 'h', '?')


class UserError(Exception):
  """A user error; commands print it without a traceback."""


def define_run_flags(without=()):
  """Declares `--config` and a flag for each field of Config.

  Args:
    without: names of fields that `--help` does not list.
  """
  flags.DEFINE_string(
    _CONFIG,
    None,
    'Repeat the run of this config.json; other flags override its values.',
  )
  define = {
    str: flags.DEFINE_string,
    int: define_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
    tuple: flags.DEFINE_list,
  }
  for field in config_lib.fields():
    text = field.meaning[0].upper() + field.meaning[1:] + '.'
    if len(field.agents) < len(config_lib.AGENTS):
      text += f' For {names.listed(field.agents, "and")}.'
    if field.optional:
      text += ' Default: by preset.'
    define[field.kind](field.name, field.default, text)
  command_help.show_fields(without)
  show_in_help(_CONFIG)


def define_checkpoint():
  """Declares `--checkpoint`."""
  flags.DEFINE_string(
    'checkpoint',
    'last',
    "Checkpoint: 'last', 'best' (the highest mean return of an evaluation), or "
    'an env step. Also of a run that is still training.',
  )
  show_in_help('checkpoint')


def checkpoint():
  """The value of `--checkpoint`: a str, or an int for an env step."""
  value = flags.FLAGS.checkpoint
  return int(value) if value.isdecimal() else value


def config_from_flags(**defaults):
  """Makes the resolved, checked Config of the command line.

  Args:
    **defaults: of this command, used where no flag is given.

  Returns:
    A Config. Flags take precedence over `defaults`, these over the values of
    `--config`, these over presets.

  Raises:
    UserError: for invalid values, with the nearest valid name.
  """
  try:
    return make_config(values_from_flags(**defaults))
  except ValueError as error:
    raise UserError(str(error)) from error


def values_from_flags(**defaults):
  """Returns the fields given by the command line, without presets.

  Returns:
    `{field name: value}`; see `config_from_flags`.

  Raises:
    ValueError: for a value of the wrong type, or a file that cannot be read.
  """
  values, given = {}, _given_flags()
  if flags.FLAGS[_CONFIG].value is not None:
    loaded = config_lib.load_values(flags.FLAGS[_CONFIG].value)
    values = config_lib.without_copies(loaded, given)
  return {**values, **defaults, **given}


def tell_ignored(config, given):
  """Prints which of the given fields the method ignores.

  Args:
    config: a Config.
    given: `{field name: value}`, as from `values_from_flags`.
  """
  if flags.FLAGS[_CONFIG].value is not None:
    given = _given_flags()  # A config.json has all fields, for any method.
  unused = [*methods.unused_fields(config.method)]
  if config.method == 'dense' and not config.match_sparsity:
    unused += ['distribution', 'erk_power']
  unused = [name for name in unused if name in given]
  if unused:
    ignored = ', '.join(f'--{name}={given[name]}' for name in unused)
    text = f'note: --method={config.method} ignores {ignored}.'
    if config.method == 'dense' and 'sparsity' in given:
      text += (
        f' --match_sparsity={given["sparsity"]:g} makes a dense network with '
        'as many parameters as a sparse one.'
      )
    print(text, file=sys.stderr)


def tell_imports(imported, path):
  """Prints which modules are imported because a config.json names them.

  Args:
    imported: names of modules; if empty, nothing is printed.
    path: of the config.json.
  """
  if imported:
    print(
      f'{path} names modules that are imported now: {", ".join(imported)}',
      file=sys.stderr,
    )


def _given_flags():
  """Returns `{field name: value}` of the flags on the command line."""
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
  """Formats our warnings as one line; others with their location."""
  if pathlib.Path(filename).is_relative_to(_PACKAGE):
    return f'warning: {message}\n'
  return _usual_format(message, category, filename, *rest)


def run_command(main, help_):
  """Executes `main(argv)` by absl's `app.run`; prints user errors in one line.

  Args:
    main: function of the arguments that are not flags.
    help_: a Help.
  """
  output.open_closed()
  try:
    _run_command(main, help_)
  except SystemExit as ended:
    # Or the interpreter would look for garbage among all that was imported.
    gc.freeze()
    signals.end_with_main_thread(ended.code or 0)
    raise


def _run_command(main, help_):
  """Runs a command; raises SystemExit at its end."""

  def guarded(argv):
    if len(argv) > 1:
      raise UserError(
        f'Expected flags only, as in --env_name=CartPole-v1. '
        f'Received: {argv[1:]}.'
      )
    result = main(argv)
    if sys.stdout is not None:
      sys.stdout.flush()
    return result

  warnings.formatwarning = _format_warning
  try:
    _check_directory()
    with output.checked():
      _answer_at_once(help_)
      app.run(guarded, flags_parser=_parse)
  except (UserError, packages.MissingError) as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(2)
  except modules.UserCodeError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(130)
  except BrokenPipeError:  # The reader, such as `head`, has closed the pipe.
    signals.leave([1])  # Python's last flush.
    sys.exit(128 + signal.SIGPIPE)
  except output.OutputError as error:
    signals.leave([1])
    print(f'error: {error}.', file=sys.stderr)
    sys.exit(1)


def _check_directory():
  """Refuses a current directory that was removed: no path has a meaning."""
  try:
    os.getcwd()
  except OSError as error:
    raise UserError(
      f'Expected a current directory. Received: {error.strerror}. Change to '
      'one that is there.'
    ) from error


def _answer_at_once(help_):
  """Prints help or version and exits, if requested."""
  arguments = sys.argv[1:]
  if '--' in arguments:
    arguments = arguments[: arguments.index('--')]
  asked = {a.lstrip('-') for a in arguments if a.startswith('-')}
  if asked.intersection(_HELP_FLAGS):
    print(command_help.text(help_), flush=True)
    sys.exit(0)
  if 'version' in asked:
    print(f'tf_sparse_rl {__version__}')
    sys.exit(0)


def _parse(argv):
  """Parses flags; raises UserError."""
  try:
    return flags.FLAGS(argv)
  except SystemExit:  # absl has printed help: not an error.
    sys.exit(0)
  except flags.UnrecognizedFlagError as error:
    known = [f'--{name}' for name in flags.FLAGS]
    wrong = names.unknown('flag', f'--{error.flagname}', known)
    raise UserError(f'{wrong} All flags: --help') from error
  except flags.Error as error:
    raise UserError(str(error)) from error
