"""Reads the runs of a study: scores, intervals, figures and one HTML page."""

from tf_sparse_rl.report.command import run

__all__ = ['run']
