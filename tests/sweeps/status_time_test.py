"""The sweep by which the time of a status is measured."""

import collections

from tests.sweeps import status_time
from tf_sparse_rl.sweeps import status, sweep_dir


def test_half_are_finished_and_the_others_on_their_way(tmp_path):
  assert status_time.make(tmp_path, 40) == 40
  sweep = sweep_dir.SweepDir(tmp_path)
  found = status.read(sweep, sweep.read_runs())
  counts = collections.Counter(one.state for one in found)
  assert counts == {'finished': 20, 'missing': 20}
  assert {one.env_step for one in found if one.state == 'missing'} == {
    *range(0, 20_000, 1000)
  }
