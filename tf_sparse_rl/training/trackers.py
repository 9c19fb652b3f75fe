"""Logs the scalars of TensorBoard to Weights & Biases and MLflow.

Offline by default: unless `WANDB_MODE` or `MLFLOW_TRACKING_URI` is set,
everything is written to `trackers/` in the run's directory and nothing is sent.
Both are imported only here.
"""

import hashlib
import logging
import os
import time

from tf_sparse_rl import files, packages

_PROJECT = 'tf_sparse_rl'
# {tracker: the module that it needs}
_MODULES = {'wandb': 'wandb', 'mlflow': 'mlflow'}


def check(names):
  """Checks that trackers are installed.

  Args:
    names: of trackers.

  Raises:
    MissingError: with the command that installs them.
  """
  modules = [_MODULES[name] for name in names]
  packages.require(f'--trackers={",".join(names)}', *modules)


def make(names, root_dir, label, values):
  """Starts or resumes the run in each tracker.

  Args:
    names: of trackers.
    root_dir: directory of the run, a Path.
    label: of the run, for display.
    values: of its config, in JSON types.

  Returns:
    List of trackers, with `log` and `close`.
  """
  directory = root_dir / 'trackers'
  if names:
    files.refuse_links(directory)
    files.make_directory(directory)
  # By it a resumed run is found.
  run_id = hashlib.sha1(str(root_dir.resolve()).encode()).hexdigest()[:12]
  return [_TRACKERS[n](directory, run_id, label, values) for n in names]


class _Wandb:
  """A run of Weights & Biases; `wandb sync` uploads it later."""

  def __init__(self, directory, run_id, label, values):
    os.environ.setdefault('WANDB_MODE', 'offline')
    os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')
    import wandb

    self._run = wandb.init(
      project=_PROJECT,
      dir=str(directory),
      id=run_id,
      name=label,
      resume='allow',
      config=values,
      settings=wandb.Settings(console='off', silent=True, disable_git=True),
    )
    # A run resumed from a checkpoint repeats some env steps.
    self._run.define_metric('env_step')
    self._run.define_metric('*', step_metric='env_step')

  def log(self, env_step, scalars):
    """Adds `{tag: float}` at an env step."""
    self._run.log({'env_step': env_step, **scalars})

  def close(self):
    """Flushes everything to disk."""
    self._run.finish()


class _MLflow:
  """A run of MLflow, in a SQLite file; `mlflow ui` shows it."""

  def __init__(self, directory, run_id, label, values):
    os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
    for name in ('mlflow', 'alembic'):
      logging.getLogger(name).setLevel(logging.WARNING)
    import mlflow
    from mlflow import entities

    self._entities = entities
    uri = f'sqlite:///{directory.resolve() / "mlflow.db"}'
    self._client = mlflow.MlflowClient(
      tracking_uri=os.environ.get('MLFLOW_TRACKING_URI', uri)
    )
    self._id = self._open(run_id, label, values)

  def _open(self, run_id, label, values):
    """The id of the run with our tag, created if needed."""
    experiment = self._client.get_experiment_by_name(_PROJECT)
    if experiment is None:
      number = self._client.create_experiment(_PROJECT)
    else:
      number = experiment.experiment_id
    there = self._client.search_runs([number], f"tags.run = '{run_id}'")
    if there:
      self._client.update_run(there[0].info.run_id, status='RUNNING')
      return there[0].info.run_id
    run = self._client.create_run(number, tags={'run': run_id}, run_name=label)
    params = [
      self._entities.Param(name, str(value)) for name, value in values.items()
    ]
    self._client.log_batch(run.info.run_id, params=params)
    return run.info.run_id

  def log(self, env_step, scalars):
    """Adds `{tag: float}` at an env step."""
    now = int(1000 * time.time())
    metrics = [
      self._entities.Metric(tag, value, now, env_step)
      for tag, value in scalars.items()
    ]
    self._client.log_batch(self._id, metrics=metrics)

  def close(self):
    """Marks the run as ended."""
    self._client.set_terminated(self._id)


_TRACKERS = {'wandb': _Wandb, 'mlflow': _MLflow}
