"""Training, evaluation and export from Python; the commands stand on this."""

import contextlib
import importlib
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tf_sparse_rl import callbacks as callbacks_lib
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import modules, names, packages, quiet, sample, signals
from tf_sparse_rl import runs as runs_lib

Path = str | os.PathLike
# What a policy can be exported as, and what it is if nothing is said.
FORMATS = ('saved_model', 'tflite', 'npz', 'onnx')
DEFAULT_FORMATS = FORMATS[:3]

# Makes a Gymnasium environment.
MakeEnv = Callable[..., Any]


def train(
  root_dir: Path,
  *,
  env: str | MakeEnv | None = None,
  callbacks: Sequence[Any] = (),
  config: config_lib.Config | None = None,
  **fields: Any,
) -> 'Run':
  """Trains one agent, from the last checkpoint if there is one.

  A run that is finished already is left as it is, unless `num_env_steps` is
  larger than its own: then it goes on. Nothing is printed unless a
  callback does, such as `callbacks.ProgressBar()`.

  Args:
    root_dir: directory of the run, made if needed.
    env: id of a Gymnasium environment, or a function that makes one, as
      `gymnasium.make` calls it; then the same function must be given again to
      continue or evaluate the run.
    callbacks: `Callback`s, or objects with some of its methods.
    config: config of another run that is repeated; `fields` override it.
    **fields: any field of a config: agent, method, sparsity, num_env_steps,
      seed; every flag of `python -m tf_sparse_rl.train`.

  Returns:
    The Run, finished unless a callback stopped it.

  Raises:
    ValueError: for a field or value that does not fit.
    RunsError: if the directory holds another run or cannot be used, another
      process trains in it, or training cannot go on.
    FloatingPointError: if the environment or a weight is not finite.
    OSError: if the disk is full; checkpoints stay.
    KeyboardInterrupt: at Ctrl-C, once a checkpoint is saved; the same call
      continues. SIGTERM is handled alike, and then as the program does.
  """
  with _environment(env) as env_name:
    if env_name is not None:
      fields['env_name'] = env_name
    run_dir = runs_lib.RunDir(root_dir)
    resolved = runs_lib.config_for(run_dir, _values(config, fields))
    try:
      run_training(root_dir, resolved, callbacks)
    except callbacks_lib.StoppedError as stopped:
      if stopped.signal is not None:
        signal.raise_signal(stopped.signal)
  return Run(root_dir, env)


def open_run(root_dir: Path, *, env: MakeEnv | None = None) -> 'Run':
  """Opens a run, finished or not.

  Args:
    root_dir: its directory.
    env: the function that made its environment, if one did.

  Raises:
    RunsError: if there is no run, or its config cannot be read.
  """
  return Run(root_dir, env)


class Run:
  """A run on disk. Reading it needs no lock and changes nothing."""

  def __init__(self, root_dir: Path, env: str | MakeEnv | None = None):
    """Opens it; see `open_run`."""
    self._run_dir = runs_lib.RunDir(root_dir)
    config = self._run_dir.read_config()
    if config is None:
      raise runs_lib.RunsError(
        f'Expected the directory of a run. Received: {root_dir}, no run.'
      )
    self._config = config
    self._env = env if callable(env) else None

  def __repr__(self) -> str:
    state = 'finished' if self.is_finished else 'not finished'
    return f'<Run {str(self.path)!r}: {self.config.label}, {state}>'

  @property
  def path(self) -> pathlib.Path:
    """Its directory."""
    return self._run_dir.path

  @property
  def config(self) -> config_lib.Config:
    """Its resolved config."""
    return self._config

  @property
  def is_finished(self) -> bool:
    """Whether it has come to its end."""
    return self.summary is not None

  @property
  def summary(self) -> runs_lib.Summary | None:
    """Final return, best return and totals; None until it is finished."""
    return self._run_dir.read_summary()

  def results(self) -> Any:
    """The evaluations so far.

    Returns:
      A pandas DataFrame with a row for each, if pandas is installed; else a
      list of Evaluation.
    """
    results = self._run_dir.read_results()
    if not packages.is_installed('pandas'):
      return results
    import pandas

    return pandas.DataFrame([result.to_json() for result in results])

  def policy(self, checkpoint: str | int = 'last') -> Callable:
    """The greedy policy.

    Args:
      checkpoint: 'last', 'best' (of the checkpoints that were evaluated), or
        an env step that has a checkpoint.

    Returns:
      Function of an observation, or of a batch of them, to an action or a
      batch of actions: NumPy arrays, as the environment has them.

    Raises:
      RunsError: if there is no such checkpoint, or it is damaged.
    """
    with self._opened() as env:
      from tf_sparse_rl.envs import spaces

      act = self._act(checkpoint, env.spec)
      space = env.gym.observation_space
      to_array = spaces.observer(space)
      to_action = spaces.action_taker(env.gym.action_space)

    def policy(observation: Any) -> np.ndarray:
      if space.shape is None:  # Of a Dict or Tuple, whose batches are lists.
        is_batch = isinstance(observation, list)
      else:
        is_batch = np.ndim(observation) > len(space.shape)
      batch = observation if is_batch else [observation]
      actions = act(np.stack([to_array(one) for one in batch]))
      actions = np.stack([to_action(action) for action in actions])
      return actions if is_batch else actions[0]

    return policy

  def evaluate(
    self,
    num_episodes: int = 20,
    *,
    seed: int = 1,
    checkpoint: str | int = 'last',
    noise_std: Iterable[float] = (),
    video: bool = False,
    render: bool = False,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
  ) -> dict[str, Any]:
    """Plays episodes with greedy actions.

    Args:
      num_episodes: how many.
      seed: of the starts of the episodes.
      checkpoint: see `policy`.
      noise_std: levels of noise in observations, each with its episodes; see
        `python -m tf_sparse_rl.evaluate --help`. Written to the run's
        noise.jsonl and noise.png, so of the last checkpoint only.
      video: whether to film an episode into video/ of the run.
      render: whether to show the episodes in a window, one after another.
      on_frame: called while filming, with the frames so far and those of all.

    Returns:
      Dict of JSON types: statistics of returns and lengths, or noise; video,
      the path of the film.

    Raises:
      ValueError: if that is not possible for this run.
      RunsError: see `policy`.
    """
    stds = sorted(set(map(float, noise_std)))
    if stds and render:
      raise ValueError('Expected noise_std or render. Received: both.')
    if stds and not self._is_exported(checkpoint):
      raise ValueError(
        'Expected the last checkpoint of a finished run for noise_std. '
        f'Received: checkpoint={checkpoint!r} of {self!r}.'
      )
    with self._opened() as env:
      from tf_sparse_rl.training import evaluation

      act = self._act(checkpoint, env.spec)
      result = {
        'env_name': self.config.env_name,
        'checkpoint': checkpoint,
        'num_episodes': num_episodes,
      }
      if render:
        result |= self._show(act, env, num_episodes, seed)
      else:
        result |= self._play(act, env.spec, num_episodes, seed, stds)
      if video:
        path = self.path / 'video' / f'{checkpoint}_seed{seed}.mp4'
        evaluation.film(self.config, act, path, seed, on_frame)
        result['video'] = str(path)
    return result

  def _show(self, act, env, num_episodes, seed):
    """Plays episodes in a window; returns their part of the result."""
    from tf_sparse_rl import seeds
    from tf_sparse_rl.envs import showing
    from tf_sparse_rl.training import evaluation

    evaluation.check_own_process(self.config)
    epsilon = self.config.eval_epsilon or 0.0
    shown = showing.ShownEnvironment(self.config, env)
    try:
      outcome = evaluation.play_in_turn(
        *(shown, act, num_episodes),
        seeds.generator(seed, seeds.Stream.FINAL_EVALUATION),
        *(epsilon, self.config.max_eval_episode_env_steps),
      )
    finally:
      shown.close()
    return {'epsilon': epsilon, **_outcome(outcome)}

  def _play(self, act, spec, num_episodes, seed, stds):
    """Plays episodes; returns their part of the result of `evaluate`."""
    from tf_sparse_rl import envs, seeds
    from tf_sparse_rl.training import evaluation

    environments = [envs.make(self.config) for _ in range(num_episodes)]
    limit = self.config.max_eval_episode_env_steps
    # As while it trained; agents without the field act greedily.
    epsilon = self.config.eval_epsilon or 0.0
    if stds:
      outcomes = evaluation.evaluate_with_noise(
        environments, act, stds, seed, epsilon, limit
      )
      noise = self._write_noise(stds, outcomes, bool(spec.observation_shape))
      return {'epsilon': epsilon, **noise}
    evaluator = evaluation.Evaluator(
      environments, epsilon, max_episode_env_steps=limit
    )
    outcome = evaluator.evaluate(
      act, seeds.generator(seed, seeds.Stream.FINAL_EVALUATION)
    )
    return {'epsilon': epsilon, **_outcome(outcome)}

  def _write_noise(self, stds, outcomes, is_image):
    """Writes levels of noise and their figure; returns their results."""
    from tf_sparse_rl.report import panels

    unit = 'levels of grey' if is_image else "multiples of each entry's own"
    levels = [
      runs_lib.NoiseLevel(noise_std=std, **_statistics(outcome))
      for std, outcome in zip(stds, outcomes)
    ]
    figure = panels.noise_of_one_policy(
      f'{self.config.label}, seed {self.config.seed}',
      self.config.method,
      stds,
      [outcome.returns for outcome in outcomes],
      unit,
    )
    path = str(self._run_dir.write_noise(levels, figure))
    shown = [level.to_json() for level in levels]
    return {'noise': shown, 'noise_std_in': unit, 'figure': path}

  def export(
    self,
    out: Path,
    formats: Sequence[str] = DEFAULT_FORMATS,
    checkpoint: str | int = 'last',
  ) -> Any:
    """Writes the greedy policy in other formats, all of them or none.

    Args:
      out: directory of the files, made if needed.
      formats: some of 'saved_model', 'tflite', 'npz', 'onnx'.
      checkpoint: see `policy`.

    Returns:
      A `Report` of sizes and latencies; its `str` is a table.

    Raises:
      ValueError: for an unknown format, or one whose actions differ.
      ImportError: for a format whose packages are not installed.
      RunsError: see `policy`.
    """
    # NumPy's products with one thread, like TFLite's: two fight over a busy
    # machine. It looks at this when it is imported.
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    check_formats(formats)
    with self._opened() as env:
      from tf_sparse_rl.exporting import exporter

      greedy = self._greedy(checkpoint, env.spec)
      return exporter.export(greedy, self.config, formats, out)

  @contextlib.contextmanager
  def _opened(self):
    """TensorFlow, silent and with the plain backend; yields the environment."""
    with _environment(self._env) as given, _tensorflow('masked'):
      from tf_sparse_rl import envs

      if given not in (None, self.config.env_name):
        raise ValueError(
          f'Expected the environment of the run, {self.config.env_name}. '
          f'Received: env={given}.'
        )
      with self._named():
        env = envs.make(self.config)
      try:
        yield env
      finally:
        env.close()

  @contextlib.contextmanager
  def _named(self):
    """Has a ValueError in a block say which config it is about."""
    try:
      yield
    except ValueError as error:
      raise ValueError(f'{self.path / "config.json"}: {error}') from error

  def _is_exported(self, checkpoint):
    """Whether a checkpoint's policy is the SavedModel of a finished run."""
    return checkpoint == 'last' and self.is_finished

  def _act(self, checkpoint, spec):
    """A checkpoint's policy as a function of NumPy arrays."""
    from tf_sparse_rl.exporting import policy

    return policy.compiled(self._greedy(checkpoint, spec))

  def _greedy(self, checkpoint, spec):
    """The GreedyPolicy of a checkpoint."""
    from tf_sparse_rl.exporting import policy

    if self._is_exported(checkpoint):
      return policy.of_run(self.config, self._run_dir.policy_path, spec)
    packages.require('The network of a checkpoint', 'tf_agents')
    from tf_sparse_rl.agents import registry
    from tf_sparse_rl.training import checkpoints

    with self._named():
      agent = registry.build(self.config, spec)
    checkpoints.load_networks(
      self._run_dir.checkpoints,
      checkpoint,
      self._run_dir.read_results(),
      agent.saved,
    )
    return policy.of_agent(agent)


def check_formats(formats):
  """Refuses a format that is none, or whose packages are not installed."""
  for name in formats:
    if name not in FORMATS:
      raise ValueError(names.unknown('format', name, FORMATS))
  if 'onnx' in formats:
    packages.require("The format 'onnx'", 'onnx', 'onnxruntime')


def run_training(root_dir, config, callbacks=()):
  """Trains as `train` does; for the command.

  Args:
    root_dir: directory of the run.
    config: a resolved Config.
    callbacks: list of Callback.

  Returns:
    The Outcome, or None if the run was finished before.

  Raises:
    StoppedError: if a signal or a callback asked for it; and as `train`.
  """
  from tf_sparse_rl import envs

  run_dir = runs_lib.RunDir(root_dir)
  # First: what is wrong is told at once, before TensorFlow starts.
  run_dir.check_config(config)
  # Before the lock: its disk may be read-only.
  if run_dir.is_finished(config):
    return None
  packages.require('Training', 'tf_agents')
  for flag in ('method', 'network'):
    if ':' in getattr(config, flag):
      modules.find(getattr(config, flag), f'--{flag}')
  if config.trackers:
    from tf_sparse_rl.training import trackers

    trackers.check(config.trackers_names)
  with quiet.silenced(quiet.filter_warnings), signals.interruptible():
    envs.try_out(config)
  with _tensorflow():
    from tf_sparse_rl.training import machine

    # Before anything is written: what it asks for may not be there.
    strategy = machine.configure(config)
    with run_dir.locked(), strategy.scope():
      if run_dir.is_finished(config):
        return None
      with signals.noted() as received:
        return _run(config, run_dir, callbacks, received)


def _run(config, run_dir, callbacks, received):
  import tensorflow as tf

  from tf_sparse_rl.exporting import policy
  from tf_sparse_rl.training import loop

  beat = run_dir.heartbeat()

  def stop():
    beat()  # Asked at every env step, of evaluations too.
    return received

  try:
    training = loop.Training(config, run_dir, callbacks)
    try:
      outcome = training.run(stop)
      policy.save(policy.of_agent(outcome.agent), run_dir.policy_path)
      # Last: from here on the run counts as finished.
      run_dir.finish(outcome.summary)
      # Code of the user's that fails or hangs takes nothing with it now.
      training.close()
    finally:
      training.tell('on_end')
  except callbacks_lib.StoppedError as stopped:
    stopped.signal = received[0] if received else None
    raise
  except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
    # TensorFlow's names for a full disk and for a file over its limit.
    raise OSError(error.message) from error
  return outcome


@contextlib.contextmanager
def _tensorflow(backend=None):
  """Has TensorFlow loaded within a block; what it changes is changed back."""
  if 'tensorflow' in sys.modules:
    # Before anything fails for it: it may have brought another Keras.
    importlib.import_module('tf_sparse_rl.sparsity')
  with quiet.silenced():
    from tf_sparse_rl import sparsity
    from tf_sparse_rl.native import backend as backend_lib

    before = backend_lib.current_backend()
    try:
      if backend is not None:
        sparsity.set_backend(backend)
      yield
    finally:
      sparsity.set_backend(before)


@contextlib.contextmanager
def _environment(env):
  """Has the environment known within a block; yields its name, or None."""
  if env is None or isinstance(env, str):
    yield env
    return
  from tf_sparse_rl import envs

  with envs.made_by(env) as name:
    yield name


def _values(config, fields):
  """Merges given fields over those of another config, if there is one."""
  known = [field.name for field in config_lib.fields()]
  for name in fields:
    if name not in known:
      raise ValueError(names.unknown('field', name, known))
  given = {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in fields.items()
  }
  if config is None:
    return given
  return {**config_lib.without_copies(vars(config), given), **given}


def _outcome(outcome):
  """The part of the result of `evaluate` that is about its episodes."""
  returns = sample.describe(outcome.returns)
  lengths = sample.describe(outcome.lengths)
  result = {
    **_statistics(outcome),
    'return_std': returns.std,
    'return_interval_95': returns.interval,
    'lengths': outcome.lengths,
    'length_mean': lengths.mean,
    'length_std': lengths.std,
  }
  if outcome.num_stopped:
    result['num_stopped_episodes'] = outcome.num_stopped
  return result


def _statistics(outcome):
  returns = outcome.returns
  return {
    'return_mean': sum(returns) / len(returns),
    'return_min': min(returns),
    'return_max': max(returns),
    'returns': returns,
  }
