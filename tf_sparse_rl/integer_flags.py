"""Flags of whole numbers, which may be written as 1e5."""

from absl import flags


class _WholeNumberParser(flags.IntegerParser):
  """Accepts 100000, 100_000 and 1e5."""

  def convert(self, argument):
    """Converts a str or int. See base class."""
    try:
      return super().convert(argument)
    except ValueError:
      pass
    try:
      number = float(argument)
    except ValueError:
      number = 0.5
    if not number.is_integer():
      raise ValueError('Expected a whole number, as in 100000 or 1e5.')
    return int(number)


def define_integer(name, default, text, lower_bound=None, upper_bound=None):
  """Declares a flag of whole numbers, such as 100000 or 1e5.

  Args:
    name: of the flag.
    default: int or None.
    text: help text.
    lower_bound: minimum, or None.
    upper_bound: maximum, or None.
  """
  parser = _WholeNumberParser(lower_bound, upper_bound)
  flags.DEFINE(
    parser, name, default, text, serializer=flags.ArgumentSerializer()
  )
