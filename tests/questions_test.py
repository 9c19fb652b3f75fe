"""The page of ten questions: its commands work, one after the other."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_MODULE = """
import gymnasium as gym
import numpy as np


class MyEnv(gym.Env):
  metadata = {'render_modes': ['rgb_array', 'human'], 'render_fps': 30}
  observation_space = gym.spaces.Box(-1, 1, (2,))
  action_space = gym.spaces.Discrete(3)

  def __init__(self, goal=0, render_mode=None):
    self.goal, self.render_mode = goal % 3, render_mode

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return self._observe(), {}

  def step(self, action):
    return self._observe(), float(action == self.goal), False, False, {}

  def render(self):
    return np.zeros((64, 64, 3), np.uint8)

  def _observe(self):
    return self.np_random.uniform(-1, 1, 2).astype(np.float32)


gym.register('MyEnv-v0', MyEnv, max_episode_steps=20)
"""
_SHORT = {
  'num_env_steps': 400,
  'initial_collect_env_steps': 200,
  'hidden_units': (8, 8),
  'eval_period': 200,
  'checkpoint_period': 200,
  'num_eval_episodes': 2,
}


def _blocks():
  """(language, code) of the page, in order."""
  text = (_ROOT / 'docs' / 'questions.md').read_text('utf-8')
  return re.findall(r'^```(\w+)\n(.*?)^```', text, re.DOTALL | re.MULTILINE)


def _shortened(language, code):
  """The code with less to train."""
  if language == 'python':
    fields = ', '.join(f'{name}={value}' for name, value in _SHORT.items())
    return code.replace('learning_rate=rate)', f'learning_rate=rate, {fields})')
  if '--num_env_steps=' in code:
    return re.sub(r'--num_env_steps=\d+', '--num_env_steps=600', code)
  if not re.search(r'tf_sparse_rl\.(train|sweep) ', code):
    return code
  flags = [
    f'--{name}={str(value).strip("()").replace(" ", "")}'
    for name, value in _SHORT.items()
  ]
  return f'{code.strip()} {" ".join(flags)}\n'


@pytest.mark.slow
def test_every_answer_works(tmp_path):
  (tmp_path / 'my_module.py').write_text(_MODULE, 'utf-8')
  blocks = _blocks()
  assert len(blocks) == 10
  for language, code in blocks:
    if language == 'python':
      command = [sys.executable, '-c', _shortened(language, code)]
    else:
      code = code.replace('python ', f'{sys.executable} ', 1)
      command = ['bash', '-euc', _shortened(language, code)]
    result = subprocess.run(
      command,
      cwd=tmp_path,
      env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{_ROOT}'},
      capture_output=True,
      text=True,
      check=False,
    )
    assert result.returncode == 0, (code, result.stderr)
  assert (tmp_path / 'runs/report/index.html').exists()
  assert list((tmp_path / 'runs/goal/video').glob('*.mp4'))
  assert list((tmp_path / 'runs/exported').rglob('*.tflite'))
