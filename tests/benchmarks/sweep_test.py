"""The benchmark of a sweep, with runs that take no time."""

import pytest

from tf_sparse_rl.benchmarks import sweep
from tf_sparse_rl.sweeps import local_engine

_TINY = {
  'num_env_steps': 200,
  'initial_collect_env_steps': 100,
  'hidden_units': (16, 16),
  'batch_size': 8,
  'num_eval_episodes': 1,
}


@pytest.mark.slow
def test_forked_runs_are_faster_than_runs_that_start_tensorflow():
  told = sweep.measure(_TINY, rounds=1)
  assert told['num_cores'] == len(local_engine.available_cores())
  [forked], [alone] = told['run_server'], told['own_processes']
  assert told['run_server_is_faster_by'] == {
    'runs_an_hour': [
      pytest.approx(forked['runs_an_hour'] / alone['runs_an_hour'], 0.01)
    ],
    'cpu_seconds_a_run': [
      pytest.approx(
        alone['cpu_seconds_a_run'] / forked['cpu_seconds_a_run'], 0.01
      )
    ],
  }
  # Importing TensorFlow takes seconds, these runs do not.
  assert alone['cpu_seconds_a_run'] > 1.2 * forked['cpu_seconds_a_run']
  assert alone['start_seconds'] < 1 < forked['start_seconds']


@pytest.mark.slow
def test_runs_that_fail_are_no_measurement():
  with pytest.raises(local_engine.EngineError, match='Runs failed'):
    sweep.measure({**_TINY, 'env_name': 'nowhere'}, rounds=1)
