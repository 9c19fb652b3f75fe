"""Diagnoses the networks of an agent on a batch, as the config asks for."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl.diagnostics import churn, features, signal, trace

# Of the scores of Sokar et al. 2023, who use 0.025 and, for ReDo, 0.1.
DORMANT_THRESHOLDS = (0.0, 0.025, 0.1)


class Diagnoser:
  """Makes diagnoses, at most one a call of the agent's training.

  Training does not notice them.
  """

  def __init__(self, config, agent):
    """Prepares what the config asks for, nothing if it is nothing.

    Args:
      config: a Config.
      agent: a `base.Agent`.
    """
    self._config = config
    self._agent = agent
    self._kinds = config.diagnostics_kinds
    self._mask_histories = {}
    if 'churn' in self._kinds:
      self._mask_histories = {
        name: churn.MaskHistory(network)
        for name, network in agent.networks.items()
      }
    self._trace = tf.function(self._traces, autograph=False)

  @property
  def saved(self):
    """See `Agent.saved`."""
    if not self._mask_histories:
      return {}
    return {'mask_history': self._mask_histories}

  def is_due(self, env_step):
    """Whether the batch of the training at this env step is to be diagnosed.

    Args:
      env_step: env steps so far.

    Returns:
      A bool: at the first training at or after each multiple of the period.
    """
    config = self._config
    between = max(config.env_steps_between_training, config.num_envs)
    return bool(
      self._kinds
      and config.num_trainings(env_step)
      and env_step % config.diagnostics_period < between
    )

  def diagnose(self, rows):
    """Makes one diagnosis.

    Args:
      rows: of a batch, as `Agent.probes` takes them.

    Returns:
      `{TensorBoard tag: float}`.
    """
    diagnosis = {}
    if set(self._kinds) - {'churn'}:
      traces, values = tf.nest.map_structure(
        lambda tensor: tensor.numpy(),
        self._trace(tf.nest.map_structure(tf.constant, rows)),
      )
      for name, traced in traces.items():
        diagnosis.update(self._of_network(name, traced))
      if 'norms' in self._kinds:
        for name, of_batch in values.items():
          diagnosis.update(_statistics(name, of_batch))
    if 'churn' in self._kinds:
      for name, history in self._mask_histories.items():
        for what, share in history.look().items():
          diagnosis[f'Churn/{name}/{what}'] = share
    return diagnosis

  def _traces(self, rows):
    """Traces, and what the networks that value things say of the batch."""
    probes = self._agent.probes(rows)
    traces, values = {}, {}
    for name, probe in probes.items():
      network = self._agent.networks[name]
      traces[name] = trace.trace(network, probe.inputs, probe.losses)
      if probe.values is not None:
        values[name] = probe.values(traces[name].outputs)
    return traces, values

  def _of_network(self, name, traced):
    """What the config asks for of one network; see `diagnose`."""
    layers = trace.kernel_layers(self._agent.networks[name])
    diagnosis = {}
    moments = []
    if {'snr', 'norms'} & set(self._kinds):
      moments = [layer.moments() for layer in traced.layers]
    if 'snr' in self._kinds:
      diagnosis.update(_snr(name, layers, moments))
    if 'dormant' in self._kinds:
      activations = [
        of.outputs
        for layer, of in zip(layers[:-1], traced.layers)
        # Not before a sum, whose units have their activation after it.
        if trace.plain(layer).activation is not tf.keras.activations.linear
      ]
      for threshold in DORMANT_THRESHOLDS:
        share = features.dormant_fraction(activations, threshold)
        diagnosis[f'Dormant/{name}/{threshold:g}'] = share
    if 'rank' in self._kinds:
      singular_values = np.linalg.svd(
        traced.layers[-1].inputs, compute_uv=False
      )
      srank = features.srank(singular_values)
      diagnosis[f'Rank/{name}/srank'] = float(srank)
      effective = features.effective_rank(singular_values)
      diagnosis[f'Rank/{name}/effective'] = effective
    if 'norms' in self._kinds:
      diagnosis.update(_norms(name, layers, moments))
    return diagnosis


def _snr(name, layers, moments):
  """Signal-to-noise of each layer, and of the network's entries as one."""
  masks = [trace.mask(layer) for layer in layers]
  names = [f'{name}/{trace.plain(layer).name}' for layer in layers]
  diagnosis = {}
  for which, kept in (
    ('active', masks),
    ('all', [np.ones_like(mask) for mask in masks]),
  ):
    parts = [
      (of.mean[where], of.square[where]) for of, where in zip(moments, kept)
    ]
    whole = [np.concatenate(arrays) for arrays in zip(*parts)]
    for owner, (mean, square) in zip([*names, name], [*parts, whole]):
      found = signal.signal_to_noise(mean, square)
      diagnosis[f'SNR/{owner}/{which}'] = found.ratio
      diagnosis[f'DeadGradients/{owner}/{which}'] = found.dead
  return diagnosis


def _norms(name, layers, moments):
  """Euclidean norms over all kernels of a network.

  Of the weights, and of the gradient of the mean loss by the active ones.
  """
  weights = gradients = 0.0
  for layer, of in zip(layers, moments):
    weights += np.square(layer.kernel.numpy()).sum()
    gradients += np.square(of.mean[trace.mask(layer)]).sum()
  return {
    f'Norms/{name}/weights': float(np.sqrt(weights)),
    f'Norms/{name}/gradients': float(np.sqrt(gradients)),
  }


def _statistics(name, values):
  """Of the values that a network gives to the batch, `[batch]`."""
  return {
    f'Values/{name}/{what}': float(function(values))
    for what, function in (
      ('mean', np.mean),
      ('std', np.std),
      ('min', np.min),
      ('max', np.max),
    )
  }
