"""Bytes, medians and the sentences about them."""

import gzip
import itertools
import time

from tf_sparse_rl.exporting import report

_TFLITE = report.Row('tflite', 6000, 1000, 900, 42, 10.0, 5.0, 2e-6)


def test_bytes_of_a_file_and_of_a_directory(tmp_path):
  (tmp_path / 'inner').mkdir()
  (tmp_path / 'a').write_bytes(b'0' * 1000)
  (tmp_path / 'inner' / 'b').write_bytes(b'12')
  assert report.num_bytes(tmp_path / 'a') == 1000
  assert report.num_bytes(tmp_path) == 1002
  expected = len(gzip.compress(b'0' * 1000)) + len(gzip.compress(b'12'))
  assert report.num_bytes(tmp_path, compress=True) == expected < 100


def test_latency_is_the_median(monkeypatch):
  monkeypatch.setattr(report, '_MIN_SECONDS', 0.0)
  calls = []

  def call():
    calls.append(0)
    # A few slow calls do not count.
    time.sleep(0.01 if len(calls) % 100 == 0 else 0)

  [microseconds] = report.latencies([call])
  assert len(calls) == 1000
  assert 0 < microseconds < 5000


def test_slow_functions_are_called_less_often(monkeypatch):
  clock = itertools.count()
  monkeypatch.setattr(report.time, 'perf_counter', lambda: next(clock))
  # The clock is looked at twice a call and once a round: 5 s, until 10 s.
  calls = []
  assert report.latencies(2 * [lambda: calls.append(0)]) == [1e6, 1e6]
  assert len(calls) == 4


def test_table():
  saved = report.Row('saved_model', 7000, None, 800, 42, 300.0, None, 0.0)
  header, rule, first, second = report.table([saved, _TFLITE]).splitlines()
  assert header.split('  ')[0] == 'format' and set(rule) == {'-'}
  assert first.split() == [
    *('saved_model', '7,000', '-', '800', '42', '300.0', '-', '0.0e+00')
  ]
  assert second.split() == [
    *('tflite', '6,000', '1,000', '900', '42', '10.0', '5.0', '2.0e-06')
  ]


def test_conclusions_say_what_is_not_better():
  assert report.conclusion(_TFLITE) == (
    'tflite: 6.0 times smaller than dense and 2.0 times as fast.'
  )
  slower = _TFLITE._replace(sparse_microseconds=9.8)
  assert report.conclusion(slower) == (
    'tflite: 6.0 times smaller than dense and not faster.'
  )
  larger = slower._replace(sparse_bytes=6001)
  assert report.conclusion(larger) == (
    'tflite: not smaller than dense and not faster.'
  )
