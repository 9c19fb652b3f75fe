"""Computes the diagnostics of a config on a batch."""

import importlib

import tensorflow as tf

from tf_sparse_rl.diagnostics import base, trace


class Diagnoser:
  """Computes diagnostics, at most once per call of the agent's training.

  They do not affect training.
  """

  def __init__(self, config, agent):
    """Takes a Config, which names diagnostics, and a `base.Agent`."""
    self._config, self._agent = config, agent
    self._diagnoses = [
      importlib.import_module(f'{__package__}.{kind}').Diagnosis(agent)
      for kind in config.diagnostics_kinds
    ]
    self._trace = tf.function(self._traces, autograph=False)

  @property
  def saved(self):
    """`{name: tf.Module}`, or dicts of them, to save in checkpoints."""
    return {k: v for d in self._diagnoses for k, v in d.saved.items()}

  def is_due(self, env_step):
    """Whether diagnostics are due at the training of an env step.

    They are due at the first training at or after each multiple of the period.
    """
    config = self._config
    between = max(config.env_steps_between_training, config.num_envs)
    return bool(
      self._diagnoses
      and config.num_trainings(env_step)
      and env_step % config.diagnostics_period < between
    )

  def diagnose(self, rows):
    """Computes `{TensorBoard tag: float}` on a batch of rows."""
    views = []
    if any(diagnosis.needs_views for diagnosis in self._diagnoses):
      views = self._views(rows)
    found = {}
    for diagnosis in self._diagnoses:
      found.update(diagnosis.diagnose(views))
    return found

  def _views(self, rows):
    traces, values = tf.nest.map_structure(
      lambda tensor: tensor.numpy(),
      self._trace(tf.nest.map_structure(tf.constant, rows)),
    )
    return [
      base.View(name, self._agent.networks[name], traced, values.get(name))
      for name, traced in traces.items()
    ]

  def _traces(self, rows):
    """Computes the traces and outputs of the networks."""
    traces, values = {}, {}
    for name, probe in self._agent.probes(rows).items():
      network = self._agent.networks[name]
      traces[name] = trace.trace(network, probe.inputs, probe.losses)
      if probe.values is not None:
        values[name] = probe.values(traces[name].outputs)
    return traces, values
