"""Two small studies, read once for all tests that look at them."""

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import conditions, origins, writing
from tf_sparse_rl.report import study as study_lib


def _read(root):
  [agent_study] = study_lib.build(conditions.group(runs.read(root)), 100)
  return agent_study


@pytest.fixture(scope='session')
def read_study():
  """Function: directory of the runs of one agent -> AgentStudy."""
  return _read


@pytest.fixture(scope='session')
def dqn_runs(tmp_path_factory):
  """A directory of DQN runs; the main grid, and uniform sparsity."""
  root = tmp_path_factory.mktemp('dqn')
  envs = ['Acrobot-v1', 'CartPole-v1']
  methods = ['dense', 'small_dense', 'static', 'rigl']
  studies.make_grid(root / 'erk', envs, methods, [0.8, 0.95], [0, 1])
  studies.make_grid(
    root / 'uniform', envs, ['rigl'], [0.8], [0, 1], distribution='uniform'
  )
  return root


@pytest.fixture(scope='session')
def dqn_study(dqn_runs):
  """The AgentStudy of dqn_runs."""
  return _read(dqn_runs)


@pytest.fixture(scope='session')
def report(dqn_runs, tmp_path_factory):
  """Path of the index.html of a report on dqn_runs."""
  found = runs.read(dqn_runs)
  out = tmp_path_factory.mktemp('report') / 'out'
  return writing.write(
    conditions.group(found), out, 100, made=origins.of(found)
  )


@pytest.fixture(scope='session')
def sac_study(tmp_path_factory):
  """SAC runs that differ in weight decay, init and actor share; with noise."""
  root = tmp_path_factory.mktemp('sac')
  fields = {'agent': 'sac', 'env_name': 'Walker2d-v5', 'sparsity': 0.8}
  noise = {0.0: 4000.0, 10.0: 1000.0}
  variants = {
    'plain': {'noise': noise},
    'decay': {'weight_decay': 1e-3},
    'init': {'sparsity_aware_init': False},
    'share10': {'actor_parameter_share': 0.1, 'parameter_budget': 0.2},
    'share50': {'actor_parameter_share': 0.5, 'parameter_budget': 0.2},
    'dense': {'method': 'dense', 'noise': noise},
  }
  for name, changes in variants.items():
    for seed in (0, 1):
      studies.make_run(root / f'{name}{seed}', seed=seed, **fields, **changes)
  return _read(root)
