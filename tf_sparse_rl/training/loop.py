"""The training loop: collect, train, evaluate, in the paper's order.

Read it from top to bottom. Where sparsity comes in is not seen here: masks
move inside the agent's optimizer.
"""

from typing import NamedTuple

import numpy as np

from tf_sparse_rl import envs, replay, seeds
from tf_sparse_rl.agents import base, registry
from tf_sparse_rl.diagnostics import diagnoser
from tf_sparse_rl.training import (
  checkpoints,
  collection,
  divergence,
  evaluation,
  learner,
  machine,
  results,
  state,
  summaries,
)


class TrainingError(Exception):
  """Training cannot go on."""


class StoppedError(Exception):
  """Training was asked to stop, and can be continued."""


class Outcome(NamedTuple):
  """What a run leaves when it has come to its end."""

  agent: base.Agent
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
    EnvError: if an environment fails; a checkpoint has been saved.
    FloatingPointError: if a weight is not.
    StoppedError: if `stop` said so.
    CheckpointError: if there are checkpoints and none can be used.
  """
  environments = [envs.make(config) for _ in range(config.num_envs)]
  spec = environments[0].spec
  if text := collection.no_time_limit(config, spec):
    log(text)
  agent = registry.build(config, spec)
  run_dir.start(config)  # Not before: what cannot be built leaves no config.
  buffer = replay.make(config, spec)
  learn = learner.make(config, agent, buffer)
  backends = machine.describe(agent)
  run_dir.note_machine(backends)
  if backends['backends']:
    log(machine.sentence(backends))
  evaluator = evaluation.Evaluator(
    [envs.make(config) for _ in range(config.num_eval_episodes)],
    config.eval_epsilon or 0.0,
    config.num_eval_env_steps,
    config.max_eval_episode_env_steps,
  )
  diagnoses = diagnoser.Diagnoser(config, agent)
  keeper = checkpoints.Checkpoints(
    run_dir.checkpoints, {**agent.saved, **diagnoses.saved}, buffer
  )
  saved = keeper.restore(log)
  now = state.State.from_json(saved) if saved else state.State.begin(config)
  run_dir.set_results(now.results)
  writer = summaries.Summaries(run_dir.path, config, agent, now)
  observations = np.stack(
    [env.restore(where) for env, where in zip(environments, now.positions)]
  )
  if saved:
    log(f'Continuing at env step {now.env_step:,}.')
  elif config.num_random_env_steps:
    now.actions = _random_actions(environments, now.rng)
  else:
    noise = agent.noise(now.rng, config.num_envs)
    now.actions = learn.act(observations, noise)

  now.clock.start(now.env_step)
  while True:
    if _evaluation_is_due(config, now):
      now.clock.pause(now.env_step)
      rng = seeds.generator(config.seed, seeds.Stream.EVALUATION, now.env_step)
      try:
        outcome = evaluator.evaluate(learn.act_greedily, rng, stop)
      except envs.EnvError as error:
        now.clock.start(now.env_step)
        writer.close()
        raise collection.save_after(error, keeper, now, environments) from error
      if outcome is not None:
        writer.evaluation(now.env_step, outcome.returns, outcome.lengths)
        now.results.append(results.line(config, now, agent, outcome))
        run_dir.append_result(now.results[-1])
        keeper.evaluated(now.env_step, now.results[-1]['return_mean'])
        on_progress(now.env_step, now.results[-1])
      now.clock.start(now.env_step)
    if stop():
      writer.close()
      if now.env_step:
        keeper.save(now.env_step, now.to_json(environments))
      raise StoppedError(f'Stopped at env step {now.env_step:,}')
    if now.env_step == config.num_env_steps:
      break

    try:
      taken = collection.take(environments, config, now)
    except envs.EnvError as error:
      writer.close()
      raise collection.save_after(error, keeper, now, environments) from error
    for i, (step, observation) in enumerate(taken):
      buffer.add(observations[i], now.actions[i], step)
      now.episodes.add(step, i)
      observations[i] = observation
    now.env_step += config.num_envs

    if diagnoses.is_due(now.env_step):
      rng = seeds.generator(config.seed, seeds.Stream.DIAGNOSIS, now.env_step)
      now.diagnosis = diagnoses.diagnose(learn.draw(buffer, rng))
      writer.diagnosis(now.env_step, now.diagnosis)
    num_trainings = config.num_trainings(now.env_step)
    if now.env_step <= config.num_random_env_steps:
      now.actions = _random_actions(environments, now.rng)
    elif not num_trainings:
      noise = agent.noise(now.rng, config.num_envs)
      now.actions = learn.act(observations, noise)
    else:
      noise = agent.noise(now.rng, config.num_envs)
      try:
        for _ in range(num_trainings):
          now.actions, now.scalars = learn.train_and_act(
            buffer, now.rng, observations, noise
          )
      except FloatingPointError as error:
        raise _diverged(now.env_step, learn, buffer, error) from error

    if config.is_due(now.env_step, config.summary_period):
      speed = now.clock.speed(now.env_step)
      writer.train(now.env_step, now.scalars, now.episodes, speed)
    if config.is_due(now.env_step, config.checkpoint_period) or (
      now.env_step == config.num_env_steps
    ):
      writer.flush()
      keeper.save(now.env_step, now.to_json(environments))
    on_progress(now.env_step, None)

  writer.close()
  for env in environments:
    env.close()
  return Outcome(agent, {**results.totals(now, agent), 'machine': backends})


def _random_actions(environments, rng):
  return np.stack([env.random_action(rng) for env in environments])


def _evaluation_is_due(config, now):
  """Whether this env step has an evaluation that is yet to be made."""
  if now.results and now.results[-1]['env_step'] == now.env_step:
    return False
  last = now.env_step == config.num_env_steps
  return last or config.is_due(now.env_step, config.eval_period)


def _diverged(env_step, learn, buffer, error):
  return TrainingError(
    f'The loss is not finite at train step {learn.train_step + 1} (env step '
    f'{env_step}): {error}. {divergence.explain(buffer, learn.first_huge_loss)}'
  )
