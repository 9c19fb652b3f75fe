"""The error of an environment that raises or breaks Gymnasium's rules."""

from tf_sparse_rl import modules


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
  return EnvError(env_name, method, f'raised {kind}', trace)
