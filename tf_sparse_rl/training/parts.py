"""Makes, saves and closes the parts of a run."""

import functools

import tensorflow as tf

from tf_sparse_rl import callbacks as callbacks_lib
from tf_sparse_rl import envs, replay, runs
from tf_sparse_rl.agents import registry
from tf_sparse_rl.diagnostics import diagnoser
from tf_sparse_rl.native import resting
from tf_sparse_rl.training import (
  checkpoints,
  collector,
  divergence,
  dynamic_replay,
  evaluation,
  learner,
  machine,
  memory,
  plasticity,
  state,
  summaries,
  terminal,
  warm_start,
)


class Parts:
  """All parts of a run, new or restored from its last checkpoint.

  Attributes:
    config: a Config.
    run_dir: its RunDir.
    now: the State.
    agent: a `base.Agent`.
    buffer: the replay buffer or rollout, see `replay.make`.
    learner: a Learner.
    is_continued: whether a checkpoint was restored.
    origin: the run of `init_from`, if this one has just been initialized from
      it; else None.
  """

  def __init__(self, config, run_dir, callbacks=()):
    """Makes all parts; see `loop.train`."""
    self.hooks = {
      event: callbacks_lib.methods(callbacks, event)
      for event in vars(callbacks_lib.Callback)
      if event.startswith('on_')
    }
    self._stopping = False
    self.config, self.run_dir = config, run_dir
    self.message(terminal.opening(config, run_dir))
    self._make_agent()
    self._make_evaluator()
    self._restore()
    config, now = self.config, self.now
    self.dynamic_replay = dynamic_replay.make(
      config, self.envs[0].spec, self.buffer, self.learner.act_greedily
    )
    self.summaries = summaries.Summaries(
      run_dir.path, config, self.agent, now, self.message
    )
    self.collector = collector.Collector(config, self.envs, now.positions)

  def _make_agent(self):
    """Makes environments, agent and learner; writes the config."""
    config, run_dir = self.config, self.run_dir
    self.envs = [envs.make(config) for _ in range(config.num_envs)]
    spec = self.envs[0].spec
    if text := collector.no_time_limit(config, self.envs[0]):
      self.message(text)
    self._known_machine = run_dir.read_machine()
    machine.recall(self._known_machine)
    self.agent = registry.build(config, spec)
    self.plasticity = plasticity.make(config, self.agent)
    self.origin = None
    if config.init_from and run_dir.checkpoint_env_step() is None:
      self.origin = warm_start.start(config, self.agent, spec)
      self.message(warm_start.sentence(self.origin))
    # Not before: a network that cannot be built leaves no config.
    if changed := run_dir.start(config):
      self.message(changed)
    self.buffer = replay.make(config, spec)
    self.learner = learner.make(config, self.agent, self.buffer)
    if not self.learner.is_fused:
      memory.keep()
    self.machine = machine.describe(self.agent, self.learner.is_fused)
    self.message(machine.sentence(self.machine))

  def _make_evaluator(self):
    config = self.config
    self.eval_envs = [
      envs.make(config) for _ in range(config.num_eval_episodes)
    ]
    self.evaluator = evaluation.Evaluator(
      self.eval_envs,
      config.eval_epsilon or 0.0,
      config.num_eval_env_steps,
      config.max_eval_episode_env_steps,
    )
    self.diagnoser = diagnoser.Diagnoser(config, self.agent)

  def _restore(self):
    """Restores the State from the last checkpoint, or makes a new one."""
    config, run_dir = self.config, self.run_dir
    parts = self.agent, self.diagnoser, self.learner
    objects = {k: v for part in parts for k, v in part.saved.items()}
    is_fused = self.learner.is_fused
    self.checkpoints = checkpoints.Checkpoints(
      *(run_dir.checkpoints, objects, self.buffer),
      write=resting.write if is_fused else tf.train.Checkpoint.write,
    )
    parse = functools.partial(state.State.from_json, num_envs=config.num_envs)
    saved = self.checkpoints.restore(self.message, parse)
    self.is_continued = saved is not None
    self.now = now = saved or state.State.begin(config)
    known = self._known_machine
    if text := machine.difference(known, self.machine, now.backends, config):
      self.message(text)
    now.backends = machine.backends(self.machine)
    run_dir.note_machine(self.machine)
    self.buffer.num_forgotten = now.num_forgotten
    self._keep_evaluation()
    run_dir.set_results(now.results)

  def _keep_evaluation(self):
    """Keeps an evaluation that was made after the last checkpoint."""
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

  def tell(self, event, *arguments):
    """Calls the callbacks that define an event."""
    for call in self.hooks[event]:
      call(self, *arguments)

  def message(self, text):
    """Passes a message for the user to the callbacks."""
    self.tell('on_message', text)

  def save_early(self):
    """Saves a checkpoint before training stops."""
    self.summaries.close()
    if self.now.env_step:
      self.save()

  def save(self):
    """Writes a checkpoint, after the measurements that chose backends."""
    measured = machine.measurements()
    if len(measured) > len(self.machine.get('measurements', ())):
      self.machine['measurements'] = measured
      self.run_dir.note_measurements(measured)
    self.now.masks_written = self.summaries.masks_written()
    state = self.now.to_json(self.envs)
    try:
      self.checkpoints.save(self.now.env_step, state)
    except FloatingPointError as error:
      why = divergence.explain(self.buffer, self.learner.first_huge_loss)
      raise FloatingPointError(
        f'{error} at env step {self.now.env_step}. {why[:-1]}'
      ) from error

  def after_saving(self, error):
    """Saves a checkpoint; adds the env step to an EnvError and returns it."""
    self.save_early()
    error.context = f' (after env step {self.now.env_step:,})'
    if self.now.env_step:
      error.context += '. A checkpoint was saved'
    return error

  def close(self):
    """Closes the environments; reports failures once training is finished."""
    for env in (*self.envs, *self.eval_envs):
      try:
        env.close()
      except envs.EnvError as error:
        self.message(str(error))
