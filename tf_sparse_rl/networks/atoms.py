"""Q-values of a distributional Q-network."""

import numpy as np
import tensorflow as tf


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class ExpectedValues(tf.keras.layers.Layer):
  """Means of categorical distributions of the return, one for each action.

  Inputs are logits `[batch, units * atoms]`, outputs `[batch, units]`, a unit
  for each action. The atoms are `num_atoms` returns at equal distances, from
  `min_value` to `max_value`.

  Reference: Bellemare et al. 2017 (arXiv 1707.06887), section 4.
  """

  def __init__(self, units, num_atoms, min_value, max_value, **kwargs):
    super().__init__(**kwargs)
    self.units = units
    self._range = min_value, max_value, num_atoms
    self.atoms = np.linspace(*self._range, dtype=np.float32)

  def call(self, inputs):
    weights = tf.nn.softmax(self.logits(inputs))
    return tf.reduce_sum(weights * self.atoms, axis=-1)

  def logits(self, inputs):
    """The same logits, `[batch, units, atoms]`."""
    return tf.reshape(inputs, [-1, self.units, len(self.atoms)])

  def compute_output_shape(self, input_shape):
    return tf.TensorShape([input_shape[0], self.units])

  def get_config(self):
    names = 'min_value', 'max_value', 'num_atoms'
    own = {'units': self.units, **dict(zip(names, self._range))}
    return {**super().get_config(), **own}
