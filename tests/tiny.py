"""Fields of a run that takes a second, and records made by hand."""

from tf_sparse_rl import callbacks, runs

RUN = {
  'num_env_steps': 600,
  'initial_collect_env_steps': 100,
  'hidden_units': (32, 32),
  'batch_size': 16,
  'eval_period': 200,
  'num_eval_episodes': 3,
  'mask_update_period': 50,
  'summary_period': 100,
}


def evaluation(env_step=0, return_mean=1.0, **changes):
  """An Evaluation made by hand."""
  values = {
    'env_step': env_step,
    'train_step': 0,
    'return_mean': return_mean,
    'returns': [return_mean],
    'sparsity': 0.9,
    'nonzero': 10,
    'wall_seconds': 1.0,
    'env_steps_per_sec': 50.0,
  }
  return runs.Evaluation(**{**values, **changes})


def summary(evaluations=None, **changes):
  """The Summary of such evaluations."""
  totals = {
    'env_steps': 600,
    'train_steps': 500,
    'sparsity': 0.9,
    'nonzero': 10,
    'parameters': 12,
    'inference_flops': 20,
    'wall_seconds': 10.0,
    'env_steps_per_sec': 60.0,
  }
  return runs.Summary.of(evaluations or [evaluation()], **{**totals, **changes})


class StopAt(callbacks.Callback):
  """Stops training at an env step."""

  def __init__(self, env_step):
    self._env_step = env_step

  def on_env_step(self, training):
    if training.env_step == self._env_step:
      training.stop()


class Recorder(callbacks.Callback):
  """Records the calls of a callback."""

  def __init__(self):
    self.messages, self.env_steps, self.progress = [], [], []

  def on_message(self, training, text):
    self.messages.append(text)

  def on_evaluation(self, training, evaluation):
    self.progress.append((training.env_step, evaluation))

  def on_env_step(self, training):
    self.env_steps.append(training.env_step)
    self.progress.append((training.env_step, None))
