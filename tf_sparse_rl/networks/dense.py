"""Networks of Dense layers, for flat observations.

The last layer is one of float32 whatever Keras' policy: losses, targets and
actions are made of its output.
"""

import tensorflow as tf


def q_layers(units, num_actions, weight_decay=0.0):
  """Layers of a Q-network for flat observations.

  Args:
    units: units of each hidden layer.
    num_actions: number of outputs.
    weight_decay: L2 of the hidden kernels, `weight_decay * sum(w ** 2)`.

  Returns:
    List of Dense layers, not built.

  Reference: paper's code, classic control; initialisers as in TF-Agents'
  DQN examples.
  """
  hidden = [
    tf.keras.layers.Dense(
      size,
      activation='relu',
      kernel_initializer=tf.keras.initializers.VarianceScaling(
        2.0, 'fan_in', 'truncated_normal'
      ),
      kernel_regularizer=l2(weight_decay),
      name=f'hidden_{i}',
    )
    for i, size in enumerate(units)
  ]
  output = tf.keras.layers.Dense(
    num_actions,
    kernel_initializer=tf.keras.initializers.RandomUniform(-0.03, 0.03),
    bias_initializer=tf.keras.initializers.Constant(-0.2),
    dtype='float32',
    name='output',
  )
  return [*hidden, output]


def glorot_layers(units, num_outputs, weight_decay=0.0):
  """Layers of an actor or a critic for flat inputs.

  Args:
    units: units of each hidden layer.
    num_outputs: number of outputs.
    weight_decay: L2 of all kernels, `weight_decay * sum(w ** 2)`.

  Returns:
    List of Dense layers, not built, Glorot-uniform as Keras has it.

  Reference: paper's code, SAC.
  """
  return [
    tf.keras.layers.Dense(
      size,
      activation=activation,
      kernel_regularizer=l2(weight_decay),
      dtype=dtype,
      name=name,
    )
    for size, activation, dtype, name in [
      *((size, 'relu', None, f'hidden_{i}') for i, size in enumerate(units)),
      (num_outputs, None, 'float32', 'output'),
    ]
  ]


def orthogonal_layers(units, num_outputs, activation, output_initializer):
  """Layers of PPO's actor or of its value network.

  Args:
    units: units of each hidden layer.
    num_outputs: number of outputs.
    activation: of the hidden layers.
    output_initializer: of the last kernel.

  Returns:
    List of Dense layers, not built; the hidden ones are orthogonal.

  Reference: paper's code, PPO.
  """
  hidden = [
    tf.keras.layers.Dense(
      size,
      activation=activation,
      kernel_initializer=tf.keras.initializers.Orthogonal(),
      name=f'hidden_{i}',
    )
    for i, size in enumerate(units)
  ]
  output = tf.keras.layers.Dense(
    num_outputs,
    kernel_initializer=output_initializer,
    dtype='float32',
    name='output',
  )
  return [*hidden, output]


def l2(weight_decay):
  """The regularizer `weight_decay * sum(w ** 2)`, or None if that is 0."""
  return tf.keras.regularizers.L2(weight_decay) if weight_decay else None
