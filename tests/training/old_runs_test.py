"""Run directories of version 0.1.0 load, continue and are reported."""

import json
import math
import pathlib
import tarfile

import gymnasium
import numpy as np
import pytest

from tests import tiny
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.training import loop

_ROOT = pathlib.Path(__file__).parents[2]
_RUNS = _ROOT / 'testdata' / 'old_runs'
_SHORT_CART_POLE = 'ShortCartPole-v0'


@pytest.fixture(autouse=True)
def short_cart_pole():
  """The environment that some of them know; see testdata/old_runs."""
  gymnasium.register(
    _SHORT_CART_POLE,
    entry_point='gymnasium.envs.classic_control:CartPoleEnv',
    max_episode_steps=15,
  )
  yield
  del gymnasium.registry[_SHORT_CART_POLE]


def _unpacked(name, path):
  with tarfile.open(_RUNS / f'{name}.tar.gz') as archive:
    archive.extractall(path, filter='data')
  return path / name


def _segments(path):
  """The shapes of the segments that the newest checkpoint names."""
  [*_, newest] = sorted((path / 'checkpoints').glob('env_step_*'))
  manifest = json.loads((newest / 'manifest.json').read_text('utf-8'))
  return [
    np.load(path / 'checkpoints' / segment['name']).shape
    for segment in manifest['segments']
  ]


@pytest.mark.parametrize(
  'name, segments, num_train_steps',
  [
    # 4 observations, 1 action, reward, discount, 4 observations.
    ('dqn', [(40, 11)] * 4, 300),
    ('sac', [(40, 3 + 1 + 1 + 1 + 3)] * 5, 300),
    # And whether the episode was over.
    ('ppo', [(40, 12)] * 2, 6 * 2 * 64 // 16),
  ],
)
def test_a_stopped_run_comes_to_its_end(
  name, segments, num_train_steps, tmp_path
):
  path = _unpacked(name, tmp_path)
  assert _segments(path) == segments
  directory = run_dir.RunDir(path)
  before = (path / 'results.jsonl').read_text('utf-8')
  assert [json.loads(line)['env_step'] for line in before.splitlines()] == [
    0,
    100,
  ]
  recorder = tiny.Recorder()
  with directory.locked():
    config = directory.read_config()
    summary = loop.train(config, directory, [recorder]).summary
    directory.finish(summary)
  assert recorder.messages[2:] == ['Continuing at env step 200.']
  after = (path / 'results.jsonl').read_text('utf-8')
  assert after.startswith(before)
  results = directory.read_results()
  assert [r.env_step for r in results] == [0, 100, 200, 300, 400]
  # The masks of the checkpoint: as many ones as ever.
  assert len({r.nonzero for r in results}) == 1
  assert all(math.isfinite(value) for r in results for value in r.returns)
  assert (summary.env_steps, summary.train_steps) == (
    400,
    num_train_steps,
  )


def test_a_finished_run_is_evaluated_and_reported(commands, tmp_path):
  def command(name, *arguments):
    ended = commands.run(name, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout

  path = _unpacked('dqn_finished', tmp_path / 'runs')
  evaluated = json.loads(
    command('evaluate', f'--root_dir={path}', '--num_episodes=3', '--json')
  )
  assert evaluated['env_name'] == 'CartPole-v1'
  # A reward of 1 an env step.
  assert evaluated['returns'] == evaluated['lengths']
  assert len(evaluated['returns']) == 3

  told = command('train', f'--root_dir={path}', f'--config={path}/config.json')
  assert told.startswith(f'The run in {path} is finished.')

  out = tmp_path / 'report'
  told = command(
    'report',
    f'--sweep_dir={tmp_path}/runs',
    f'--out={out}',
    '--num_resamples=100',
  )
  assert told == f'Report: {out}/index.html\n'
  [header, row] = (out / 'tables' / 'runs.csv').read_text('utf-8').splitlines()
  reported = dict(zip(header.split(','), row.split(',')))
  summary = json.loads((path / 'summary.json').read_text('utf-8'))
  assert reported['status'] == 'finished'
  assert reported['condition'] == 'RigL 0.9'
  assert float(reported['final return']) == summary['final_return']
