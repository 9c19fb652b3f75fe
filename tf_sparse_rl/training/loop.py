"""The training loop: collect, train, evaluate, in the paper's order.

Read it from top to bottom. Where sparsity comes in is not seen here: masks
move inside the agent's optimizer.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from tf_sparse_rl import envs, sparsity
from tf_sparse_rl.agents import parts as agent_parts
from tf_sparse_rl.agents import registry
from tf_sparse_rl.training import (
  evaluation,
  learner,
  metrics,
  replay,
  summaries,
)

# Each use of randomness has a stream of its own, derived from the seed.
_COLLECT_STREAM, _ENV_STREAM, _EVAL_STREAM = range(3)


class TrainingError(Exception):
  """Training cannot go on."""


class Outcome(NamedTuple):
  """What a run leaves when it has come to its end."""

  parts: agent_parts.AgentParts
  totals: dict  # for summary.json


def train(config, run_dir, on_progress=lambda env_step, result: None):
  """Trains one agent; results and summaries go to its directory.

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
  env = envs.make(config)
  parts = registry.build(config, env.spec)
  buffer = replay.Replay(
    config.replay_capacity, env.spec.observation_size, env.spec.action_size
  )
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
  episodes = metrics.Episodes()
  clock = metrics.Clock()

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
  scalars = {}
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
      try:
        actions, scalars = learn.train_and_act(
          rows, observation[np.newaxis], noise
        )
      except FloatingPointError as error:
        raise _diverged(config, env_step, error) from error
      action = actions[0]

    if env_step % config.summary_period == 0:
      values = {tag: float(scalar) for tag, scalar in scalars.items()}
      writer.train(env_step, values, episodes, clock.speed(env_step))
    if env_step % config.eval_period == 0 or env_step == config.num_env_steps:
      clock.pause(env_step)
      evaluate(env_step)
      clock.start(env_step)
    on_progress(env_step, None)

  writer.close()
  env.close()
  return Outcome(parts, _totals(config, parts, clock))


def _seed(config, stream):
  """Seed of one use of randomness, below 2**31."""
  return int(
    np.random.SeedSequence([config.seed, stream]).generate_state(1)[0] >> 1
  )


def _diverged(config, env_step, error):
  train_step = dataclasses.replace(
    config, num_env_steps=env_step
  ).num_train_steps
  return TrainingError(
    f'The loss is not finite at train step {train_step} (env step {env_step}): '
    f'{error}. Try a lower --learning_rate.'
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
