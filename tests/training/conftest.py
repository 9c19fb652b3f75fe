"""A tiny run of each agent, trained once for all tests that look at it."""

from typing import Any, NamedTuple

import pytest

from tests import tiny
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.training import loop


class TinyRun(NamedTuple):
  """A finished run."""

  config: config_lib.Config
  run_dir: run_dir.RunDir
  outcome: loop.Outcome
  progress: list  # What the loop told: (env_step, result or None).


@pytest.fixture(scope='session')
def tiny_config():
  """Function: changes -> the Config of a tiny run."""

  def make(**changes: Any):
    return flags.make_config({**tiny.RUN, **changes})

  return make


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory, tiny_config):
  """A finished RigL run of DQN with mask images."""
  return _run(tmp_path_factory, tiny_config(mask_images=True))


@pytest.fixture(scope='session')
def tiny_sac_run(tmp_path_factory, tiny_config):
  """The same of SAC, with diagnostics."""
  return _run(
    tmp_path_factory,
    tiny_config(
      agent='sac',
      env_name='Pendulum-v1',
      mask_images=True,
      diagnostics=','.join(config_lib.DIAGNOSTICS),
      diagnostics_period=150,
      dynamic_replay=True,
      min_replay_size=100,
    ),
  )


@pytest.fixture(scope='session')
def tiny_adaptive_run(tmp_path_factory, tiny_config):
  """A short run of DQN with adaptive pruning."""
  return _run(
    tmp_path_factory,
    tiny_config(
      **{'method': 'adaptive', 'num_networks': 2, 'num_env_steps': 200},
      **{'selection_period': 30, 'eval_period': 100},
    ),
  )


@pytest.fixture(scope='session')
def tiny_ppo_run(tmp_path_factory, tiny_config):
  """The same of PPO, with diagnostics."""
  return _run(
    tmp_path_factory,
    tiny_config(
      agent='ppo',
      env_name='Pendulum-v1',
      initial_collect_env_steps=None,
      rollout_env_steps=64,
      num_epochs=2,
      diagnostics=','.join(config_lib.DIAGNOSTICS),
      diagnostics_period=150,
    ),
  )


def _run(tmp_path_factory, config):
  directory = run_dir.RunDir(tmp_path_factory.mktemp('tiny') / 'run')
  recorder = tiny.Recorder()
  with directory.locked():
    directory.start(config)
    outcome = loop.train(config, directory, [recorder])
    directory.finish(outcome.summary)
  return TinyRun(config, directory, outcome, recorder.progress)
