"""Checks the directory of a report."""

from tf_sparse_rl import files, runs
from tf_sparse_rl.report import raw_results

# Of the raw results that a report may lie beside.
_MAY_BE_THERE = (*raw_results.FILES, 'README.md')
# A line of index.html by which a report is recognized.
MARK = '<meta name="generator" content="tf_sparse_rl.report">'


def check(out):
  """Checks that a directory is new, empty or of a report.

  Args:
    out: path of a directory, which need not exist.

  Raises:
    RunsError: if there are other files.
    OSError: if it cannot be read.
  """
  try:
    out = files.local(out)
  except ValueError as error:
    raise runs.RunsError(str(error)) from error
  if not out.exists():
    return
  if out.is_dir() and all(path.name in _MAY_BE_THERE for path in out.iterdir()):
    return
  index = out / 'index.html'
  if not index.is_file() or MARK.encode() not in files.read(index):
    raise runs.RunsError(
      f'Expected --out to be new, empty or an older report. Received: {out} '
      'with other files. Choose another --out.'
    )
