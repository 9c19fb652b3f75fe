"""Times checkpoints with a full replay buffer, and sampling from it."""

import pathlib
import tempfile
import time

import numpy as np

from tf_sparse_rl import envs, replay, seeds
from tf_sparse_rl.agents import registry
from tf_sparse_rl.benchmarks import in_turn
from tf_sparse_rl.training import checkpoints, state

_DRAWS = 500


def measure(config, rounds):
  """Fills the replay buffer, saves and adds in turn, restores at the end.

  Args:
    config: a Config; replay_capacity transitions, and checkpoint_period new
      ones at each checkpoint.
    rounds: number of checkpoints.

  Returns:
    Dict of JSON types: seconds, and milliseconds of sampling a batch.
  """
  env = envs.make(config)
  agent = registry.build(config, env.spec)
  buffer = replay.make(config, env.spec)
  _add(buffer, env, buffer.capacity)
  rng = seeds.generator(0, seeds.Stream.MEASUREMENT)
  draw_ms = in_turn.median_ms(
    lambda: buffer.sample(config.batch_size, rng), _DRAWS
  )
  with tempfile.TemporaryDirectory() as path:
    keeper = checkpoints.Checkpoints(path, agent.saved, buffer)
    now = state.State.begin(config)
    env.restore(now.positions[0])
    now.actions = np.array([env.random_action(rng)])
    seconds, num_bytes = [], []
    for round_ in range(rounds + 1):
      before = _files(path)
      begin = time.perf_counter()
      keeper.save(round_, now.to_json([env]))
      seconds.append(round(time.perf_counter() - begin, 4))
      num_bytes.append(
        sum(s for f, s in _files(path).items() if f not in before)
      )
      _add(buffer, env, config.checkpoint_period)
    begin = time.perf_counter()
    checkpoints.Checkpoints(path, agent.saved, buffer).restore()
    restore_seconds = time.perf_counter() - begin
  return {
    'transitions': buffer.capacity,
    'memory_mebibytes': round(buffer.num_bytes / 2**20, 1),
    'draw_milliseconds': draw_ms,
    'drawn_per_sec': round(1000 * config.batch_size / draw_ms),
    'new_transitions': config.checkpoint_period,
    'first_seconds': seconds[0],
    'seconds': seconds[1:],
    'mebibytes': round(num_bytes[-1] / 2**20, 2),
    'first_mebibytes': round(num_bytes[0] / 2**20, 2),
    'restore_seconds': round(restore_seconds, 3),
  }


def _add(buffer, env, num_transitions):
  """Adds the first transition of an episode many times."""
  observation = env.reset(seed=0)
  action = env.random_action(seeds.generator(0, seeds.Stream.MEASUREMENT))
  step = env.step(action)
  for _ in range(num_transitions):
    buffer.add(observation, action, step)


def _files(path):
  """{path: bytes} of all files below a directory."""
  return {
    file: file.stat().st_size
    for file in pathlib.Path(path).glob('**/*')
    if file.is_file()
  }
