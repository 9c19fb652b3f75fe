"""The report of an export: sizes, latencies, differences from Keras."""

import gzip
import pathlib
import time
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import text_table

# Fewer calls if they would take more than ten seconds, more if less than one.
_ROUNDS = 1000
_MIN_SECONDS = 1.0
_MAX_SECONDS = 10.0
# Medians of the same large model, loaded twice, differ by up to a fifth on a
# busy machine.
_FASTER = 1.25


class Row(NamedTuple):
  """Sizes and latencies of one format; None without a dense variant."""

  name: str
  dense_bytes: int
  sparse_bytes: int | None
  gzip_bytes: int  # of the exported file
  nonzero: int  # kernel entries
  dense_microseconds: float
  sparse_microseconds: float | None
  difference: float  # from Keras, the maximum


class Report(NamedTuple):
  """The report of an export; `str` gives a table and a sentence per format."""

  rows: list  # of Row
  num_observations: int  # on which each format agrees with Keras

  def __str__(self):
    return '\n'.join(
      [
        f'Agrees with Keras on {self.num_observations} observations.\n',
        table(self.rows),
        '',
        *map(conclusion, self.rows),
      ]
    )


def num_bytes(path, compress=False):
  """Size of a file or directory in bytes, with `compress` after gzip."""
  files = [path] if path.is_file() else sorted(path.rglob('*'))
  contents = [pathlib.Path(f).read_bytes() for f in files if f.is_file()]
  return sum(len(gzip.compress(c) if compress else c) for c in contents)


def latencies(calls):
  """Median latencies of functions in microseconds, measured in turn.

  So all see the same load of the machine.
  """
  rounds, begin, passed = [], time.perf_counter(), 0.0
  while passed < (_MIN_SECONDS if len(rounds) >= _ROUNDS else _MAX_SECONDS):
    rounds.append([_seconds(call) for call in calls])
    passed = time.perf_counter() - begin
  return [float(m) for m in 1e6 * np.median(rounds, axis=0)]


def _seconds(call):
  begin = time.perf_counter()
  call()
  return time.perf_counter() - begin


def table(rows):
  """Formats rows as a table."""
  header = (
    *('format', 'dense bytes', 'sparse bytes', 'gzip bytes', 'non-zeros'),
    *('dense us', 'sparse us', 'off by'),
  )
  cells = [
    (
      row.name,
      f'{row.dense_bytes:,}',
      '-' if row.sparse_bytes is None else f'{row.sparse_bytes:,}',
      f'{row.gzip_bytes:,}',
      f'{row.nonzero:,}',
      f'{row.dense_microseconds:.1f}',
      '-' if row.sparse_bytes is None else f'{row.sparse_microseconds:.1f}',
      f'{row.difference:.1e}',
    )
    for row in rows
  ]
  return text_table.format_table(header, cells)


def conclusion(row):
  """Describes a row in a sentence."""
  if row.sparse_bytes is None:
    return f'{row.name}: zeros are stored; gzip leaves them out.'
  smaller = row.dense_bytes / row.sparse_bytes
  faster = row.dense_microseconds / row.sparse_microseconds
  size = f'{smaller:.1f} times smaller' if smaller > 1 else 'not smaller'
  speed = f'{faster:.1f} times as fast' if faster > _FASTER else 'not faster'
  return f'{row.name}: {size} than dense and {speed}.'
