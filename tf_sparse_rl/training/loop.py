"""The training loop: collect, train, evaluate, in the paper's order.

Read it from top to bottom. Where sparsity comes in is not seen here: masks
move inside the agent's optimizer.
"""

import collections
import math
import time
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import envs, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.exporting import policy
from tf_sparse_rl.training import evaluation, learner, replay, summaries

# Each use of randomness has a stream of its own, derived from the seed.
_COLLECT_STREAM, _ENV_STREAM, _EVAL_STREAM = range(3)


class TrainingError(Exception):
  """Training cannot go on."""


class Episodes:
  """The last collection episodes, for the summaries."""

  def __init__(self):
    self.count = 0
    self.returns = collections.deque(maxlen=10)
    self.lengths = collections.deque(maxlen=10)
    self._return, self._length = 0.0, 0

  def add(self, step):
    """Adds an env step; an episode counts once it is over."""
    self._return += step.reward
    self._length += 1
    if step.terminated or step.truncated:
      self.count += 1
      self.returns.append(self._return)
      self.lengths.append(self._length)
      self._return, self._length = 0.0, 0


class Outcome(NamedTuple):
  """What a finished run says about itself."""

  parts: object  # AgentParts
  summary: dict  # as in summary.json


def train(config, run_dir, on_progress=lambda env_step, result: None):
  """Trains one agent and writes everything to its directory.

  Args:
    config: a resolved Config.
    run_dir: a RunDir that this process holds and that has been started.
    on_progress: called after each env step with its number and, after an
      evaluation, its line of results.jsonl, else None.

  Returns:
    Outcome.

  Raises:
    TrainingError: if a loss is not finite.
  """
  env = envs.Environment(config.env_name)
  parts = registry.build(config, env.spec)
  buffer = replay.Replay(config.replay_capacity, env.spec.observation_size)
  learn = learner.Learner(
    parts,
    config.batch_size,
    buffer.row_size,
    env.spec.observation_size,
    config.jit_compile,
  )
  evaluator = evaluation.Evaluator(
    config.env_name, config.num_eval_episodes, _seed(config, _EVAL_STREAM)
  )
  writer = summaries.Summaries(run_dir.path, config, parts)
  rng = np.random.default_rng(_seed(config, _COLLECT_STREAM))
  episodes = Episodes()
  clock = _Clock()

  def evaluate(env_step):
    outcome = evaluator.evaluate(learn.act_greedily, index=env_step)
    writer.evaluation(env_step, *outcome)
    result = _result(env_step, parts, outcome, clock)
    run_dir.append_result(result)
    on_progress(env_step, result)

  evaluate(0)
  clock.start(0)
  observation = env.reset(seed=_seed(config, _ENV_STREAM))
  action = env.random_action(rng)
  losses = {}
  for env_step in range(1, config.num_env_steps + 1):
    step = env.step(action)
    buffer.add(observation, action, step)
    episodes.add(step)
    over = step.terminated or step.truncated
    observation = env.reset() if over else step.observation

    if env_step <= config.initial_collect_env_steps:
      action = env.random_action(rng)
    elif env_step % config.train_period:
      noise = parts.sample_noise(rng, 1)
      action = learn.act(observation[np.newaxis], noise)[0]
    else:
      noise = parts.sample_noise(rng, 1)
      rows = buffer.sample(config.batch_size, rng)
      actions, losses = learn.train_and_act(
        rows, observation[np.newaxis], noise
      )
      action = actions[0]
      _check_finite(losses, env_step, parts)

    if env_step % config.summary_period == 0:
      values = {name: float(loss) for name, loss in losses.items()}
      writer.train(env_step, values, episodes, clock.speed(env_step))
    if env_step % config.eval_period == 0 or env_step == config.num_env_steps:
      clock.pause(env_step)
      evaluate(env_step)
      clock.start(env_step)
    on_progress(env_step, None)

  writer.close()
  env.close()
  policy.export(parts, env.spec, run_dir.policy_path)
  return Outcome(parts, run_dir.finish(_totals(config, parts, clock)))


def _seed(config, stream):
  """Seed of one use of randomness, below 2**31."""
  return int(
    np.random.SeedSequence([config.seed, stream]).generate_state(1)[0] >> 1
  )


def _check_finite(losses, env_step, parts):
  """Stops at the first train step whose loss is NaN or infinite."""
  if math.isfinite(float(losses['total_loss'])):
    return
  values = {name: float(loss) for name, loss in losses.items()}
  raise TrainingError(
    f'The loss is not finite at train step {_train_step(parts)} (env step '
    f'{env_step}): {values}. Try a lower --learning_rate.'
  )


def _train_step(parts):
  return int(parts.agent.train_step_counter)


def _count(parts):
  return sparsity.counting.total(
    [c for n in parts.networks.values() for c in sparsity.counting.count(n)]
  )


def _result(env_step, parts, outcome, clock):
  """One line of results.jsonl."""
  count = _count(parts)
  return {
    'env_step': env_step,
    'train_step': _train_step(parts),
    'return_mean': float(np.mean(outcome.returns)),
    'returns': outcome.returns,
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'wall_seconds': round(clock.wall_seconds, 3),
    'env_steps_per_sec': round(clock.mean_speed, 1),
  }


def _totals(config, parts, clock):
  """What summary.json says besides the returns."""
  count = _count(parts)
  return {
    'env_steps': config.num_env_steps,
    'train_steps': _train_step(parts),
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'parameters': count.parameters,
    'wall_seconds': round(clock.wall_seconds, 3),
    'env_steps_per_sec': round(clock.mean_speed, 1),
  }


class _Clock:
  """Wall time of the run, and the speed of training without evaluation."""

  def __init__(self):
    self._begin = time.perf_counter()
    self._trained = 0.0  # seconds, evaluations left out
    self._env_steps = 0
    self._started = self._since = (0, self._begin)

  @property
  def wall_seconds(self):
    return time.perf_counter() - self._begin

  @property
  def mean_speed(self):
    """Env steps a second over all training so far."""
    return self._env_steps / self._trained if self._trained else 0.0

  def start(self, env_step):
    self._started = self._since = (env_step, time.perf_counter())

  def pause(self, env_step):
    first, started = self._started
    self._trained += time.perf_counter() - started
    self._env_steps += env_step - first

  def speed(self, env_step):
    """Env steps a second since the last call or start."""
    (first, since), now = self._since, time.perf_counter()
    self._since = (env_step, now)
    return (env_step - first) / max(now - since, 1e-9)
