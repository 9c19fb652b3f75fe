"""SimBa: a residual network of Dense layers for flat observations."""

import tensorflow as tf

from tf_sparse_rl.networks import dense, residual

_EXPANSION = 4  # Ratio of a block's hidden units to its outputs.


def simba_layers(units, num_outputs, weight_decay=0.0):
  """Layers of an actor or a critic, not built, for normalized observations.

  A linear layer, residual blocks, LayerNorm and a linear output.

  Args:
    units: units of each residual block, all equal.
    num_outputs: number of outputs.
    weight_decay: L2 of all kernels, `weight_decay * sum(w ** 2)`.

  Reference: Lee et al. 2024 (arXiv 2410.09754); initializers and
  epsilons of its code.
  """
  linear = tf.keras.initializers.Orthogonal
  return [
    _dense(units[0], linear(), weight_decay, 'hidden_0'),
    *(_block(size, weight_decay, f'block_{i}') for i, size in enumerate(units)),
    dense.norm('norm'),
    dense.output(
      num_outputs,
      kernel_initializer=linear(),
      kernel_regularizer=dense.l2(weight_decay),
    ),
  ]


def _block(units, weight_decay, name):
  """`x + W2 relu(W1 LayerNorm(x))`, an inverted bottleneck."""
  he_normal = tf.keras.initializers.HeNormal
  layers = [
    dense.norm(f'{name}_norm'),
    _dense(
      *(_EXPANSION * units, he_normal(), weight_decay, f'{name}_expand'),
      activation='relu',
    ),
    _dense(units, he_normal(), weight_decay, f'{name}_project'),
  ]
  return residual.Residual(layers, name=name)


def _dense(units, initializer, weight_decay, name, activation=None):
  return tf.keras.layers.Dense(
    units,
    activation,
    kernel_initializer=initializer,
    kernel_regularizer=dense.l2(weight_decay),
    name=name,
  )
