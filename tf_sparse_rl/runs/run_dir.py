"""The directory of a run: results, summary, and the lock of its writer."""

import contextlib
import fnmatch
import re

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files, locks, methods
from tf_sparse_rl.runs import config_file, heartbeat, longer, records
from tf_sparse_rl.runs.records import RunsError

# Left by a run that was stopped before it had written its config.
_BEFORE_START = ('.lock', 'config.json*.tmp')

# All that a run writes in its directory.
_DIRECTORIES = ('checkpoints', 'policy', 'train', 'eval')
_WRITTEN = (
  *('.lock', 'config.json', 'results.jsonl', 'summary.json'),
  *_DIRECTORIES,
)
_CHECKPOINT = re.compile(r'env_step_(\d{12,13})')
# TensorFlow's, in `train` and `eval`.
_EVENT_FILES = 'events.out.tfevents.*'

# `in_use` of another process holds the lock for an instant.
_A_LOOK_SECONDS = 0.5


def default_root_dir(config):
  """Names the default directory of a run.

  Args:
    config: a resolved Config.

  Returns:
    'runs/<env>_<agent>_<method>_<sparsity>_<seed>', relative; without the
    sparsity where none is asked for.
  """
  method, sparsity = config.method.rpartition(':')[2], config.sparsity
  if method == 'dense':
    sparsity = config.match_sparsity
    method = methods.SMALL_DENSE if sparsity else method
  env = config_lib.gym_id(config.env_name)
  of_method = [method, f'{sparsity:g}']
  if methods.get(config.method).finds_sparsity:
    of_method = [method]
  parts = (env, config.agent, *of_method, str(config.seed))
  name = '_'.join(parts)
  return f'runs/{re.sub("[^A-Za-z0-9._-]+", "-", name)}'


class RunDir(config_file.ConfigFile):
  """Files of one run, written atomically or line by line."""

  @property
  def policy_path(self):
    """Path of the exported policy."""
    return self.path / 'policy'

  @property
  def checkpoints(self):
    """Path of the checkpoints."""
    return self.path / 'checkpoints'

  def checkpoint_env_step(self):
    """Env step of the latest complete checkpoint; None if there is none."""
    return max(checkpoint_env_steps(self.checkpoints), default=None)

  def read_summary(self):
    """Reads the Summary of a finished run; None for other runs.

    The summary from before a run was extended does not count.

    Raises:
      RunsError: if it is damaged or cannot be read.
    """
    summary = records.read(self.path / 'summary.json', records.Summary)
    if summary and self.read_history():
      is_older = summary.env_steps < self.read_config().num_env_steps
      return None if is_older else summary
    return summary

  def is_finished(self, config):
    """Whether the run is finished, with all env steps of a Config."""
    there = self.read_config()
    return (
      there is not None
      and self.read_summary() is not None
      and config.num_env_steps <= there.num_env_steps
    )

  def read_finished_config(self):
    """Reads the Config of a finished run.

    Raises:
      RunsError: if there is no run, or it is not finished.
    """
    config = self.read_config()
    if config is None or self.read_summary() is None:
      raise RunsError(
        f'Expected the directory of a finished run. Received: {self.path}, '
        f'{"no run" if config is None else "not finished"}.'
      )
    return config

  def read_results(self):
    """Reads the evaluations so far, a list of Evaluation.

    Raises:
      RunsError: if a line is damaged; an incomplete last one is ignored.
    """
    return records.read_lines(self.path / 'results.jsonl', records.Evaluation)

  def read_last_result(self):
    """Reads the latest Evaluation; None before the first.

    Raises:
      RunsError: see `records.read_last_line`.
    """
    return records.read_last_line(
      self.path / 'results.jsonl', records.Evaluation
    )

  def read_noise(self):
    """Reads the latest evaluation with noise, a list of NoiseLevel.

    Raises:
      RunsError: if a line is damaged.
    """
    return records.read_lines(self.path / 'noise.jsonl', records.NoiseLevel)

  def check_config(self, config):
    """Checks that the directory is free or has a run that may have a config.

    Args:
      config: a Config.

    Raises:
      RunsError: naming the fields that differ, or what is wrong with the path.
    """
    try:
      files.check_for_tensorflow(self.path)
    except ValueError as error:
      raise RunsError(str(error)) from error
    there = self.read_config()
    if there is None:
      if self.path.is_dir() and any(
        not any(fnmatch.fnmatch(entry.name, left) for left in _BEFORE_START)
        for entry in self.path.iterdir()
      ):
        raise RunsError(
          f'Expected an empty directory or one of a run. Received: {self.path} '
          'with other files and no config.json. Choose another --root_dir.'
        )
      return
    finished = self.read_summary() is not None
    may_change = longer.may_change(there, config, finished)
    differ = [
      f'{name}: {before!r} there, {asked!r} asked for'
      for name, (before, asked) in longer.changes(there, config).items()
      if name not in may_change
    ]
    if differ:
      raise RunsError(
        f'{self.path} holds a run with another config. Choose another '
        '--root_dir. Fields that differ:\n  ' + '\n  '.join(differ)
      )

  @contextlib.contextmanager
  def locked(self):
    """Creates the directory and locks it against other processes.

    Raises:
      RunsError: if another process trains here, or nothing can be written.
    """
    with contextlib.ExitStack() as stack:
      try:
        files.make_directory(self.path)
        files.refuse_links(*(self.path / name for name in _WRITTEN))
        directories = (self.path / name for name in _DIRECTORIES)
        files.require_directories(*directories)
        stack.enter_context(locks.held(self.path / '.lock', _A_LOOK_SECONDS))
      except BlockingIOError:
        raise RunsError(
          f'Another process is training in {self.path}. Wait for it or choose '
          'another --root_dir.'
        ) from None
      except OSError as error:
        raise RunsError(f'Cannot write to {self.path}: {error}.') from error
      yield

  def in_use(self):
    """Whether a process trains here, on any host."""
    return locks.is_held(self.path / '.lock')

  def heartbeat(self, seconds=10.0):
    """Makes a function to call at every env step; see `heartbeat`."""
    return heartbeat.heartbeat(self.path / '.lock', seconds)

  def last_env_step_time(self):
    """Unix time of the last env step, about; None before the first attempt."""
    return heartbeat.last(self.path / '.lock')

  def start(self, config):
    """Writes the config of a new run, or the changes of a resumed one.

    Args:
      config: a Config that has passed `check_config`.

    Returns:
      A line on what changes; '' if nothing does.
    """
    there = self.read_config()
    if there is None:
      self.write_config(config)
      return ''
    changed = longer.changes(there, config)
    if not changed:
      return ''
    env_step = self.checkpoint_env_step() or 0
    self.change_config(config, env_step, changed)
    return longer.sentence(env_step, changed)

  def set_results(self, evaluations):
    """Replaces the evaluations so far.

    Args:
      evaluations: list of Evaluation; if empty, the run starts over.
    """
    if not evaluations:
      for name in ('train', 'eval'):
        for path in (self.path / name).glob(_EVENT_FILES):
          path.unlink()
    files.write_json_lines(
      self.path / 'results.jsonl', (e.to_json() for e in evaluations)
    )

  def append_result(self, evaluation):
    """Appends an Evaluation to results.jsonl and syncs the file."""
    files.append_json_line(self.path / 'results.jsonl', evaluation.to_json())

  def finish(self, summary):
    """Writes summary.json, after which the run counts as finished.

    Args:
      summary: a Summary.
    """
    files.write_json(self.path / 'summary.json', summary.to_json(), indent=2)

  def write_noise(self, levels, figure):
    """Writes an evaluation with noise; it replaces an earlier one.

    Args:
      levels: list of NoiseLevel.
      figure: bytes of a PNG.

    Returns:
      Path of the figure.
    """
    files.write_json_lines(
      self.path / 'noise.jsonl', (level.to_json() for level in levels)
    )
    path = self.path / 'noise.png'
    files.write(path, figure)
    return path


def checkpoint_env_steps(path):
  """Env steps of the complete checkpoints in a directory, in order."""
  found = path.glob('env_step_*/manifest.json')
  names = (_CHECKPOINT.fullmatch(each.parent.name) for each in found)
  return sorted(int(name[1]) for name in names if name)
