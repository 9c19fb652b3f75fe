"""The load beside a measurement, by hand."""

import pytest

from tf_sparse_rl.benchmarks import load

_STAT = """cpu  700 0 0 9000 0 0 0 0 0 0
cpu0 100 20 30 4000 999 5 6 7 50 0
cpu1 600 0 0 5000 0 0 0 0 0 0
intr 12345 0 0
"""


def test_busy_is_all_but_idle_and_waiting(tmp_path, monkeypatch):
  (tmp_path / 'stat').write_text(_STAT)
  monkeypatch.setattr(load.os, 'sysconf', {'SC_CLK_TCK': 100}.get)
  assert load.busy_of_cores(tmp_path / 'stat') == {
    0: pytest.approx(1.68),
    1: pytest.approx(6.0),
  }


@pytest.mark.parametrize(
  'cores, share', [([0], 0.25), ([1], 0.5), (None, 0.375)]
)
def test_the_share_of_others_on_some_cores(cores, share, monkeypatch):
  busy = iter([{0: 10.0, 1: 20.0}, {0: 11.0, 1: 22.0}])
  seconds = iter([100.0, 104.0])
  monkeypatch.setattr(load.time, 'perf_counter', lambda: next(seconds))
  last = {}

  def busy_of_cores():
    last.update(next(busy, last))
    return dict(last)

  monkeypatch.setattr(load, 'busy_of_cores', busy_of_cores)
  assert load.Watch(cores).others_share() == pytest.approx(share, abs=0.01)
