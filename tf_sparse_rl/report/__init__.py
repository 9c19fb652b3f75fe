"""Reports on many runs: scores, intervals, figures, tables, an HTML page."""

from tf_sparse_rl.report.command import run

__all__ = ['run']
