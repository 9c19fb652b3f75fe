"""Training from Python; the command `train` stands on this."""

import signal
from collections.abc import Sequence
from typing import Any

from tf_sparse_rl import callbacks as callbacks_lib
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import (
  imports,
  modules,
  names,
  packages,
  quiet,
  scopes,
  signals,
)
from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.run_on_disk import MakeEnv, Path, Run


def train(
  root_dir: Path,
  *,
  env: str | MakeEnv | None = None,
  callbacks: Sequence[Any] = (),
  config: config_lib.Config | None = None,
  **fields: Any,
) -> Run:
  """Trains one agent, resuming from the last checkpoint if there is one.

  A finished run is left as it is, unless `num_env_steps` is larger than its
  own: then it is extended. Nothing is printed, except by callbacks such as
  `callbacks.ProgressBar()`.

  Args:
    root_dir: directory of the run, created if needed.
    env: id of a Gymnasium environment, or a function that makes one. The same
      function must be passed again to resume or evaluate the run.
    callbacks: list of `Callback`, or of objects with some of its methods.
    config: config of another run to repeat; `fields` override its values.
    **fields: any field of a config: agent, method, sparsity, num_env_steps,
      seed; every flag of `python -m tf_sparse_rl.train`.

  Returns:
    The Run, finished unless a callback stopped it.

  Raises:
    ValueError: for an unknown field or an invalid value.
    RunsError: if the directory holds another run or cannot be used, another
      process trains in it, or training cannot continue.
    FloatingPointError: if the environment or a weight is not finite.
    OSError: if the disk is full; checkpoints stay.
    KeyboardInterrupt: at Ctrl-C, after a checkpoint has been saved; the same
      call resumes. SIGTERM is handled alike, then passed on to the program.
  """
  with scopes.environment(env) as env_name:
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


def open_run(root_dir: Path, *, env: MakeEnv | None = None) -> Run:
  """Opens a run, finished or not.

  Args:
    root_dir: directory of the run.
    env: the function that makes its environment, if it was trained with one.

  Raises:
    RunsError: if there is no run, or its config cannot be read.
  """
  return Run(root_dir, env)


def run_training(root_dir, config, callbacks=()):
  """Trains a resolved config; `train` and the command call it.

  Args:
    root_dir: directory of the run.
    config: a resolved Config.
    callbacks: list of Callback.

  Returns:
    The Outcome, or None if the run was already finished.

  Raises:
    StoppedError: if a signal or a callback stopped it. See also `train`.
  """
  from tf_sparse_rl import envs

  run_dir = runs_lib.RunDir(root_dir)
  # First: mistakes are reported at once, before TensorFlow is imported.
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
  with scopes.tensorflow():
    with imports.lightened():
      from tf_sparse_rl.training import loop, machine  # noqa: F401

    # Before anything is written: what it asks for may not be there.
    strategy = machine.configure(config)
    with run_dir.locked(), strategy.scope():
      if run_dir.is_finished(config):
        return None
      with signals.noted() as received:
        return _run(config, run_dir, callbacks, received)


def _run(config, run_dir, callbacks, received):
  from tf_sparse_rl.exporting import policy
  from tf_sparse_rl.training import checkpoints, loop

  beat = run_dir.heartbeat()

  def stop():
    beat()  # Asked at every env step, of evaluations too.
    return received

  try:
    training = loop.Training(config, run_dir, callbacks)
    try:
      outcome = training.run(stop)
      with checkpoints.disk_errors():
        policy.save(policy.of_agent(outcome.agent), run_dir.policy_path)
      # Last: from here on the run counts as finished.
      run_dir.finish(outcome.summary)
      # From here on custom code that fails or hangs loses nothing.
      training.close()
    finally:
      training.tell('on_end')
  except callbacks_lib.StoppedError as stopped:
    stopped.signal = received[0] if received else None
    raise
  return outcome


def _values(config, fields):
  """Checks the names of fields and merges them over those of a config."""
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
