"""The training loop: collect, train, evaluate, in the paper's order.

Read it from top to bottom. Where sparsity comes in is not seen here: masks
move inside the agent's optimizer.
"""

from typing import NamedTuple

import numpy as np

from tf_sparse_rl import envs
from tf_sparse_rl.agents import parts as agent_parts
from tf_sparse_rl.agents import registry
from tf_sparse_rl.diagnostics import diagnoser
from tf_sparse_rl.training import (
  checkpoints,
  cost,
  evaluation,
  learner,
  replay,
  state,
  summaries,
)


class TrainingError(Exception):
  """Training cannot go on."""


class StoppedError(Exception):
  """Training was asked to stop, and can be continued."""


class Outcome(NamedTuple):
  """What a run leaves when it has come to its end."""

  parts: agent_parts.AgentParts
  totals: dict  # for summary.json


def train(
  config,
  run_dir,
  on_progress=lambda env_step, result: None,
  stop=lambda: False,
  log=lambda text: None,
):
  """Trains one agent, from the last checkpoint if there is one.

  Args:
    config: a resolved Config.
    run_dir: a RunDir that this process holds and that has been started.
    on_progress: called after each env step with its number and, after an
      evaluation, its line of results.jsonl, else None.
    stop: asked at every env step whether to stop, after a checkpoint.
    log: called with a line for a person.

  Returns:
    Outcome.

  Raises:
    TrainingError: if a loss is not finite.
    FloatingPointError: if the environment or a weight is not.
    StoppedError: if `stop` said so.
    CheckpointError: if there are checkpoints and none can be used.
  """
  env = envs.make(config)
  parts = registry.build(config, env.spec)
  run_dir.start(config)  # Not before: what cannot be built leaves no config.
  buffer = replay.make(config, env.spec)
  learn = learner.make(config, parts, buffer, env.spec.observation_size)
  evaluator = evaluation.Evaluator(
    config.env_name, config.num_eval_episodes, state.evaluation_seed(config)
  )
  diagnoses = diagnoser.Diagnoser(config, parts)
  keeper = checkpoints.Checkpoints(run_dir.checkpoints, parts.agent, buffer)
  saved = keeper.restore(log)
  now = state.State.from_json(saved) if saved else state.State.begin(config)
  run_dir.set_results(now.results)
  writer = summaries.Summaries(run_dir.path, config, parts, now)
  observation = env.restore(now.position)
  if saved:
    log(f'Continuing at env step {now.env_step:,}.')
  elif config.num_random_env_steps:
    now.action = env.random_action(now.rng)
  else:
    noise = parts.sample_noise(now.rng, 1)
    now.action = learn.act(observation[np.newaxis], noise)[0]

  now.clock.start(now.env_step)
  while True:
    if _evaluation_is_due(config, now):
      now.clock.pause(now.env_step)
      outcome = evaluator.evaluate(learn.act_greedily, now.env_step, stop)
      if outcome is not None:
        writer.evaluation(now.env_step, *outcome)
        now.results.append(_result(config, now, parts, outcome))
        run_dir.append_result(now.results[-1])
        keeper.evaluated(now.env_step, now.results[-1]['return_mean'])
        on_progress(now.env_step, now.results[-1])
      now.clock.start(now.env_step)
    if stop():
      writer.close()
      if now.env_step:
        keeper.save(now.env_step, now.to_json(env.position))
      raise StoppedError(f'Stopped at env step {now.env_step:,}')
    if now.env_step == config.num_env_steps:
      break

    step = env.step(now.action)
    buffer.add(observation, now.action, step)
    now.episodes.add(step)
    now.env_step += 1
    observation = step.observation
    if step.terminated or step.truncated:
      observation = env.reset(state.episode_seed(config, now.episodes.count))

    if diagnoses.is_due(now.env_step):
      rng = state.diagnosis_rng(config, now.env_step)
      now.diagnosis = diagnoses.diagnose(learn.draw(buffer, rng))
      writer.diagnosis(now.env_step, now.diagnosis)
    if now.env_step <= config.num_random_env_steps:
      now.action = env.random_action(now.rng)
    elif now.env_step % config.env_steps_between_training:
      noise = parts.sample_noise(now.rng, 1)
      now.action = learn.act(observation[np.newaxis], noise)[0]
    else:
      noise = parts.sample_noise(now.rng, 1)
      try:
        actions, now.scalars = learn.train_and_act(
          buffer, now.rng, observation[np.newaxis], noise
        )
      except FloatingPointError as error:
        raise _diverged(now.env_step, learn.train_step, error) from error
      now.action = actions[0]

    if now.env_step % config.summary_period == 0:
      speed = now.clock.speed(now.env_step)
      writer.train(now.env_step, now.scalars, now.episodes, speed)
    if now.env_step % config.checkpoint_period == 0 or (
      now.env_step == config.num_env_steps
    ):
      writer.flush()
      keeper.save(now.env_step, now.to_json(env.position))
    on_progress(now.env_step, None)

  writer.close()
  env.close()
  return Outcome(parts, _totals(now, parts))


def _evaluation_is_due(config, now):
  """Whether this env step has an evaluation that is yet to be made."""
  if now.results and now.results[-1]['env_step'] == now.env_step:
    return False
  last = now.env_step == config.num_env_steps
  return last or now.env_step % config.eval_period == 0


def _diverged(env_step, train_step, error):
  return TrainingError(
    f'The loss is not finite at train step {train_step + 1} (env step '
    f'{env_step}): '
    f'{error}. Try a lower --learning_rate.'
  )


def _result(config, now, parts, outcome):
  """One line of results.jsonl."""
  count = cost.total(parts)
  diagnosis = {'diagnosis': now.diagnosis} if config.diagnostics else {}
  return {
    'env_step': now.env_step,
    'train_step': int(parts.agent.train_step_counter),
    'return_mean': float(np.mean(outcome.returns)),
    'returns': outcome.returns,
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'train_step_flops': cost.train_step_flops(parts, config.batch_size),
    **diagnosis,
    **now.clock.figures(),
  }


def _totals(now, parts):
  """What summary.json says besides the returns."""
  count = cost.total(parts)
  return {
    'env_steps': now.env_step,
    'train_steps': int(parts.agent.train_step_counter),
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'parameters': count.parameters,
    'inference_flops': cost.inference_flops(parts),
    'train_flops': cost.train_flops(now.results),
    'peak_memory_mib': cost.peak_memory_mib(),
    **now.clock.figures(),
  }
