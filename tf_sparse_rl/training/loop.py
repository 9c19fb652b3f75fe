"""The training loop: collect, train, evaluate, in the paper's order.

Sparsity is not seen here: masks move inside the agent's optimizer.
"""

from typing import NamedTuple

from tf_sparse_rl import callbacks as callbacks_lib
from tf_sparse_rl import envs, runs, seeds
from tf_sparse_rl.agents import base
from tf_sparse_rl.training import divergence, parts, results


class TrainingError(runs.RunsError):
  """Training cannot continue."""


class Outcome(NamedTuple):
  """The agent and the Summary of a finished run."""

  agent: base.Agent
  summary: runs.Summary


def train(config, run_dir, callbacks=(), stop=lambda: False):
  """Trains one agent, resuming from the last checkpoint; see Training.

  Args:
    config: a resolved Config.
    run_dir: a RunDir that this process has locked.
    callbacks: list of Callback.
    stop: function called at every env step; true saves a checkpoint and stops.

  Returns:
    Outcome.

  Raises:
    TrainingError: if a loss is not finite.
    EnvError: if an environment fails; a checkpoint has been saved.
    FloatingPointError: if a weight is not finite.
    StoppedError: if `stop` or a callback stopped training.
    CheckpointError: if there are checkpoints and none can be used.
  """
  training = Training(config, run_dir, callbacks)
  outcome = training.run(stop)
  training.close()
  return outcome


class Training(parts.Parts):
  """The training loop, step by step."""

  def begin(self):
    """Chooses the first actions, or resumes from the last checkpoint."""
    if self.is_continued:
      self.message(f'Continuing at env step {self.now.env_step:,}.')
    else:
      self.train_and_act()
    self.now.clock.start(self.now.env_step)
    if self.origin:  # From here on the other run is not needed.
      self.run_dir.note_origin(self.origin)
      self.save()

  def run(self, stop=lambda: False):
    """Trains to the end; see `train`."""
    self.begin()
    every_env_step = self.hooks['on_env_step']
    while True:
      self.evaluate(stop)
      if stop() or (self._stopping and not self.is_over):
        self.save_and_stop()
      if self.is_over:
        return self.finish()
      self.collect()
      self.diagnose()
      self.train_and_act()
      if self.plasticity:
        self.plasticity.renew(self)
      self.shrink_replay()
      self.write()
      for call in every_env_step:
        call(self)

  @property
  def env_step(self):
    """Env steps so far."""
    return self.now.env_step

  @property
  def train_step(self):
    """Train steps so far."""
    return self.learner.train_step

  def stop(self):
    """Saves a checkpoint and stops training; for callbacks."""
    self._stopping = True

  @property
  def is_over(self):
    """Whether this is the last env step."""
    return self.now.env_step == self.config.num_env_steps

  def evaluate(self, stop):
    """Evaluates the greedy policy, if due, and records the returns."""
    config, now = self.config, self.now
    if now.results and now.results[-1].env_step == now.env_step:
      return
    if not (self.is_over or config.is_due(now.env_step, config.eval_period)):
      return
    now.clock.pause(now.env_step)
    rng = seeds.generator(config.seed, seeds.Stream.EVALUATION, now.env_step)
    try:
      outcome = self.evaluator.evaluate(self.learner.act_greedily, rng, stop)
    except envs.EnvError as error:
      now.clock.start(now.env_step)
      raise self.after_saving(error) from error
    if outcome is not None:
      returns, lengths = outcome.returns, outcome.lengths
      self.summaries.evaluation(now.env_step, returns, lengths)
      now.results.append(results.evaluation(config, now, self.agent, outcome))
      self.run_dir.append_result(now.results[-1])
      self.checkpoints.evaluated(now.env_step, now.results[-1].return_mean)
      self.tell('on_evaluation', now.results[-1])
    now.clock.start(now.env_step)

  def collect(self):
    """Takes one env step in each environment, with the chosen actions."""
    now = self.now
    try:
      self.collector.collect(now.actions, self.buffer, now.episodes)
    except envs.EnvError as error:
      raise self.after_saving(error) from error
    self.agent.see(self.collector.observations)
    now.env_step += self.config.num_envs

  def diagnose(self):
    """Runs the diagnostics that are due."""
    seed, now = self.config.seed, self.now
    if self.diagnoser.is_due(now.env_step):
      rng = seeds.generator(seed, seeds.Stream.DIAGNOSIS, now.env_step)
      rows = self.learner.draw(self.buffer, rng)
      now.diagnosis = self.diagnoser.diagnose(rows)
      self.summaries.values(now.env_step, now.diagnosis)

  def train_and_act(self):
    """Takes the train steps that are due; chooses the next actions."""
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
      why = divergence.explain(self.buffer, self.learner.first_huge_loss)
      raise TrainingError(
        f'The loss is not finite at train step {self.learner.train_step + 1} '
        f'(env step {now.env_step}): {error}. {why}'
      ) from error
    if self.hooks['on_mask_update'] and self.learner.masks_changed():
      self.tell('on_mask_update')

  def shrink_replay(self):
    """Shrinks a dynamic replay that is far from the policy, if due."""
    if self.dynamic_replay and self.dynamic_replay.is_due(self.now.env_step):
      self.dynamic_replay.shrink()
      self.now.num_forgotten = self.buffer.num_forgotten

  def write(self):
    """Writes the summaries and the checkpoint that are due."""
    config, now = self.config, self.now
    if config.is_due(now.env_step, config.summary_period):
      speed = now.clock.speed(now.env_step)
      self.summaries.train(now.env_step, now.scalars, now.episodes, speed)
      if self.dynamic_replay:
        size = self.buffer.num_drawn
        self.summaries.values(now.env_step, {'Metrics/replay_size': size})
    if self.is_over or config.is_due(now.env_step, config.checkpoint_period):
      self.save()

  def save_and_stop(self):
    """Saves a checkpoint and raises StoppedError."""
    self.save_early()
    raise callbacks_lib.StoppedError(self.env_step)

  def finish(self):
    """Closes the summaries; returns the Outcome."""
    self.summaries.close()
    summary = results.summary(self.now, self.agent, self.machine)
    return Outcome(self.agent, summary)
