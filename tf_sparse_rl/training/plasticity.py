"""Controls for plasticity: dormant units are recycled, last layers reset."""

import numpy as np
import tensorflow as tf

from tf_sparse_rl import seeds, sparsity
from tf_sparse_rl.agents import steps
from tf_sparse_rl.diagnostics import dormant, trace
from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.sparsity import renewal


class Plasticity:
  """Makes parts of the networks of an agent new, at multiples of periods.

  Masks do not change. Adam's moments of what is made new are 0; its count of
  train steps, one for all weights, goes on.

  ReDo looks at a batch: a hidden unit whose score is at most the threshold gets
  incoming weights and bias as at the start of a run, drawn anew, and outgoing
  weights of 0. The output layer is exempt, target networks are left alone. An
  outgoing weight of 0 is the first that SET and RigL drop.

  A reset makes the last layers of each network new, and its target's with them;
  the replay is kept.

  Reference: Sokar et al. 2023 (arXiv 2302.12902); Nikishin et al. 2022 (arXiv
  2205.07802).
  """

  def __init__(self, config, agent):
    """Takes a Config and a `base.Agent`.

    Raises:
      ValueError: for a method that trains what masks hide.
    """
    self._config, self._agent = config, agent
    self._renewal = renewal.Renewal(
      [(o, steps.variables_of(owners)) for o, owners in agent.descents],
      bool(config.sparsity_aware_init),
    )

  def renew(self, training):
    """Renews what is due after the last training of a `loop.Training`."""
    config, learner = self._config, training.learner
    env_step, train_step = training.env_step, learner.train_step
    done = config.num_trainings(env_step) * config.train_steps_of_training
    recycles, resets = (
      is_due(period, train_step, done)
      for period in (config.redo_period, config.reset_period)
    )
    if not (recycles or resets):
      return
    learner.networks_change()
    if recycles:
      rng = seeds.generator(config.seed, seeds.Stream.REDO_BATCH, train_step)
      rows = learner.draw(training.buffer, rng)
      shares = self.recycle(rows, train_step)
      training.summaries.values(env_step, shares)
    if resets:
      self.reset(train_step)
    if self._agent.rollouts is not None:
      # A rollout is of one policy: that of its first action too.
      now, observations = training.now, training.collector.observations
      noise = self._agent.noise(now.rng, len(observations))
      now.actions = learner.act(observations, noise)

  def recycle(self, rows, train_step):
    """Recycles the units that are dormant on a batch of rows.

    Args:
      rows: as `Learner.draw` returned them.
      train_step: train steps so far, of which the new weights are drawn.

    Returns:
      `{TensorBoard tag: share of the hidden units that were dormant}`.
    """
    probes = self._agent.probes(tf.nest.map_structure(tf.constant, rows))
    # All scores first: networks are looked at as they were trained.
    calls = {
      name: trace.forward(self._agent.networks[name], probe.inputs)
      for name, probe in probes.items()
    }
    return {
      f'Dormant/{name}/{self._config.redo_threshold:g}': self._recycle_units(
        of_network, (train_step, number)
      )
      for number, (name, of_network) in enumerate(calls.items())
    }

  def _recycle_units(self, calls, indices):
    """Recycles the dormant units of a network; returns their share."""
    hidden = [
      (call, following, call.units.numpy())
      for call, following in zip(calls, calls[1:])
      if call.units is not None
    ]
    threshold = self._config.redo_threshold
    found = [dormant.are_dormant(units, threshold) for *_, units in hidden]
    for index, ((call, *_), units) in enumerate(zip(hidden, found)):
      seed = self._seed(*indices, index)
      self._renewal.incoming(call.layer, units, seed)
      for norm in call.norms:
        self._renewal.normalized(norm, units)
    # Then: what is incoming to one may be outgoing from another.
    for (_, following, activations), units in zip(hidden, found):
      inputs = inputs_of(units, activations.shape, following.layer)
      self._renewal.outgoing(following.layer, inputs)
    return float(np.concatenate(found).mean())

  def reset(self, train_step):
    """Makes the last layers of each network new; see `recycle`."""
    for number, (name, network) in enumerate(self._agent.networks.items()):
      last = last_layers(network, self._config.reset_layers)
      for index, layer in enumerate(last):
        everything = np.ones(layer.trainable_weights[0].shape[-1], bool)
        if isinstance(layer, tf.keras.layers.LayerNormalization):
          self._renewal.normalized(layer, everything)
        else:
          seed = self._seed(train_step, number, index)
          self._renewal.incoming(layer, everything, seed)
      if name in self._agent.targets:
        target = self._agent.targets[name]
        _copy(last, last_layers(target, self._config.reset_layers))

  def _seed(self, *indices):
    return seeds.derive(self._config.seed, seeds.Stream.RENEWAL, *indices)


def make(config, agent):
  """The Plasticity of a run; None if nothing is made new."""
  return Plasticity(config, agent) if config.renews else None


def is_due(period, train_step, done):
  """Whether one of the train steps just done was a multiple of a period."""
  return bool(period) and train_step // period > (train_step - done) // period


def inputs_of(units, shape, following):
  """Selects the inputs of the following layer that come from some units.

  Args:
    units: bool `[units]`.
    shape: of their activations, `[batch, ..., units]`.
    following: a Dense or Conv2D, plain or sparse.

  Returns:
    bool, one for each entry of its kernel's axis before the last. A Dense layer
    takes a flattened image, in which channels are next to each other, and
    perhaps actions after it.
  """
  num_inputs = following.kernel.shape[-2]
  if following.kernel.shape.rank == 2:
    units = np.tile(units, int(np.prod(shape[1:-1], dtype=int)))
  assert len(units) <= num_inputs, (len(units), num_inputs)
  return np.pad(units, (0, num_inputs - len(units)))


def last_layers(network, count):
  """The layers that a reset makes new.

  Args:
    network: with `layers`.
    count: layers with a kernel, from the last on.

  Returns:
    List of these and of each LayerNormalization after the first of them; what
    else has weights, as a head with a standard deviation, is left alone.
  """
  kernels = trace.kernel_layers(network)
  first = kernels[max(0, len(kernels) - count)]
  leaves = layers_lib.leaf_layers(network)
  return [
    leaf
    for leaf in leaves[leaves.index(first) :]
    if leaf in kernels or isinstance(leaf, tf.keras.layers.LayerNormalization)
  ]


def _copy(layers, targets):
  """Copies layers to those of a target network, with their masks."""
  for layer, target in zip(layers, targets, strict=True):
    if isinstance(layer, sparsity.SparseLayer):
      target.mask.assign(layer.mask)
    for source, variable in zip(
      layer.trainable_weights, target.trainable_weights, strict=True
    ):
      variable.assign(source)
