"""The training loop: collect, train, evaluate, in the paper's order.

Sparsity is not seen here: masks move inside the agent's optimizer.
"""

import functools
from typing import NamedTuple

from tf_sparse_rl import callbacks as callbacks_lib
from tf_sparse_rl import envs, replay, runs, seeds
from tf_sparse_rl.agents import base, registry
from tf_sparse_rl.diagnostics import diagnoser
from tf_sparse_rl.training import (
  checkpoints,
  collector,
  divergence,
  evaluation,
  learner,
  machine,
  results,
  state,
  summaries,
  warm_start,
)


class TrainingError(runs.RunsError):
  """Training cannot go on."""


class Outcome(NamedTuple):
  """The agent and the Summary of a run that has come to its end."""

  agent: base.Agent
  summary: runs.Summary


def train(config, run_dir, callbacks=(), stop=lambda: False):
  """Trains one agent, from the last checkpoint if there is one; see Training.

  Args:
    config: a resolved Config.
    run_dir: a RunDir that this process holds.
    callbacks: list of Callback.
    stop: asked at every env step whether to stop, after a checkpoint.

  Returns:
    Outcome.

  Raises:
    TrainingError: if a loss is not finite.
    EnvError: if an environment fails; a checkpoint has been saved.
    FloatingPointError: if a weight is not finite.
    StoppedError: if `stop` said so, or a callback.
    CheckpointError: if there are checkpoints and none can be used.
  """
  return Training(config, run_dir, callbacks).run(stop)


class Training:
  """All parts of a run, and the steps of its loop in their order."""

  def __init__(self, config, run_dir, callbacks=()):
    """Makes all parts, and goes to where the last checkpoint was."""
    self._hooks = {
      event: callbacks_lib.methods(callbacks, event)
      for event in vars(callbacks_lib.Callback)
      if event.startswith('on_')
    }
    self._stopping = False
    length = f'{config.num_env_steps:,} env steps'
    self.config, self.run_dir = config, run_dir
    self.message(f'{config.label}, seed {config.seed}: {length}')
    self.envs = [envs.make(config) for _ in range(config.num_envs)]
    if text := collector.no_time_limit(config, self.envs[0].spec):
      self.message(text)
    known = run_dir.read_machine()
    machine.recall(known)
    self.agent = registry.build(config, self.envs[0].spec)
    origin = None
    if config.init_from and run_dir.checkpoint_env_step() is None:
      origin = warm_start.start(config, self.agent, self.envs[0].spec)
      self.message(warm_start.sentence(origin))
    # Not before: what cannot be built leaves no config.
    if changed := run_dir.start(config):
      self.message(changed)
    self.buffer = replay.make(config, self.envs[0].spec)
    self.learner = learner.make(config, self.agent, self.buffer)
    self.machine = machine.describe(self.agent, self.learner.is_fused)
    if self.machine['backends']:
      self.message(machine.sentence(self.machine))
    self.evaluator = evaluation.Evaluator(
      [envs.make(config) for _ in range(config.num_eval_episodes)],
      config.eval_epsilon or 0.0,
      config.num_eval_env_steps,
      config.max_eval_episode_env_steps,
    )
    self.diagnoser = diagnoser.Diagnoser(config, self.agent)
    objects = {**self.agent.saved, **self.diagnoser.saved}
    self.checkpoints = checkpoints.Checkpoints(
      run_dir.checkpoints, objects, self.buffer
    )
    parse = functools.partial(state.State.from_json, num_envs=config.num_envs)
    saved = self.checkpoints.restore(self.message, parse)
    self.now = now = saved or state.State.begin(config)
    if text := machine.difference(known, self.machine, now.backends, config):
      self.message(text)
    now.backends = machine.backends(self.machine)
    run_dir.note_machine(self.machine)
    self._keep_evaluation()
    run_dir.set_results(now.results)
    self.summaries = summaries.Summaries(run_dir.path, config, self.agent, now)
    self.collector = collector.Collector(config, self.envs, now.positions)
    if saved:
      self.message(f'Continuing at env step {now.env_step:,}.')
    else:
      self.train_and_act()
    now.clock.start(now.env_step)
    if origin:  # From here on the other run is not needed.
      run_dir.note_origin(origin)
      self._save()

  def run(self, stop=lambda: False):
    """Trains to the end; see `train`."""
    every_env_step = self._hooks['on_env_step']
    while True:
      self.evaluate(stop)
      if stop() or (self._stopping and not self.is_over):
        self.save_and_stop()
      if self.is_over:
        return self.finish()
      self.collect()
      self.diagnose()
      self.train_and_act()
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
    """Has training end after a checkpoint; for callbacks."""
    self._stopping = True

  def tell(self, event, *arguments):
    """Calls the callbacks that define an event."""
    for call in self._hooks[event]:
      call(self, *arguments)

  def message(self, text):
    """Tells the callbacks a line for a person."""
    self.tell('on_message', text)

  @property
  def is_over(self):
    """Whether this is the last env step."""
    return self.now.env_step == self.config.num_env_steps

  def evaluate(self, stop):
    """Plays greedy episodes, if that is due and not done, and keeps returns."""
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
      raise self._after_saving(error) from error
    if outcome is not None:
      returns, lengths = outcome.returns, outcome.lengths
      self.summaries.evaluation(now.env_step, returns, lengths)
      now.results.append(results.evaluation(config, now, self.agent, outcome))
      self.run_dir.append_result(now.results[-1])
      self.checkpoints.evaluated(now.env_step, now.results[-1].return_mean)
      self.tell('on_evaluation', now.results[-1])
    now.clock.start(now.env_step)

  def collect(self):
    """Takes one env step in each environment, with the actions chosen last."""
    now = self.now
    try:
      self.collector.collect(now.actions, self.buffer, now.episodes)
    except envs.EnvError as error:
      raise self._after_saving(error) from error
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
      why = divergence.explain(self.buffer, self.learner.first_huge_loss)
      raise TrainingError(
        f'The loss is not finite at train step {self.learner.train_step + 1} '
        f'(env step {now.env_step}): {error}. {why}'
      ) from error
    if self._hooks['on_mask_update'] and self.learner.masks_changed():
      self.tell('on_mask_update')

  def write(self):
    """Writes summaries and a checkpoint, where they are due."""
    config, now = self.config, self.now
    if config.is_due(now.env_step, config.summary_period):
      speed = now.clock.speed(now.env_step)
      self.summaries.train(now.env_step, now.scalars, now.episodes, speed)
    if self.is_over or config.is_due(now.env_step, config.checkpoint_period):
      self.summaries.flush()
      self._save()

  def _save(self):
    """A checkpoint; what backends were chosen by is known before."""
    measured = machine.measurements()
    if len(measured) > len(self.machine.get('measurements', ())):
      self.machine['measurements'] = measured
      self.run_dir.note_measurements(measured)
    self.checkpoints.save(self.now.env_step, self.now.to_json(self.envs))

  def save_and_stop(self):
    """Saves what there is; raises StoppedError."""
    self._save_early()
    raise callbacks_lib.StoppedError(self.env_step)

  def _save_early(self):
    """A checkpoint of what there is; the run ends here."""
    self.summaries.close()
    if self.now.env_step:
      self._save()

  def _after_saving(self, error):
    """An EnvError that says where the run was, after a checkpoint."""
    self._save_early()
    error.context = f' (after env step {self.now.env_step:,})'
    if self.now.env_step:
      error.context += '. A checkpoint was saved'
    return error

  def finish(self):
    """Closes what is open; returns the Outcome."""
    self.summaries.close()
    for env in self.envs:
      env.close()
    summary = results.summary(self.now, self.agent, self.machine)
    return Outcome(self.agent, summary)

  def _keep_evaluation(self):
    """Takes over the evaluation that was made after the last checkpoint."""
    now = self.now
    try:
      found = self.run_dir.read_results()
    except runs.RunsError:
      return  # It is written anew.
    known = {0, *(result.env_step for result in now.results)}
    for result in found:
      if result.env_step == now.env_step and result.env_step not in known:
        now.results.append(result)
        self.checkpoints.evaluated(result.env_step, result.return_mean)
