"""Flags of whole numbers, which people may write as 1e5."""

from absl import flags


class _WholeNumberParser(flags.IntegerParser):
  """Takes 100000, 100_000 and 1e5."""

  def convert(self, argument):
    """The int of a text, or of an int. See base class."""
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
  """Declares a flag that takes whole numbers, as 100000 or 1e5.

  Args:
    name: of the flag.
    default: int or None.
    text: for `--help`.
    lower_bound: the least that it takes, or None.
    upper_bound: the most, or None.
  """
  parser = _WholeNumberParser(lower_bound, upper_bound)
  flags.DEFINE(
    parser, name, default, text, serializer=flags.ArgumentSerializer()
  )
