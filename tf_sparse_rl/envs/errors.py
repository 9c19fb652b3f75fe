"""The error of an environment that raises or breaks Gymnasium's rules."""

import os
import sys
import traceback

from tf_sparse_rl import modules

# That Gymnasium's methods return.
_NUM_VALUES = {'reset': 2, 'step': 5}


class EnvError(modules.UserCodeError):
  """An environment raised or broke Gymnasium's rules.

  Attributes:
    sentence: the environment, its method and what was wrong.
    trace: the environment's traceback; '' if it raised nothing.
    context: added by the training loop, as in ' (env step 7)'.
  """

  def __init__(self, env_name, method, what, trace=''):
    """Makes the error.

    Args:
      env_name: the environment's name.
      method: 'reset', 'step' or 'close'.
      what: what is wrong, as in 'returned 4 values'.
      trace: see `trace`.
    """
    self.sentence, self.trace = f'{env_name}: {method} {what}', trace
    self.context = ''
    super().__init__(self.told())

  def told(self, context=''):
    """Formats the error: the sentence, the context, the traceback.

    Args:
      context: as in ' (env step 7). To continue: ...'.

    Returns:
      str.
    """
    end = f':\n{self.trace}' if self.trace else '.'
    return f'{self.sentence}{context}{end}'


def of_exception(env_name, method, error):
  """Converts an exception raised by an environment.

  Args:
    env_name: see EnvError.
    method: see EnvError.
    error: the exception.

  Returns:
    An EnvError.

  Raises:
    KeyboardInterrupt: if the exception is one from the keyboard.
  """
  kind = type(error).__name__
  trace = modules.user_traceback(error)
  if method in _NUM_VALUES and 'unpack' in trace and '\n' not in trace:
    # Gymnasium's own wrappers, at a later step than the first.
    number, (_, _, text) = _NUM_VALUES[method], trace.partition(': ')
    return EnvError(env_name, method, f'must return {number} values: {text}')
  return EnvError(env_name, method, f'raised {kind}', trace)


def end_fork(process):
  """Ends this process if an environment has forked it from the run's.

  A fork that comes out of the environment's code would train on, in the same
  directory.

  Args:
    process: id of the process that called the environment.
  """
  if os.getpid() != process:
    if sys.exc_info()[0]:
      traceback.print_exc()
    os._exit(1)
