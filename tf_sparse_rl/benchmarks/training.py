"""Times training: whole env steps, and the stages of one."""

import dataclasses
import functools
import tempfile
import time

import numpy as np

from tf_sparse_rl import callbacks, envs, replay, seeds
from tf_sparse_rl import config as config_lib
from tf_sparse_rl.agents import registry
from tf_sparse_rl.benchmarks import operations
from tf_sparse_rl.runs import RunDir
from tf_sparse_rl.training import cost, learner, loop, machine


def measure(config, warmup_env_steps):
  """Runs the real loop, then each stage alone.

  Args:
    config: a Config; the run is as long as it says.
    warmup_env_steps: env steps before the clock starts.

  Returns:
    Dict of JSON types.
  """
  speeds = env_steps(config, warmup_env_steps)
  speed = speeds['env_steps_per_sec']
  stages, kinds, replay_bytes, described = _stages(config)
  collect_ms = stages['act'] + stages['environment']
  train_ms = stages['train'] + stages.get('sample', 0.0)
  whole = config_lib.resolve(dataclasses.replace(config, num_env_steps=None))
  return {
    'method': config.method,
    **speeds,
    # Without training, and without acting.
    'collect_env_steps_per_sec': round(1000 / collect_ms, 1),
    'train_steps_per_sec': round(1000 / train_ms, 1),
    # At this speed; evaluations come on top.
    'hours_of_a_whole_run': {
      'env_steps': whole.num_env_steps,
      'hours': round(whole.num_env_steps / speed / 3600, 2),
    },
    'milliseconds': {name: round(ms, 4) for name, ms in stages.items()},
    'train_step_operations_ms': kinds,
    'full_replay_memory_mib': round(replay_bytes / 2**20, 1),
    'machine': described,
  }


def env_steps(config, warmup_env_steps):
  """Speed of the real loop; see `measure`.

  Returns:
    Dict: env steps per second and per second of CPU time; the peak of memory up
    to the end of the run; the machine.
  """
  marks = []  # (env step, time, CPU time): the first and the latest
  described = {}

  class Marks(callbacks.Callback):
    def on_env_step(self, training):
      # The last step's evaluation comes before its call, so it is left out.
      if warmup_env_steps <= training.env_step < config.num_env_steps:
        now = time.perf_counter(), time.process_time()
        marks[1:] = [(training.env_step, *now)]
        described.update(training.machine)

  with tempfile.TemporaryDirectory() as path:
    directory = RunDir(path)
    loop.train(config, directory, [Marks()])
  steps, seconds, cpu_seconds = (b - a for a, b in zip(*marks))
  return {
    'env_steps_per_sec': round(steps / seconds, 1),
    'env_steps_per_cpu_sec': round(steps / cpu_seconds, 1),
    'peak_memory_mib': cost.peak_memory_mib(),
    'machine': described,
  }


def _stages(config, calls=300):
  """Mean milliseconds of each stage of an env step, and where they come from.

  That is: of each kind of operation in the train step; the bytes of a full
  buffer; the machine, see `machine.describe`.
  """
  env, agent, buffer, rng, observation = prepare(config)
  learn = learner.make(config, agent, buffer)
  observations = observation.repeat(config.num_envs, axis=0)
  noise = agent.noise(rng, config.num_envs)
  # A rollout is prepared once, then trained on without acting.
  sampled, trained = ('sample', 'train_and_act')
  if agent.rollouts is not None:
    sampled, trained = ('prepare_rollout', 'train')
  train = train_step(agent, learn, buffer, rng, observations)
  stages = {
    'act': lambda: learn.act(observations, noise),
    'environment': lambda: _env_step(env, rng),
    sampled: lambda: trainable_rows(config, agent, buffer, rng),
    trained: train,
  }
  result = {name: _mean_ms(stage, calls) for name, stage in stages.items()}
  if agent.rollouts is None:
    result['train'] = result[trained] - result['act']
  kinds = operations.milliseconds(stages[trained], calls)
  return (
    result,
    kinds,
    buffer.num_bytes,
    machine.describe(agent, learn.is_fused),
  )


def _mean_ms(function, calls):
  for _ in range(20):
    function()
  begin = time.perf_counter()
  for _ in range(calls):
    function()
  return (time.perf_counter() - begin) / calls * 1000


def _env_step(env, rng):
  step = env.step(env.random_action(rng))
  if step.terminated or step.truncated:
    env.reset(seed=0)


def train_step(agent, learn, buffer, rng, observations):
  """A function that makes a train step on one batch, then acts with a replay.

  Args:
    agent: a `base.Agent`.
    learn: its Learner.
    buffer: what it trains on.
    rng: a NumPy generator.
    observations: `[num_envs, ...]`.
  """
  rows = learn.draw(buffer, rng)
  if agent.rollouts is not None:
    return functools.partial(learn.train_on, rows)
  noise = agent.noise(rng, len(observations))
  return functools.partial(learn.train_on, rows, observations, noise)


def trainable_rows(config, agent, buffer, rng):
  """Draws from the buffer: a batch, or of a rollout all rows."""
  if agent.rollouts is None:
    return buffer.sample(config.batch_size, rng)
  return agent.rollouts.prepare(buffer.latest())


def prepare(config, num_env_steps=2048):
  """The parts of a run, ready for its first train step.

  Args:
    config: a Config.
    num_env_steps: at random, into the replay.

  Returns:
    The environment, a `base.Agent`, the buffer, a generator of random numbers
    and observations `[1, observation_size]`.
  """
  env = envs.make(config)
  agent = registry.build(config, env.spec)
  buffer = replay.make(config, env.spec)
  num_env_steps = max(num_env_steps, config.rollout_env_steps or 0)
  rng = seeds.generator(config.seed, seeds.Stream.COLLECTION)
  observation = env.reset(seed=0)
  for _ in range(num_env_steps):
    action = env.random_action(rng)
    step = env.step(action)
    buffer.add(observation, action, step)
    over = step.terminated or step.truncated
    observation = env.reset(seed=0) if over else step.observation
  return env, agent, buffer, rng, observation[np.newaxis]
