"""Text tables with aligned columns, and durations in words."""


def format_table(header, rows, left=1, total=False):
  """Formats a table: names to the left, numbers to the right.

  Args:
    header: sequence of strings.
    rows: list of sequences of strings.
    left: number of leading columns with names.
    total: whether a rule separates the last row.

  Returns:
    str of several lines.
  """
  widths = [
    max(len(row[i]) for row in [header, *rows]) for i in range(len(header))
  ]

  def line(row):
    cells = [
      cell.ljust(w) if i < left else cell.rjust(w)
      for i, (cell, w) in enumerate(zip(row, widths))
    ]
    return '  '.join(cells).rstrip()

  rule = '-' * (sum(widths) + 2 * (len(widths) - 1))
  body = [line(row) for row in rows]
  if total:
    body.insert(-1, rule)
  return '\n'.join([line(header), rule, *body])


def duration(seconds):
  """Formats seconds: 45 s, 12 min, 3 h 20 min."""
  minutes = round(seconds / 60)
  if seconds < 90:
    return f'{round(seconds)} s'
  if minutes < 90:
    return f'{minutes} min'
  return f'{minutes // 60} h {minutes % 60} min'
