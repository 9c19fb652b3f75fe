"""A run on disk, as Python code uses it: read, act, evaluate, export."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import export_formats, files, packages, playing, scopes
from tf_sparse_rl import runs as runs_lib

Path = str | os.PathLike
# A function that makes a Gymnasium environment.
MakeEnv = Callable[..., Any]


class Run:
  """A run on disk. Reading it takes no lock and changes nothing."""

  def __init__(self, root_dir: Path, env: str | MakeEnv | None = None):
    """Opens the run; see `open_run`."""
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
    """Directory of the run."""
    return self._run_dir.path

  @property
  def config(self) -> config_lib.Config:
    """The resolved config."""
    return self._config

  @property
  def is_finished(self) -> bool:
    """Whether training has finished."""
    return self.summary is not None

  @property
  def summary(self) -> runs_lib.Summary | None:
    """Final return, best return and totals; None until it is finished."""
    return self._run_dir.read_summary()

  def results(self) -> Any:
    """Returns the evaluations so far.

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
    """Returns the greedy policy.

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
      num_episodes: number of episodes.
      seed: random seed of the episodes.
      checkpoint: see `policy`.
      noise_std: standard deviations of observation noise, each evaluated with
        `num_episodes` episodes; see `python -m tf_sparse_rl.evaluate --help`.
        Written to the run's noise.jsonl and noise.png; for the last
        checkpoint only.
      video: whether to record an episode in video/ of the run.
      render: whether to show the episodes in a window, one after another.
      on_frame: function of (frames so far, frames in total), called while an
        episode is recorded.

    Returns:
      Dict of JSON types: statistics of returns and lengths, or of each level
      of noise; `video`, the path of the recording.

    Raises:
      ValueError: for arguments that this run does not support.
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
        result |= playing.show(self.config, act, env, num_episodes, seed)
      elif stds:
        result |= playing.play_with_noise(
          self._run_dir, self.config, act, env.spec, num_episodes, seed, stds
        )
      else:
        result |= playing.play(self.config, act, num_episodes, seed)
      if video:
        path = self.path / 'video' / f'{checkpoint}_seed{seed}.mp4'
        evaluation.film(self.config, act, path, seed, on_frame)
        result['video'] = str(path)
    return result

  def export(
    self,
    out: Path,
    formats: Sequence[str] = export_formats.DEFAULT,
    checkpoint: str | int = 'last',
  ) -> Any:
    """Exports the greedy policy; writes all formats or none.

    Args:
      out: directory of the files, created if needed.
      formats: any of 'saved_model', 'tflite', 'npz', 'onnx'.
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
    export_formats.check(formats)
    # Absolute: an environment may change the working directory.
    out = files.local(out)
    with self._opened() as env:
      from tf_sparse_rl.exporting import exporter

      greedy = self._greedy(checkpoint, env.spec)
      return exporter.export(greedy, self.config, formats, out)

  @contextlib.contextmanager
  def _opened(self):
    """Imports TensorFlow, silently, with the masked backend; yields the env."""
    with scopes.environment(self._env) as given, scopes.tensorflow('masked'):
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
    """Names config.json in the ValueErrors of a block."""
    try:
      yield
    except ValueError as error:
      raise ValueError(f'{self.path / "config.json"}: {error}') from error

  def _is_exported(self, checkpoint):
    """Whether a checkpoint's policy is the SavedModel of a finished run."""
    return checkpoint == 'last' and self.is_finished

  def _act(self, checkpoint, spec):
    """The policy of a checkpoint as a function of NumPy arrays."""
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
