"""The directory of a report: how one is known, what is refused."""

import pathlib

from tf_sparse_rl import files, runs

# Stands in index.html.
MARK = '<meta name="generator" content="tf_sparse_rl.report">'


def check(out):
  """Refuses a directory with files that are not those of a report.

  Args:
    out: path of a directory, which need not exist.

  Raises:
    RunsError: if there are other files.
    OSError: if it cannot be read.
  """
  out = pathlib.Path(out)
  if not out.exists() or (out.is_dir() and not any(out.iterdir())):
    return
  index = out / 'index.html'
  if not index.is_file() or MARK.encode() not in files.read(index):
    raise runs.RunsError(
      f'Expected --out to be new, empty or an older report. Received: {out} '
      'with other files. Choose another --out.'
    )
