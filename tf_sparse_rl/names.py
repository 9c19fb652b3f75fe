"""Messages for unknown names, with the nearest valid one."""

import difflib


def unknown(kind, name, valid):
  """Formats the message for an unknown name."""
  valid = list(valid)
  lower = {v.lower(): v for v in valid}
  near = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.4)
  hint = f' Did you mean {lower[near[0]]!r}?' if near else ''
  if len(valid) <= 12:
    hint += f' Valid: {", ".join(valid)}.'
  return f'Unknown {kind} {name!r}.{hint}'


def listed(words, last='or'):
  """Joins words: 'a, b or c'."""
  *first, end = words
  return f'{", ".join(first)} {last} {end}' if first else end
