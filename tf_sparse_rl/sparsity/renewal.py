"""Reinitializes units of layers: weights, biases and their slots.

Masks do not change; weights outside them stay exactly 0.
"""

import numpy as np
import tensorflow as tf

from tf_sparse_rl.sparsity import initializers, masked, optimizer_slots
from tf_sparse_rl.sparsity.optimizer import SparseOptimizer


class Renewal:
  """Reinitializes units of the layers of several networks."""

  def __init__(self, descents, rescales):
    """Initializes with the optimizers of the layers.

    Args:
      descents: list of (optimizer, its variables).
      rescales: whether weights are rescaled for the fan-in of the masks, see
        `initializers.rescale_for_fan_in`.

    Raises:
      ValueError: for a SparseOptimizer that trains masked weights.
    """
    for optimizer, _ in descents:
      updater = getattr(optimizer, 'updater', None)
      if updater is not None and updater.trains_hidden:
        raise ValueError(
          'Expected a method that trains active weights only, to reinitialize '
          f'units. Received: {type(updater).__name__}.'
        )
    self._descents, self._rescales = descents, rescales
    self._slots = None  # {id of a variable: its slots}

  def incoming(self, layer, units, seed):
    """Draws incoming weights and biases of units from their initializers.

    Args:
      layer: a built Dense or Conv2D layer, or a SparseLayer around one.
      units: bool `[units]`, units to reinitialize.
      seed: int, seed of the weights.
    """
    plain = getattr(layer, 'layer', layer)
    kernel, mask = plain.kernel, masked.mask_of(plain.kernel)
    drawn = _draw(plain.kernel_initializer, kernel, seed)
    if mask is not None and self._rescales:
      drawn = initializers.rescale_for_fan_in(drawn, mask.numpy())
    self._write(kernel, units, drawn)
    if plain.use_bias:
      drawn = _draw(plain.bias_initializer, plain.bias, seed)
      self._write(plain.bias, units, drawn)

  def normalized(self, layer, units):
    """Reinitializes scale and shift of a LayerNormalization."""
    for variable, initializer in (
      (layer.gamma, layer.gamma_initializer),
      (layer.beta, layer.beta_initializer),
    ):
      if variable is not None:
        self._write(variable, units, _draw(initializer, variable, seed=0))

  def outgoing(self, layer, inputs):
    """Sets the weights of inputs of a layer to 0.

    Args:
      layer: see `incoming`.
      inputs: bool `[inputs]`, along the kernel's axis before the last.
    """
    kernel = getattr(layer, 'layer', layer).kernel
    self._write(kernel, inputs[:, np.newaxis], np.float32(0))

  def _write(self, variable, where, value):
    """Assigns a value to entries, and 0 to their slots."""
    variable.assign(np.where(where, value, variable.numpy()))
    for slot in self._slots_of(variable):
      slot.assign(np.where(where, np.float32(0), slot.numpy()))

  def _slots_of(self, variable):
    if self._slots is None:
      self._slots = {}
      for optimizer, variables in self._descents:
        if isinstance(optimizer, SparseOptimizer):
          optimizer.build(variables)
          optimizer = optimizer.inner_optimizer
        else:
          optimizer_slots.build(optimizer, variables)
        found = optimizer_slots.find(optimizer, variables)
        self._slots |= {id(v): slots for v, slots in zip(variables, found)}
    return self._slots[id(variable)]


def _draw(initializer, variable, seed):
  """Returns an array of initial values; random ones use the seed."""
  config = initializer.get_config()
  if 'seed' in config:
    config['seed'] = seed
  fresh = type(initializer).from_config(config)
  return fresh(variable.shape, tf.float32).numpy()
