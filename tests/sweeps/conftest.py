"""Tiny runs, and sweeps of them."""

import pytest

from tests import tiny
from tf_sparse_rl.sweeps import grid
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

TINY = {**tiny.RUN, 'checkpoint_period': 200}


@pytest.fixture(name='make_runs')
def make_runs_fixture():
  """Function: lists, with short defaults -> tiny Runs."""

  def make(
    methods=('dense', 'rigl'), sparsities=(0.9,), num_seeds=1, **changes
  ):
    return grid.make_runs(
      methods, sparsities, ['CartPole-v1'], num_seeds, {**TINY, **changes}
    )

  return make


@pytest.fixture(name='sweep_dir')
def sweep_dir_fixture(tmp_path):
  return sweep_dir_lib.SweepDir(tmp_path / 'sweep')
