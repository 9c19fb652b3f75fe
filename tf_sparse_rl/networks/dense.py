"""Networks of Dense layers, for flat observations.

The functions return lists of layers, not built. The last layer computes in
float32 whatever Keras' precision policy, since losses, targets and actions
depend on its outputs.
"""

import functools

import tensorflow as tf

_initializers = tf.keras.initializers


def q_layers(units, num_actions, weight_decay=0.0, layer_norm=False):
  """Layers of a Q-network for flat observations.

  Args:
    units: units of each hidden layer.
    num_actions: number of outputs.
    weight_decay: L2 of the hidden kernels, `weight_decay * sum(w ** 2)`.
    layer_norm: whether LayerNorm comes before each activation.

  Reference: paper's code, classic control; initializers of TF-Agents' DQN
  examples.
  """
  scaled = functools.partial(
    _initializers.VarianceScaling, 2.0, 'fan_in', 'truncated_normal'
  )
  return [
    *_hidden(units, 'relu', scaled, weight_decay, layer_norm),
    output(
      num_actions,
      kernel_initializer=_initializers.RandomUniform(-0.03, 0.03),
      bias_initializer=_initializers.Constant(-0.2),
    ),
  ]


def glorot_layers(units, num_outputs, weight_decay=0.0, layer_norm=False):
  """Layers of an actor or a critic with Keras' default initializers.

  Args:
    units: units of each hidden layer.
    num_outputs: number of outputs.
    weight_decay: L2 of all kernels, `weight_decay * sum(w ** 2)`.
    layer_norm: whether LayerNorm comes before each activation.

  Reference: paper's code, SAC.
  """
  return [
    *_hidden(
      units, 'relu', _initializers.GlorotUniform, weight_decay, layer_norm
    ),
    output(num_outputs, kernel_regularizer=l2(weight_decay)),
  ]


def orthogonal_layers(
  units, num_outputs, activation, output_initializer, layer_norm=False
):
  """Layers of PPO's actor or of its value network.

  Args:
    units: units of each hidden layer.
    num_outputs: number of outputs.
    activation: of the hidden layers, whose initial kernels are orthogonal.
    output_initializer: initializer of the last kernel.
    layer_norm: whether LayerNorm comes before each activation.

  Reference: paper's code, PPO.
  """
  return [
    *_hidden(
      units, activation, _initializers.Orthogonal, layer_norm=layer_norm
    ),
    output(num_outputs, kernel_initializer=output_initializer),
  ]


def _hidden(
  units, activation, make_initializer, weight_decay=0.0, layer_norm=False
):
  layers = []
  for i, size in enumerate(units):
    name = f'hidden_{i}'
    layers.append(
      tf.keras.layers.Dense(
        size,
        activation=None if layer_norm else activation,
        kernel_initializer=make_initializer(),
        kernel_regularizer=l2(weight_decay),
        name=name,
      )
    )
    if layer_norm:
      activate = tf.keras.layers.Activation(activation, name=f'{name}_act')
      layers += [norm(f'{name}_norm'), activate]
  return layers


def norm(name):
  """LayerNorm over the units, with trained scale and shift.

  Reference: Ba et al. 2016 (arXiv 1607.06450), equation 4; the epsilon of
  SimBa's code.
  """
  return tf.keras.layers.LayerNormalization(epsilon=1e-6, name=name)


def output(num_outputs, **options):
  """The last layer, linear."""
  return tf.keras.layers.Dense(
    num_outputs, dtype='float32', name='output', **options
  )


def l2(weight_decay):
  """The regularizer `weight_decay * sum(w ** 2)`, or None if that is 0."""
  return tf.keras.regularizers.L2(weight_decay) if weight_decay else None
