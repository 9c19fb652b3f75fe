"""The training loop: collect, train, evaluate, in the paper's order.

Sparsity is not seen here: masks move inside the agent's optimizer.
"""

from typing import NamedTuple

from tf_sparse_rl import envs, replay, runs, seeds
from tf_sparse_rl.agents import base, registry
from tf_sparse_rl.diagnostics import diagnoser
from tf_sparse_rl.training import (
  checkpoints,
  collector,
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
  """The agent and the Summary of a run that has come to its end."""

  agent: base.Agent
  summary: runs.Summary


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
    run_dir: a RunDir that this process holds.
    on_progress: called after each env step with its number and, after an
      evaluation, its Evaluation, else None.
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
  run = _Run(config, run_dir, log)
  while True:
    run.evaluate(on_progress, stop)
    if stop():
      run.stop()
    if run.is_over:
      return run.finish()
    run.collect()
    run.diagnose()
    run.train_and_act()
    run.write()
    on_progress(run.now.env_step, None)


class _Run:
  """All parts of a run, and the steps of its loop in their order."""

  def __init__(self, config, run_dir, log):
    """Makes all parts, and goes to where the last checkpoint was."""
    self.config, self.run_dir = config, run_dir
    self.envs = [envs.make(config) for _ in range(config.num_envs)]
    self.agent = registry.build(config, self.envs[0].spec)
    run_dir.start(config)  # Not before: what cannot be built leaves no config.
    self.buffer = replay.make(config, self.envs[0].spec)
    self.learner = learner.make(config, self.agent, self.buffer)
    self.machine = machine.describe(self.agent, self.learner.is_fused)
    run_dir.note_machine(self.machine)
    if self.machine['backends']:
      log(machine.sentence(self.machine))
    self.evaluator = evaluation.Evaluator(
      [envs.make(config) for _ in range(config.num_eval_episodes)],
      config.eval_epsilon or 0.0,
      config.num_eval_env_steps,
    )
    self.diagnoser = diagnoser.Diagnoser(config, self.agent)
    objects = {**self.agent.saved, **self.diagnoser.saved}
    self.checkpoints = checkpoints.Checkpoints(
      run_dir.checkpoints, objects, self.buffer
    )
    saved = self.checkpoints.restore(log)
    begin, go_on = state.State.begin, state.State.from_json
    self.now = now = go_on(saved) if saved else begin(config)
    run_dir.set_results(now.results)
    self.summaries = summaries.Summaries(run_dir.path, config, self.agent, now)
    self.collector = collector.Collector(config, self.envs, now.positions)
    if saved:
      log(f'Continuing at env step {now.env_step:,}.')
    else:
      self.train_and_act()
    now.clock.start(now.env_step)

  @property
  def is_over(self):
    """Whether this is the last env step."""
    return self.now.env_step == self.config.num_env_steps

  def evaluate(self, on_progress, stop):
    """Plays greedy episodes, if that is due and not done, and keeps returns."""
    config, now = self.config, self.now
    if now.results and now.results[-1].env_step == now.env_step:
      return
    if not (self.is_over or config.is_due(now.env_step, config.eval_period)):
      return
    now.clock.pause(now.env_step)
    rng = seeds.generator(config.seed, seeds.Stream.EVALUATION, now.env_step)
    outcome = self.evaluator.evaluate(self.learner.act_greedily, rng, stop)
    if outcome is not None:
      self.summaries.evaluation(now.env_step, *outcome)
      now.results.append(results.evaluation(config, now, self.agent, outcome))
      self.run_dir.append_result(now.results[-1])
      self.checkpoints.evaluated(now.env_step, now.results[-1].return_mean)
      on_progress(now.env_step, now.results[-1])
    now.clock.start(now.env_step)

  def collect(self):
    """Takes one env step in each environment, with the actions chosen last."""
    now = self.now
    self.collector.collect(now.actions, self.buffer, now.episodes)
    now.env_step += self.config.num_envs

  def diagnose(self):
    """Looks into the networks, if that is due."""
    seed, now = self.config.seed, self.now
    if self.diagnoser.is_due(now.env_step):
      rng = seeds.generator(seed, seeds.Stream.DIAGNOSIS, now.env_step)
      rows = self.learner.draw(self.buffer, rng)
      now.diagnosis = self.diagnoser.diagnose(rows)
      self.summaries.diagnosis(now.env_step, now.diagnosis)

  def train_and_act(self):
    """Trains as often as is due by now; chooses the next actions."""
    config, now = self.config, self.now
    num_random = config.num_random_env_steps
    if num_random and now.env_step <= num_random:
      now.actions = self.collector.random_actions(now.rng)
      return
    observations = self.collector.observations
    noise = self.agent.noise(now.rng, config.num_envs)
    num_trainings = config.num_trainings(now.env_step)
    if not num_trainings:
      now.actions = self.learner.act(observations, noise)
    try:
      for _ in range(num_trainings):
        now.actions, now.scalars = self.learner.train_and_act(
          self.buffer, now.rng, observations, noise
        )
    except FloatingPointError as error:
      raise TrainingError(
        f'The loss is not finite at train step {self.learner.train_step + 1} '
        f'(env step {now.env_step}): {error}. Try a lower --learning_rate.'
      ) from error

  def write(self):
    """Writes summaries and a checkpoint, where they are due."""
    config, now = self.config, self.now
    if config.is_due(now.env_step, config.summary_period):
      speed = now.clock.speed(now.env_step)
      self.summaries.train(now.env_step, now.scalars, now.episodes, speed)
    if self.is_over or config.is_due(now.env_step, config.checkpoint_period):
      self.summaries.flush()
      self.checkpoints.save(now.env_step, now.to_json(self.envs))

  def stop(self):
    """Saves what there is; raises StoppedError."""
    self.summaries.close()
    if self.now.env_step:
      self.checkpoints.save(self.now.env_step, self.now.to_json(self.envs))
    raise StoppedError(f'Stopped at env step {self.now.env_step:,}')

  def finish(self):
    """Closes what is open; returns the Outcome."""
    self.summaries.close()
    for env in self.envs:
      env.close()
    summary = results.summary(self.now, self.agent, self.machine)
    return Outcome(self.agent, summary)
