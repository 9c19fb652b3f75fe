"""Explains a loss that is not finite: huge inputs, or divergence."""

import numpy as np

HUGE = 1e15
_BLOCK = 1024


def explain(buffer, losses):
  """Finds the first value that is not finite or above 1e15.

  Args:
    buffer: see `replay.make`.
    losses: (train step, value) of the first loss above 1e15, or None.

  Returns:
    str, the explanation and a remedy.
  """
  found = _first_in(buffer)
  if found:
    return f'{found}. Scale it in the environment, or by a wrapper.'
  if losses:
    train_step, loss = losses
    return (
      f'Rewards and observations are below {HUGE:g}; the first loss above it '
      f'was {loss:.2g}, at train step {train_step:,}: training diverged. Try a '
      'lower --learning_rate.'
    )
  return (
    f'Rewards, observations and earlier losses are below {HUGE:g}: training '
    'diverged. Try a lower --learning_rate.'
  )


def _first_in(buffer):
  """Describes the first huge value of a buffer; '' if there is none."""
  begin = buffer.num_added - len(buffer)
  for start in range(begin, buffer.num_added, _BLOCK):
    numbers = np.arange(start, min(start + _BLOCK, buffer.num_added))
    huge = [
      (int(numbers[is_huge][0]), what, values[is_huge].ravel())
      for what, values in buffer.collected(numbers).items()
      if (is_huge := _is_huge(values)).any()
    ]
    if huge:
      number, what, values = min(huge, key=lambda found: found[0])
      value = values[_is_huge(values[:, np.newaxis])][0]
      return (
        f'The first value above {HUGE:g} was {_text(value)}, in {what} of env '
        f'step {number + 1:,}'
      )
  return ''


def _is_huge(values):
  """Whether rows have an entry that is NaN or too large, `[rows]`."""
  return ~(np.abs(values) <= HUGE).all(axis=1)


def _text(value):
  if np.isfinite(value):
    return f'{value:.3g}'
  return f'{value} (float32 holds up to 3.4e38)'
