"""A custom environment by commands only: train, resume, use.

Its package lies outside of the project, where the commands are started.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

# Each of them takes a process of its own.
pytestmark = pytest.mark.slow
_ROOT = pathlib.Path(__file__).parents[1]
_MODULE = """
import os

import gymnasium as gym
import numpy as np


class Lights(gym.Env):
  '''Which of some lights is on; the goal is one of them.'''

  def __init__(self, goal, num_lights=3):
    self.observation_space = gym.spaces.Dict(
      lights=gym.spaces.MultiBinary(num_lights),
      place=gym.spaces.Box(-1, 1, (2, 2)),
    )
    self.action_space = gym.spaces.Discrete(num_lights, start=1)
    self._goal = goal
    self._num_steps = 0

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._on = int(self.np_random.integers(self.action_space.n))
    return self._observe(), {}

  def step(self, action):
    self._num_steps += 1
    if self._num_steps > 150 and os.path.exists('broken'):
      open('no_such_file')
    self._on = int(action) - 1
    return self._observe(), float(self._on == self._goal), False, False, {}

  def _observe(self):
    lights = np.zeros(self.action_space.n, np.int8)
    lights[self._on] = 1
    place = self.np_random.uniform(-1, 1, (2, 2)).astype(np.float32)
    return {'lights': lights, 'place': place}


gym.register('Lights-v0', Lights, max_episode_steps=20)


def tenfold(env):
  return gym.wrappers.TransformReward(env, lambda reward: 10 * reward)
"""
_FLAGS = (
  '--env_name=lights.rooms:Lights-v0',
  '--env_kwargs={"goal": 2, "num_lights": 4}',
  '--env_wrappers=lights.rooms:tenfold',
  '--num_env_steps=300',
  '--initial_collect_env_steps=60',
  '--hidden_units=16',
  '--batch_size=8',
  '--eval_period=100',
  '--num_eval_episodes=2',
  '--mask_update_period=50',
  '--backend=masked',
)


@pytest.fixture(name='here', scope='module')
def here_fixture(tmp_path_factory):
  """A directory with the package."""
  path = tmp_path_factory.mktemp('lights')
  (path / 'lights').mkdir()
  (path / 'lights' / '__init__.py').write_text('')
  (path / 'lights' / 'rooms.py').write_text(_MODULE)
  return path


def _run(here, *command):
  if command[0] != 'python':
    command = ['python', '-m', f'tf_sparse_rl.{command[0]}', *command[1:]]
  return subprocess.run(
    [sys.executable, *command[1:]],
    cwd=here,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(name='finished', scope='module')
def finished_fixture(here):
  process = _run(here, 'train', *_FLAGS, '--root_dir=untouched')
  assert (process.returncode, process.stderr) == (0, '')
  return here / 'untouched'


def _results(path):
  lines = (path / 'results.jsonl').read_text('utf-8').splitlines()
  timed = ('wall_seconds', 'env_steps_per_sec')
  results = [json.loads(line) for line in lines]
  return [{k: r[k] for k in r if k not in timed} for r in results]


def test_the_config_says_all_of_it(finished):
  config = json.loads((finished / 'config.json').read_text('utf-8'))
  assert config['env_name'] == 'lights.rooms:Lights-v0'
  assert json.loads(config['env_kwargs']) == {'goal': 2, 'num_lights': 4}
  assert config['env_wrappers'] == 'lights.rooms:tenfold'
  assert max(max(r['returns']) for r in _results(finished)) % 10 == 0


def test_a_run_whose_environment_broke_ends_as_an_untouched_one(here, finished):
  (here / 'broken').touch()
  process = _run(here, 'train', *_FLAGS, '--root_dir=resumed')
  assert process.returncode == 1
  first, *_, last = process.stderr.splitlines()
  told = (
    'error: lights.rooms:Lights-v0: step raised FileNotFoundError (after env '
    'step 150). A checkpoint was saved. To continue: '
  )
  assert first.startswith(told)
  assert last.endswith("No such file or directory: 'no_such_file'")
  assert 'tf_sparse_rl' not in process.stderr[len(first) :]
  (here / 'broken').unlink()
  process = _run(here, *shlex.split(first[len(told) :].rstrip(':')))
  assert process.returncode == 0, process.stderr
  assert 'Continuing at env step 150.' in process.stdout
  assert _results(here / 'resumed') == _results(finished)


def test_it_is_evaluated_and_exported(here, finished):
  flags = ('--root_dir=untouched', '--num_episodes=2', '--json')
  process = _run(here, 'evaluate', *flags)
  assert process.returncode == 0, process.stderr
  assert process.stderr == (
    'untouched/config.json names modules that are imported now: lights.rooms\n'
  )
  assert json.loads(process.stdout)['lengths'] == [20, 20]
  out = ('--out=exported', '--format=npz')
  process = _run(here, 'export', '--root_dir=untouched', *out)
  assert process.returncode == 0, process.stderr
  assert (here / 'exported' / 'policy.npz').exists()
  # Elsewhere there is no such module.
  where = f'--root_dir={finished}'
  process = _run(here.parent, 'evaluate', where)
  assert process.returncode == 2
  assert "--env_name: Unknown module 'lights" in process.stderr


def test_a_sweep_trains_it(here):
  flags = [f for f in _FLAGS if not f.startswith('--env_name=')]
  process = _run(
    here,
    *('sweep', '--sweep_dir=sweep', '--methods=dense', '--seeds=1'),
    *('--env_names=lights.rooms:Lights-v0', '--max_parallel=1'),
    *(flag for flag in flags if 'num_env_steps' not in flag),
    '--num_env_steps=100',
  )
  assert process.returncode == 0, process.stderr
  run = here / 'sweep' / 'runs' / 'lights.rooms_Lights-v0-dense-seed0'
  assert (run / 'summary.json').exists()


def test_no_tensorflow_for_a_wrong_name(here):
  code = (
    'import runpy, sys\n'
    'sys.argv = ["train", "--root_dir=x", "--env_name=lights.room:Lights-v0"]\n'
    'try:\n'
    '  runpy.run_module("tf_sparse_rl.train", run_name="__main__")\n'
    'except SystemExit as error:\n'
    '  print(error.code, "tensorflow" in sys.modules)\n'
  )
  process = _run(here, 'python', '-c', code)
  assert process.stdout == '2 False\n'
  assert "Did you mean 'lights.rooms'?" in process.stderr
  assert not (here / 'x').exists()
