"""Whole runs with adaptive pruning: resumed, read, exported, and learning."""

import numpy as np
import pytest

import tf_sparse_rl
from tests import tiny
from tf_sparse_rl import callbacks, runs
from tf_sparse_rl import config as config_lib
from tf_sparse_rl.report import conditions, study
from tf_sparse_rl.training import loop

_CLOCK = ('wall_seconds', 'env_steps_per_sec')
_RUN = {
  **{k: v for k, v in tiny.RUN.items() if k != 'mask_update_period'},
  'method': 'adaptive',
  'num_networks': 3,
  'max_sparsity_step': 0.1,
  'checkpoint_period': 200,
  'diagnostics': 'dormant,churn',
  'diagnostics_period': 150,
}
_DQN = {**_RUN, 'target_update_period': 30}
_SAC = {
  **_RUN,
  **{'agent': 'sac', 'env_name': 'Pendulum-v1', 'selection_period': 30},
}


def _train(path, values, stops=()):
  """The Outcome of a run that is stopped at some env steps and resumed."""
  config, run_dir = config_lib.make_config(values), runs.RunDir(path)
  for at in (*stops, None):
    with run_dir.locked():
      try:
        outcome = loop.train(config, run_dir, [tiny.StopAt(at)])
      except callbacks.StoppedError:
        continue
      run_dir.finish(outcome.summary)
  return outcome


def _results(path):
  return [
    {k: v for k, v in result.to_json().items() if k not in _CLOCK}
    for result in runs.RunDir(path).read_results()
  ]


@pytest.mark.slow
@pytest.mark.parametrize('values', [_DQN, _SAC], ids=['dqn', 'sac'])
def test_stopped_runs_end_like_one_left_alone(tmp_path, values):
  # Within a period, and at a selection.
  alone = _train(tmp_path / 'alone', values)
  stopped = _train(tmp_path / 'stopped', values, stops=(235, 400))
  assert _results(tmp_path / 'alone') == _results(tmp_path / 'stopped')
  ours, theirs = (x.agent.tf_agent.variables for x in (alone, stopped))
  assert len(ours) > 50
  for one, other in zip(ours, theirs, strict=True):
    np.testing.assert_array_equal(one, other, one.name)
  for name, candidates in alone.agent.candidates.items():
    assert candidates.sparsities.numpy()[0] > 0
    others = stopped.agent.candidates[name].sparsities
    np.testing.assert_array_equal(candidates.sparsities, others)


@pytest.mark.slow
def test_it_is_evaluated_exported_and_reported_as_others_are(tmp_path):
  path = tmp_path / 'run'
  outcome = _train(path, _DQN)
  run = tf_sparse_rl.open_run(path)
  last = runs.RunDir(path).read_results()[-1]
  wanted = outcome.agent.candidates['q_network'].sparsities.numpy()[0]
  assert last.sparsity == pytest.approx(float(wanted), abs=0.02)
  assert 0 < last.sparsity == run.summary.sparsity
  assert run.config.label == 'dqn CartPole-v1 adaptive'
  at = {'checkpoint': last.env_step}
  run.export(tmp_path / 'out', ['npz', 'tflite'], **at)
  policy = run.policy(**at)
  observations = np.random.default_rng(0).normal(size=(20, 4))
  actions = [policy(each.astype(np.float32)) for each in observations]
  expected = outcome.agent.act_greedily(observations.astype(np.float32))
  np.testing.assert_array_equal(actions, expected)
  assert len(run.evaluate(num_episodes=2, **at)['returns']) == 2
  _train(tmp_path / 'other', {**_DQN, 'seed': 1, 'sparsity': 0.5})
  [found] = study.build(conditions.group(runs.read(tmp_path)), num_resamples=10)
  [result] = found.results
  assert result.cell.label == 'Adaptive pruning'
  assert len(result.condition.finished) == 2


@pytest.mark.slow
def test_cartpole_is_learned_while_the_sparsity_rises(tmp_path):
  values = {
    'method': 'adaptive',
    'hidden_units': (64, 64),
    'num_env_steps': 15_000,
    'eval_period': 1000,
    'max_sparsity_step': 0.02,
  }
  _train(tmp_path / 'run', values)
  results = runs.RunDir(tmp_path / 'run').read_results()
  assert max(result.return_mean for result in results) > 300
  sparsities = [result.sparsity for result in results]
  # After 12,000 env steps the runs of docs/results/adaptive had 0.38 to 0.41.
  assert sparsities == sorted(sparsities) and sparsities[-1] > 0.3
